"""From samples to text: what streams equals the offline pass of ESPnet's own code."""

import random

import pytest
import torch
from random_encoders import DIM, KINDS, random_encoder

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.greedy import best_path
from espnet_dynlook.search.incremental import GreedyCTC
from espnet_dynlook.streaming.pipeline import Pipeline

with espnet_imports():
    from espnet2.asr.ctc import CTC
    from espnet2.asr.frontend.default import DefaultFrontend

FS = 8000
SECONDS = (0.004, 0.1, 0.4, 1.0, 3.1)
PACKETS = (1, 37, 80, 700, 1280, 8000, 3 * FS)
BLOCKS, TRIALS = 10, 33


class Model(torch.nn.Module):
    """What a pipeline asks of a model of ESPnet: random front end and encoder."""

    def __init__(self, draw, kind):
        super().__init__()
        self.encoder = random_encoder(draw, kind)
        n_fft = draw.choice([128, 200, 256])
        self.frontend = DefaultFrontend(
            fs=FS,
            n_fft=n_fft,
            win_length=draw.choice([n_fft, n_fft // 2, 100]),
            hop_length=draw.choice([64, 80, 100]),
            n_mels=DIM,
            center=draw.random() < 0.8,
            frontend_conf=None,
        )
        self.ctc = CTC(8, self.encoder.output_size())
        with torch.no_grad():
            self.ctc.ctc_lo.weight *= 10  # many things to say
        self.normalize = self.preencoder = self.postencoder = None
        self.use_transducer_decoder = False


@torch.no_grad()
def offline(model, samples):
    """Return output and greedy tokens of ESPnet's passes over one utterance alone."""
    lengths = torch.tensor([len(samples)])
    stft = model.frontend.stft
    if len(samples) <= (stft.n_fft // 2 if stft.center else stft.n_fft - 1):
        return None
    feats, frames = model.frontend(samples[None], lengths)
    if int(frames[0]) < model.encoder.arithmetic.window:
        return None
    out = model.encoder(feats, frames)[0]
    out = out[0] if isinstance(out, tuple) else out
    return out[0], best_path(model.ctc.log_softmax(out)[0]).tokens


def streamed(model, utterances, draw):
    """Stream utterances that begin, pause and end on their own."""
    outs = [[] for _ in utterances]
    step = model.encoder.step

    def noted(*args, **kwargs):
        out, counts, state = step(*args, **kwargs)
        for own, one, count in zip(outs, out, counts.tolist(), strict=True):
            own.append(one[:count])
        return out, counts, state

    model.encoder.step = noted
    pipeline = Pipeline(model, GreedyCTC())
    state = pipeline.begin(len(utterances))
    at = [0] * len(utterances)
    begins = [draw.choice([0, 0, 2]) for _ in utterances]
    sizes = []
    for one in utterances:  # up to a size, so that it ends in time
        enough = [k for k in range(1, 8) if 60 * sum(PACKETS[:k]) / k > len(one)]
        sizes.append(PACKETS[: draw.choice(enough or [7])])
    turn, over = 0, [False] * len(utterances)
    while not all(over):
        packets = []
        for n, one in enumerate(utterances):
            size = draw.choice([0, *sizes[n]]) if turn >= begins[n] else 0
            packets.append(one[at[n] : at[n] + size])
            at[n] += len(packets[-1])
            over[n] = turn >= begins[n] and at[n] == len(one)
        state, _ = pipeline.step(state, packets, over)
        turn += 1
    tokens = [[t.token for t in search.tokens] for search in state.searches]
    return [torch.cat(own) for own in outs], tokens


@pytest.mark.parametrize("block", range(BLOCKS))
def test_any_packets_of_samples_give_the_offline_output_and_text(block):
    draw = random.Random(1000 + block)
    said = 0
    for trial in range(TRIALS):
        kind = KINDS[(block * TRIALS + trial) % len(KINDS)]
        model = Model(draw, kind).eval()
        utterances = [
            0.3 * torch.randn(max(1, int(FS * draw.choice(SECONDS))))
            for _ in range(draw.choice([1, 2, 3]))
        ]
        expected = [offline(model, one) for one in utterances]
        outs, tokens = streamed(model, utterances, draw)
        for whole, out, own in zip(expected, outs, tokens, strict=True):
            if whole is None:  # too short for a frame
                assert not len(out) and not own
                continue
            # The logarithm of a faint band magnifies rounding.
            torch.testing.assert_close(out, whole[0], atol=4e-4, rtol=0, msg=str(kind))
            assert own == whole[1], kind
            said += len(own)
    assert said > 100
