"""Values that cannot work are refused in words; those that can, work."""

import logging
import re

import pytest
import torch
from factory import ABSOLUTE, INPUT_SIZE, KINDS, PAIRS, make

from espnet_dynlook.encoder.masks import make_kind
from espnet_dynlook.encoder.subsampling import TooShortUttError
from espnet_dynlook.lookahead.kinds import ALL_KINDS

pytestmark = pytest.mark.host

ALL = "causal, layerwise, chunked, full, random, dynamic"
BOTH = [
    ({"positionwise_layer_type": "conv1d"}, "use positionwise_layer_type: linear"),
    ({"pos_enc_layer_type": "conv"}, "pos_enc_layer_type='?conv'? cannot stream"),
    ({"input_layer": "conv3d"}, "input_layer='conv3d' of dynlook_.* must be one of"),
    ({"lookahead": "dynamical"}, "lookahead='dynamical' must be one of causal"),
    ({"lookahead": "dynamc"}, f"one of {ALL}; did you mean 'dynamic'"),
    ({"lookahead": "Random"}, f"one of {ALL}; did you mean 'random'"),
    ({"lookahead": None}, f"lookahead=None must be one of {ALL}$"),
    ({"lookahead": 3}, f"lookahead=3 must be one of {ALL}$"),
    ({"lookahead": "chunked"}, "lookahead_frames=0 must be at least 1"),
    ({"lookahead": "random"}, "lookahead_frames=0 must be .* lookahead: random"),
    ({"lookahead": "random", "lookahead_frames": -1}, "lookahead_frames=-1 must be"),
    ({"left_context": -2}, "left_context=-2 must be -1"),
    ({"interctc_layer_idx": [3]}, r"\[3\] is not in 1 .. 2"),
]
CONFORMER_ONLY = [
    ({"rel_pos_type": "legacy"}, "rel_pos_type=legacy cannot stream.*latest"),
    ({"pos_enc_layer_type": "legacy_rel_pos"}, "legacy_rel_pos cannot stream"),
    ({"selfattention_layer_type": "selfattn"}, "use rel_selfattn"),
    ({"ctc_trim": True}, "use ctc_trim: false"),
    ({"cnn_module_kernel": 30}, "cnn_module_kernel=30 must be odd.*use 31"),
    ({"stochastic_depth_rate": [0.1]}, "1 values for num_blocks=3"),
    ({"causal_conv": False}, "lookahead=causal does not count"),
]


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [(name, *case) for name in PAIRS for case in BOTH]
    + [("conformer", *case) for case in CONFORMER_ONLY],
)
def test_impossible_values_say_what_to_use(name, keys, message):
    with pytest.raises(ValueError, match=message):
        make(name, **keys)


FIXED = [
    {"lookahead": "causal"},
    {"lookahead": "layerwise", "lookahead_frames": 1},
    {"lookahead": "chunked", "lookahead_frames": 2},
    {"lookahead": "full"},
    {"lookahead": "random", "lookahead_frames": 2},
]


@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: kind["lookahead"])
def test_what_only_learned_lookahead_has_is_refused_elsewhere(kind):
    for keys in ({"share_wait": True}, {"lookahead_layers": [1]}):
        ((key, value),) = keys.items()
        message = f"{key}={value!r} belongs to lookahead: dynamic.*{kind['lookahead']}"
        with pytest.raises(ValueError, match=message.replace("[1]", r"\[1\]")):
            make(**kind, **keys)


@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: kind["lookahead"])
def test_schedulers_of_a_base_may_stay_but_have_to_be_right(kind):
    keys = {"lookahead_scheduler": "frame", "scheduler_tau": [1.0, 0.1]}
    carried, without = make(**kind, **keys, scheduler_anneal=0), make(**kind)
    for one, other in zip(
        carried.state_dict().items(), without.state_dict().items(), strict=True
    ):
        assert one[0] == other[0] and torch.equal(one[1], other[1])
    for wrong, message in (
        ({"lookahead_scheduler": "oracle"}, "must be one of frame"),
        ({"scheduler_tau": [0.1, 1.0]}, "the first at the beginning"),
        ({"scheduler_hidden": 0}, "scheduler_hidden=0"),
        ({"scheduler_bias": 4.0}, "scheduler_bias=4.0 must be"),
        ({"scheduler_anneal": 1.5}, "scheduler_anneal=1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**kind, **wrong)


def test_unused_schedulers_draw_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    make_kind("causal", 16, 3, 0, None, scheduler="frame")
    assert torch.equal(torch.rand(1), expected)


NO_FRAMES = [2.5, 2.0, True, "2", None, float("nan")]


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("value", NO_FRAMES, ids=repr)
def test_frames_are_whole_numbers(kind, value):
    with pytest.raises(ValueError, match=f"lookahead_frames={value!r} must be a whole"):
        make(lookahead=kind, lookahead_frames=value)


@pytest.mark.parametrize("value", NO_FRAMES, ids=repr)
def test_left_context_is_a_whole_number(value):
    with pytest.raises(ValueError, match=f"left_context={value!r} must be -1"):
        make(left_context=value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("share_wait", value) for value in (1, "false", None)),
        *(("scheduler_detach", value) for value in (0, "true", None)),
        *(("lookahead_layers", value) for value in (1, "12", [1.0], [True], ["1"])),
        *(("scheduler_hidden", value) for value in (8.0, True, "8", None)),
        *(("scheduler_bias", value) for value in (True, "1", None, float("nan"))),
        *(("scheduler_noise", value) for value in (True, "1", None)),
        *(("scheduler_tau", value) for value in (1.0, None, "10", [1.0, "0"], [True])),
        *(("scheduler_anneal", value) for value in (True, "0.8", None)),
        *(("scheduler_lr_factor", value) for value in (True, "3", None)),
        *(("lookahead_scheduler", value) for value in (1, None)),
    ],
)
def test_options_of_another_type_are_named_whatever_the_kind(key, value):
    for kind in ("causal", "dynamic"):
        with pytest.raises(ValueError, match=re.escape(f"{key}={value!r} must be")):
            make(lookahead=kind, lookahead_frames=2, **{key: value})


@pytest.mark.parametrize("value", [3.5, -3.01, float("inf")])
def test_bias_is_within_what_logits_are_clipped_to(value):
    for scheduler in ("frame", "sequential", "segment"):
        keys = {"lookahead": "dynamic", "lookahead_frames": 2}
        keys["lookahead_scheduler"] = scheduler
        with pytest.raises(ValueError, match=f"scheduler_bias={value} .* from -3 to 3"):
            make(**keys, scheduler_bias=value)
        make(**keys, scheduler_bias=3)


def test_sizes_are_whole_numbers_and_rates_numbers():
    for key, value in (("num_blocks", 2.5), ("attention_heads", True)):
        with pytest.raises(ValueError, match=f"{key}={value} .* whole number"):
            make(**{key: value})
    with pytest.raises(ValueError, match=r"layer_drop_rate='0' .* from 0 to below 1"):
        make(layer_drop_rate="0")


def test_relative_positions_left_out_are_latest_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        encoder = make(rel_pos_type=None)
        assert "rel_pos_type: latest" in caplog.text
        caplog.clear()
        same = make(rel_pos_type="latest")
        make(rel_pos_type=None, **ABSOLUTE)
        assert not caplog.text
    features, lengths = torch.randn(1, 30, INPUT_SIZE), torch.tensor([30])
    assert torch.equal(encoder(features, lengths)[0], same(features, lengths)[0])


@pytest.mark.parametrize("layer,shortest", [("conv2d", 7), ("conv2d6", 11)])
def test_too_short_input_is_named(layer, shortest):
    encoder = make(input_layer=layer)
    lengths = torch.tensor([30, shortest - 1])
    with pytest.raises(TooShortUttError, match=r"utterance 1 .* at least") as error:
        encoder(torch.randn(2, 30, INPUT_SIZE), lengths)
    assert (error.value.actual_size, error.value.limit) == (shortest - 1, shortest)
    out, olens, _ = encoder(torch.randn(1, shortest, INPUT_SIZE), lengths[1:] + 1)
    assert out.shape[1] == olens.item() == 1


def test_empty_input_is_too_short():
    with pytest.raises(TooShortUttError, match="has 0 frames"):
        make()(torch.randn(1, 0, INPUT_SIZE), torch.tensor([0]))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_input_that_is_not_finite_is_named(value):
    batch = torch.randn(3, 30, INPUT_SIZE)
    batch[1, 12, 3] = value
    with pytest.raises(ValueError, match=r"utterances \[1\] of the batch have NaN"):
        make()(batch, torch.tensor([30, 30, 30]))


def test_lengths_beyond_the_input_are_refused():
    with pytest.raises(ValueError, match=r"ilens=\[31\] is longer than the input"):
        make()(torch.randn(1, 30, INPUT_SIZE), torch.tensor([31]))


@pytest.mark.parametrize("kind", KINDS)
def test_long_positions_extend(kind):
    encoder = make(max_pos_emb_len=4, **KINDS[kind])
    longer = make(max_pos_emb_len=500, **KINDS[kind])
    features, lengths = torch.randn(1, 90, INPUT_SIZE), torch.tensor([90])
    assert torch.equal(encoder(features, lengths)[0], longer(features, lengths)[0])


def test_left_context_bounds_the_past():
    encoder = make(left_context=1, num_blocks=2, cnn_module_kernel=1)
    features = torch.randn(1, 80, INPUT_SIZE)
    before = encoder(features, torch.tensor([80]))[0]
    changed = features.clone()
    changed[:, :20] += 1.0
    after = encoder(changed, torch.tensor([80]))[0]
    # Inputs 0 .. 19 reach outputs up to 4 by the convolutions, two more by two layers.
    assert torch.equal(before[:, 7:], after[:, 7:])
    assert not torch.equal(before[:, 6], after[:, 6])


def test_self_conditioning_feeds_the_posteriors_back():
    encoder = make(interctc_layer_idx=[1], interctc_use_conditioning=True)
    encoder.conditioning_layer = torch.nn.Linear(5, encoder.output_size())
    head = torch.nn.Linear(encoder.output_size(), 5)

    class Ctc:
        def softmax(self, hidden):
            return head(hidden).softmax(-1)

    features, lengths = torch.randn(1, 50, INPUT_SIZE), torch.tensor([50])
    (with_it, inner), _, _ = encoder(features, lengths, ctc=Ctc())
    encoder.interctc_use_conditioning = False
    (without, inner_without), _, _ = encoder(features, lengths)
    assert torch.equal(inner[0][1], inner_without[0][1])
    assert not torch.allclose(with_it, without)


def test_layers_are_dropped_in_training_only():
    encoder = make(layer_drop_rate=0.999, dropout_rate=0.0, positional_dropout_rate=0.0)
    features, lengths = torch.randn(1, 50, INPUT_SIZE), torch.tensor([50])
    whole = encoder(features, lengths)[0]
    torch.manual_seed(0)
    dropped = encoder.train()(features, lengths)[0]
    without = make(num_blocks=1, dropout_rate=0.0, positional_dropout_rate=0.0)
    without.encoders = torch.nn.Sequential()
    without.encoders.layer_drop_rate = 0.0
    without.embed, without.after_norm = encoder.embed, encoder.after_norm
    without._fixed = type(encoder.kind)("causal", 0)
    assert torch.allclose(dropped, without(features, lengths)[0])
    assert not torch.allclose(dropped, whole)


def test_stochastic_depth_keeps_the_mean_of_the_residual():
    keys = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0, "num_blocks": 1}
    encoder = make("conformer", stochastic_depth_rate=0.5, **keys).train()
    features, lengths = torch.randn(1, 50, INPUT_SIZE), torch.tensor([50])
    torch.manual_seed(0)
    outputs = [encoder(features, lengths)[0] for _ in range(12)]
    kinds = {round(out.sum().item(), 3) for out in outputs}
    assert len(kinds) == 2, "a layer is either skipped or scaled up"


@pytest.mark.parametrize("name", PAIRS)
def test_bfloat16_is_close_to_float32(name):
    encoder = make(name, lookahead="chunked", lookahead_frames=3)
    features, lengths = torch.randn(2, 60, INPUT_SIZE), torch.tensor([60, 41])
    expected, olens, _ = encoder(features, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = encoder(features, lengths)[0]
    for row, length in enumerate(olens):
        torch.testing.assert_close(
            result[row, :length].float(), expected[row, :length], atol=0.15, rtol=0.1
        )
    assert torch.isfinite(result).all()
