"""What streams equals the offline pass, whatever the packets, pauses and neighbours."""

import dataclasses
import random

import pytest
import torch
from random_encoders import DIM, KINDS, random_encoder

pytestmark = pytest.mark.host


def stream(encoder, utterances, draw, packets=(0, 1, 2, 5, 40, 300)):
    """Stream utterances that start, pause and end on their own; return their output."""
    batch = len(utterances)
    state = encoder.initial_state(batch)
    at, done = [0] * batch, [False] * batch
    found, latency = [[] for _ in utterances], [[] for _ in utterances]
    starts = [draw.choice([0, 0, 3]) for _ in utterances]
    turn = 0
    while not all(done):
        sizes, ends = [], []
        for n, one in enumerate(utterances):
            size = 0 if turn < starts[n] or done[n] else draw.choice(packets)
            size = min(size, len(one) - at[n])
            sizes.append(size)
            ends.append(done[n] or (turn >= starts[n] and at[n] + size == len(one)))
        feats = torch.full((batch, max(sizes), DIM), 1e3)  # what is not read
        for n, one in enumerate(utterances):
            feats[n, : sizes[n]] = one[at[n] : at[n] + sizes[n]]
            at[n] += sizes[n]
        before = state
        copy = torch.cat([v.flatten().float() for v in tensors(before)])
        out, olens, state = encoder.step(
            state, feats, torch.tensor(sizes), torch.tensor(ends)
        )
        assert torch.equal(
            copy, torch.cat([v.flatten().float() for v in tensors(before)])
        )
        done = ends
        out = torch.cat([out, *(one.out for one in state.intermediate)], dim=2)
        for n, count in enumerate(olens.tolist()):
            assert not out[n, count:].any()
            found[n].append(out[n, :count])
            latency[n].append(state.latency[n, :count])
        turn += 1
    return [torch.cat(one) for one in found], [torch.cat(one) for one in latency]


def tensors(value):
    """Return all tensors of a state."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, tuple):
        return [t for one in value for t in tensors(one)]
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return [t for one in fields for t in tensors(getattr(value, one.name))]
    return []


@torch.no_grad()
def offline(encoder, utterance):
    """Return output, intermediate ones beside it, and latencies, of one alone."""
    if len(utterance) < encoder.arithmetic.window:
        size = encoder.output_size() * (1 + len(encoder.interctc_layer_idx))
        return torch.zeros(0, size), torch.zeros(0)
    out, _, _ = encoder(utterance[None], torch.tensor([len(utterance)]))
    if encoder.interctc_layer_idx:
        out = torch.cat([out[0], *(one for _, one in out[1])], dim=2)
    if encoder.lookahead.bands is None:
        return out[0], torch.arange(len(out[0])).flip(0)
    return out[0], encoder.lookahead.algorithmic_latency()[0]


@pytest.mark.parametrize("block", range(10))
@torch.no_grad()
def test_streamed_equals_offline(block):
    draw = random.Random(block)
    waited = 0
    for trial in range(33):
        kind = KINDS[(block * 33 + trial) % len(KINDS)]
        encoder = random_encoder(draw, kind)
        utterances = [
            torch.randn(draw.choice([1, 9, 40, 75, 120, 310]), DIM)
            for _ in range(draw.choice([1, 2, 4]))
        ]
        streamed, latencies = stream(encoder, utterances, draw)
        for one, out, latency in zip(utterances, streamed, latencies, strict=True):
            expected, expected_latency = offline(encoder, one)
            assert out.shape == expected.shape, kind
            torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)
            assert latency.tolist() == expected_latency.long().tolist(), kind
            waited += int(latency.sum())
    assert waited > 0
