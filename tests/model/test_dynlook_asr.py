"""ESPnet's ASR model with a price on waiting."""

import inspect

import pytest
import torch
from model_factory import DYNAMIC, KINDS, batch, build

from espnet_dynlook.lookahead.compute import user_perceived_latency, work_per_layer

PRICE = {"latency_loss": "absolute", "latency_weight": 0.1}


@pytest.mark.host
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["naive", "absolute", "relative", "excess", "upl"])
def test_every_loss_trains_every_model(tmp_path, kind, loss):
    model = build(
        tmp_path, kind, latency_loss=loss, latency_weight=0.1, compute_budget=0.9
    ).train()
    loss_value, stats, weight = model(**batch())
    assert loss_value.shape == weight.shape
    torch.testing.assert_close(
        stats["loss"], stats["loss_task"] + stats["loss_latency"]
    )
    assert stats["loss_latency"] > 0
    for key in ("latency_ms", "latency_rounded_ms", "undecided", "upl_ms"):
        assert stats[key].shape == weight.shape and torch.isfinite(stats[key]), key
    assert {"lookahead_layer1", "lookahead_layer2"} <= set(stats)
    loss_value.sum().backward()
    gradients = [p.grad for p in model.encoder.scheduler.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert sum(float(g.abs().sum()) for g in gradients) > 0


def test_penalty_is_per_token_and_frame(tmp_path):
    model = build(tmp_path, **PRICE).eval()
    _, stats, _ = model(**batch())
    constant = model.timing.constant_ms(model.encoder)
    frames = (stats["latency_ms"] - constant) / model.timing.frame_ms(model.encoder)
    tokens = 3.0  # the mean of 4 and 2
    torch.testing.assert_close(stats["loss_latency"], tokens * 0.1 * frames)


def test_the_price_follows_the_schedulers_where_these_count_batches(tmp_path):
    keys = {**DYNAMIC, "scheduler_steps": 8}
    conf = {**PRICE, "latency_warmup": 0.25, "latency_ramp": 0.25}
    model = build(tmp_path, encoder_conf=keys, **conf).train()
    prices = [float(model(**batch())[1]["latency_weight"]) for _ in range(8)]
    assert prices[0] == 0 and prices[-1] == pytest.approx(0.1)
    assert prices == sorted(prices)


def test_loss_without_the_penalty_is_espnets(tmp_path):
    ours, host = build(tmp_path, **PRICE), build(tmp_path, model="espnet")
    host.load_state_dict(ours.state_dict(), strict=False)
    _, stats, _ = ours.eval()(**batch())
    loss, _, _ = host.eval()(**batch())
    torch.testing.assert_close(stats["loss_task"], loss.detach())


def test_features_that_are_normalized_in_place_are_so_once(tmp_path):
    """As ESPnet does with features that come from outside of the model."""

    class InPlace(torch.nn.Module):
        def forward(self, x, lengths):
            x -= 3.0
            return x, lengths

    models = [build(tmp_path, **PRICE), build(tmp_path, model="espnet")]
    generator = torch.Generator().manual_seed(0)
    size = models[0].frontend.output_size()
    features = 3.0 + torch.randn(2, 90, size, generator=generator)
    given = {**batch(), "speech_lengths": torch.tensor([90, 70])}
    models[1].load_state_dict(models[0].state_dict(), strict=False)
    losses = []
    for model in models:
        model.frontend, model.normalize = None, InPlace()
        _, stats, _ = model.eval()(**{**given, "speech": features.clone()})
        losses.append(stats.get("loss_task", stats["loss"]))
    torch.testing.assert_close(*losses)


def test_intermediate_ctc_and_self_conditioning(tmp_path):
    encoder = {
        **DYNAMIC,
        "interctc_layer_idx": [1],
        "interctc_use_conditioning": True,
    }
    model = build(tmp_path, encoder_conf=encoder, interctc_weight=0.5, **PRICE)
    loss, stats, _ = model.train()(**batch())
    loss.backward()
    assert "loss_interctc_layer1" in stats and stats["loss_latency"] > 0


def test_soft_gap_is_of_the_same_weights_and_leaves_the_rounded_trace(tmp_path):
    model = build(tmp_path, **PRICE).eval()
    with torch.no_grad():
        _, stats, _ = model(**batch())
        trace = model.encoder.lookahead
        assert all(((b == 0) | (b == 1)).all() for b in trace.bands)
        with model.encoder.soft_masks():
            soft, _, _ = super(type(model), model).forward(**batch())
    torch.testing.assert_close(stats["loss_soft"], soft)
    gap = (stats["loss_task"] - stats["loss_soft"]) / stats["loss_soft"]
    torch.testing.assert_close(stats["soft_gap"], gap)
    assert model.error_calculator is not None  # back in its place
    assert "loss_soft" not in model.train()(**batch())[1]


def test_a_range_of_weights_is_told_to_the_encoder(tmp_path):
    model = build(
        tmp_path, latency_loss="absolute", latency_weight=[0.001, 0.1]
    ).train()
    waits = set()
    for _ in range(3):
        _, stats, _ = model(**batch())
        assert model.encoder.scheduler.wait == pytest.approx(model.latency_penalty.wait)
        weight = 0.1 * 0.01**model.encoder.scheduler.wait
        assert stats["latency_weight"].item() == pytest.approx(weight)
        waits.add(model.encoder.scheduler.wait)
    assert len(waits) == 3
    model.eval()
    assert model.encoder.scheduler.wait == pytest.approx(0.5)
    model.encoder.set_wait(0.9)  # a caller's choice stays
    model(**batch())
    assert model.encoder.scheduler.wait == 0.9


def test_warm_up_comes_from_the_trainers_progress(tmp_path):
    model = build(tmp_path, **PRICE).train()
    model.set_progress(1, 0.1)
    _, stats, _ = model(**batch())
    assert stats["loss_latency"] == 0 and stats["latency_weight"] == 0
    torch.testing.assert_close(stats["loss"], stats["loss_task"])


@pytest.mark.parametrize("lookahead", ["causal", "chunked", "full"])
def test_fixed_kinds_report_upl(tmp_path, lookahead):
    encoder = {"lookahead": lookahead, "lookahead_frames": 3}
    model = build(tmp_path, encoder_conf=encoder, compute_budget=0.5).eval()
    _, stats, _ = model(**batch())
    assert model.latency_penalty is None and "loss_latency" not in stats
    frames = model.encoder.lookahead.lengths.float()
    # All work at the end: half a frame period for each frame, less the last period.
    if lookahead == "full":
        expected = (0.5 * frames - 1).mean() * model.timing.frame_ms(model.encoder)
        assert stats["upl_ms"].item() == pytest.approx(expected.item(), rel=1e-4)
    elif lookahead == "causal":
        assert stats["upl_ms"] == 0


def test_upl_counts_shared_waits(tmp_path):
    """A row begins when all that it sees is there, also what another waited for."""
    encoder = {**DYNAMIC, "share_wait": True, "lookahead_scheduler": "frame"}
    model = build(tmp_path, encoder_conf=encoder, compute_budget=0.9).eval()
    layers = model.encoder.scheduler.layers
    with torch.no_grad():  # rows that wait differently
        for layer in layers.values():
            for parameter in layer.parameters():
                parameter.copy_(torch.randn(parameter.shape))
    model(**batch())
    trace = model.encoder.lookahead
    seen = tuple((band >= 0.5).float() for band in trace.seen)
    assert any((s > b).any() for s, b in zip(seen, trace.bands, strict=True))
    periods = user_perceived_latency(seen, trace.lengths, model.work, 0.9)
    expected = periods * model.timing.frame_ms(model.encoder)
    torch.testing.assert_close(model.upl_ms(trace), expected)


def test_work_is_counted_from_the_layers(tmp_path):
    model = build(tmp_path, compute_budget=0.9)
    size, units, context = 16, 32, 50
    work = work_per_layer(model.encoder, context)
    assert work.shape == (2,) and work[0] == work[1]
    linear = 2 * (4 * size * size + 2 * size * units)
    convolution = 2 * (2 * size * size + size * 5 + size * size)
    positions = 2 * size * size * (2 * context - 1) / context
    attention = 2 * size * (context + context + 2 * context - 1)
    expected = linear + convolution + positions + attention
    assert work[0].item() == pytest.approx(expected, rel=1e-3)
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    work_per_layer(model.encoder)
    assert torch.equal(torch.rand(1), before)  # draws no random numbers


def test_penalty_state_survives_a_checkpoint(tmp_path):
    one = build(tmp_path, latency_target=80.0, **PRICE).train()
    for seed in range(3):
        one(**batch(seed))
    other = build(tmp_path, latency_target=80.0, **PRICE)
    other.load_state_dict(one.state_dict())
    for key, value in one.latency_penalty.state_dict().items():
        assert value.is_floating_point()
        assert torch.equal(other.latency_penalty.state_dict()[key], value), key
    assert float(one.latency_penalty.steering.steps) == 3


def test_configurations_know_our_keys_and_espnets():
    from espnet_dynlook.model.asr import DynlookASRModel

    names = set(inspect.signature(DynlookASRModel).parameters)
    assert {"ctc_weight", "interctc_weight", "latency_loss", "compute_budget"} <= names
    assert not names & {"args", "kwargs", "self"}


@pytest.mark.parametrize(
    ("encoder_conf", "model_conf", "message"),
    [
        (
            {"lookahead": "chunked", "lookahead_frames": 3},
            {"latency_loss": "absolute"},
            "lookahead: chunked, which learns no waits; set lookahead: dynamic",
        ),
        (
            {"lookahead": "random", "lookahead_frames": 3},
            {"latency_loss": "absolute"},
            "lookahead: random, which learns no waits; set lookahead: dynamic",
        ),
        (
            DYNAMIC,
            {"latency_loss": "absolute", "latency_target": "90"},
            "latency_target='90' ms must be above",
        ),
        (DYNAMIC, {"latency_loss": "absolute", "latency_weight": -1}, "above 0"),
        (DYNAMIC, {"compute_budget": 0.0}, "compute_budget=0.0 must be above 0"),
        (
            DYNAMIC,
            {"latency_loss": "absolute", "latency_target": 5000.0},
            r"latency_target=5000.0 ms must be above .* and at most",
        ),
        (
            DYNAMIC,
            {"latency_loss": "absolute", "latency_target": 1.0},
            r"latency_target=1.0 ms must be above",
        ),
    ],
)
def test_bad_values_of_models_say_what_to_write(
    tmp_path, encoder_conf, model_conf, message
):
    from espnet_dynlook.config import ConfigError

    with pytest.raises(ConfigError, match=message):
        build(tmp_path, encoder_conf=encoder_conf, **model_conf)


def test_longest_target_follows_from_the_scheduler(tmp_path):
    """Segments of R + 1 frames wait R/2 in the mean; rows of L layers R L."""
    for scheduler, frames in (("segment", 1.5), ("frame", 6.0)):
        encoder = {**DYNAMIC, "lookahead_scheduler": scheduler}
        model = build(tmp_path, encoder_conf=encoder)
        period = model.timing.frame_ms(model.encoder)
        longest = model.timing.constant_ms(model.encoder) + frames * period
        build(tmp_path, encoder_conf=encoder, latency_target=longest - 1, **PRICE)
        with pytest.raises(ValueError, match="at most"):
            build(tmp_path, encoder_conf=encoder, latency_target=longest + 1, **PRICE)


@pytest.mark.parametrize(
    ("encoder_conf", "reach"),
    [
        ({}, "=3 in segments that all layers share; change the target or lookahead_f"),
        ({"lookahead_scheduler": "frame"}, "=3 in 2 layers; change the target or look"),
        (
            {"lookahead_scheduler": "sequential", "lookahead_layers": [2]},
            "=3 in the 1 of 2 layers that look ahead; .* or lookahead_layers",
        ),
    ],
)
def test_target_beyond_reach_says_what_it_comes_from(tmp_path, encoder_conf, reach):
    encoder = {**DYNAMIC, **encoder_conf}
    message = f"the longest mean wait with lookahead_frames{reach}"
    with pytest.raises(ValueError, match=message):
        build(tmp_path, encoder_conf=encoder, latency_target=900.0, **PRICE)


def test_espnets_model_with_a_learned_lookahead_warns(tmp_path, caplog):
    model = build(tmp_path, model="espnet")
    assert "without a price on waiting" in caplog.text
    model.train()(**batch())[0].backward()


def test_bfloat16_on_a_cpu_leaves_masks_and_penalty_in_float32(tmp_path):
    from espnet_dynlook.training.amp import bfloat16_on_cpu

    model = build(tmp_path, **PRICE).train()
    with bfloat16_on_cpu(model):
        loss, stats, _ = model(**batch())
    loss.backward()
    assert all(b.dtype == torch.float32 for b in model.encoder.lookahead.bands)
    assert stats["loss_latency"].dtype == torch.float32
    gradients = [p.grad for p in model.encoder.scheduler.parameters()]
    assert all(torch.isfinite(g).all() for g in gradients)
