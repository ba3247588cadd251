# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Greedy transducer decoding that knows when it emitted what."""

from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.greedy import BestPath

with espnet_imports():
    from espnet2.asr.transducer.beam_search_transducer import Hypothesis


def greedy_transducer(
    enc: torch.Tensor, decoder: Any, joint_network: Any, blank: int = 0
) -> BestPath:
    """Take the best label of every frame, at most one a frame.

    ESPnet's greedy search (``BeamSearchTransducer`` with ``beam_size=1``), which says
    nothing of frames.

    Args:
        enc: Encoder output (T, D) of one utterance.
        decoder: ESPnet's prediction network.
        joint_network: ESPnet's joint network.
        blank: Index of the blank.

    Returns:
        Tokens, the frame that emitted each, and the score of the tokens.
    """
    decoder.set_device(enc.device)
    hypothesis = Hypothesis(score=0.0, yseq=[blank], dec_state=decoder.init_state(1))
    cache: dict[Any, Any] = {}
    dec_out, state, _ = decoder.score(hypothesis, cache)
    frames: list[int] = []
    for number, frame in enumerate(enc):
        log_probs = torch.log_softmax(joint_network(frame, dec_out), dim=-1)
        score, token = log_probs.max(dim=-1)
        if int(token) == blank:
            continue
        frames.append(number)
        hypothesis.yseq.append(int(token))
        hypothesis.score += float(score)
        hypothesis.dec_state = state
        dec_out, state, _ = decoder.score(hypothesis, cache)
    return BestPath(hypothesis.yseq[1:], frames, float(hypothesis.score))
