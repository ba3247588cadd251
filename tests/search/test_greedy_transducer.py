"""Greedy transducer decoding."""

import pytest
import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.transducer import greedy_transducer

with espnet_imports():
    from espnet2.asr.decoder.transducer_decoder import TransducerDecoder
    from espnet2.asr.transducer.beam_search_transducer import BeamSearchTransducer
    from espnet2.asr_transducer.joint_network import JointNetwork

pytestmark = pytest.mark.host


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_greedy_search_of_espnet(seed):
    torch.manual_seed(seed)
    decoder = TransducerDecoder(7, hidden_size=8).eval()
    joint = JointNetwork(7, 12, 8, 16).eval()
    enc = 3 * torch.randn(20, 12)
    with torch.no_grad():
        found = greedy_transducer(enc, decoder, joint)
        (expected,) = BeamSearchTransducer(decoder, joint, beam_size=1)(enc)
    assert found.tokens == list(expected.yseq[1:])
    assert found.tokens  # else nothing was compared
    assert found.score == pytest.approx(float(expected.score), abs=1e-4)
    assert found.frames == sorted(set(found.frames))
    assert len(found.frames) == len(found.tokens)
