"""What streams equals the offline pass, whatever the packets, pauses and neighbours."""

import dataclasses
import random

import pytest
import torch

from espnet_dynlook.encoder.conformer import DynlookConformerEncoder
from espnet_dynlook.encoder.transformer import DynlookTransformerEncoder

pytestmark = pytest.mark.host

DIM = 20
KINDS = (
    {"lookahead": "causal"},
    {"lookahead": "layerwise"},
    {"lookahead": "layerwise", "total": True},
    {"lookahead": "chunked"},
    {"lookahead": "full"},
    {"lookahead": "random"},
    {"lookahead": "dynamic", "lookahead_scheduler": "frame"},
    {"lookahead": "dynamic", "lookahead_scheduler": "sequential"},
    {"lookahead": "dynamic", "lookahead_scheduler": "segment"},
    {"lookahead": "dynamic", "lookahead_scheduler": "frame", "share_wait": True},
    {"lookahead": "dynamic", "lookahead_scheduler": "sequential", "share_wait": True},
)


def random_encoder(draw, kind):
    """Return an encoder whose gates are neither all open nor all shut."""
    torch.manual_seed(draw.randrange(10**6))
    keys = dict(kind)
    blocks = draw.choice([1, 2, 3])
    if keys.pop("total", False):
        keys["lookahead_total"] = draw.randint(1, 5)
    else:
        keys["lookahead_frames"] = draw.randint(1, 6)
    if keys["lookahead"] == "dynamic":
        keys["scheduler_hidden"] = 8
        keys["scheduler_bias"] = draw.choice([0.0, 0.5, 1.5])
        if keys["lookahead_scheduler"] != "segment" and draw.random() < 0.3:
            keys["lookahead_layers"] = [draw.randint(1, blocks)]
    keys.update(
        output_size=draw.choice([8, 16]),
        attention_heads=draw.choice([1, 2, 4]),
        linear_units=16,
        num_blocks=blocks,
        input_layer=draw.choice(
            ["conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "linear", "conv1d2"]
        ),
        normalize_before=draw.random() < 0.8,
        concat_after=draw.random() < 0.2,
        left_context=draw.choice([-1, -1, 0, 1, 3, 10]),
        interctc_layer_idx=draw.sample(range(1, blocks), draw.randint(0, blocks - 1)),
    )
    if draw.random() < 0.6:
        positions = draw.choice(["rel_pos", "rel_pos", "abs_pos", "scaled_abs_pos"])
        relative = positions == "rel_pos"
        encoder = DynlookConformerEncoder(
            DIM,
            pos_enc_layer_type=positions,
            selfattention_layer_type="rel_selfattn" if relative else "selfattn",
            rel_pos_type="latest",
            macaron_style=draw.random() < 0.5,
            use_cnn_module=draw.random() < 0.8,
            cnn_module_kernel=draw.choice([1, 3, 7]),
            zero_triu=relative and draw.random() < 0.2,
            **keys,
        )
    else:
        encoder = DynlookTransformerEncoder(DIM, **keys)
    for name, parameter in encoder.named_parameters():
        if "scheduler" in name:
            torch.nn.init.normal_(parameter, std=0.7)
        elif parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return encoder.eval()


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
