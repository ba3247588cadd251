"""``--use_amp true`` on a CPU: bfloat16 networks, float32 everything else."""

import argparse
import contextlib

import pytest
import torch
import yaml

from espnet_dynlook.training import amp


@pytest.fixture(scope="module")
def model(corpus):
    from espnet_dynlook.task import DynlookASRTask

    args = DynlookASRTask.parse(corpus.train_args(corpus.root / "unused"))
    torch.manual_seed(0)
    return DynlookASRTask.build_model(args).eval()


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(1)
    return {
        "speech": 0.1 * torch.randn(2, 6400),
        "speech_lengths": torch.tensor([6400, 5600]),
        "text": torch.tensor([[2, 3, 4], [3, 2, -1]]),
        "text_lengths": torch.tensor([3, 2]),
    }


def run(model, batch):
    return model(**{key: value.clone() for key, value in batch.items()})


def test_loss_is_close_to_that_of_float32(model, batch):
    expected, expected_stats, _ = run(model, batch)
    with amp.bfloat16_on_cpu(model):
        loss, stats, _ = run(model, batch)
    assert loss.dtype == torch.float32
    assert loss != expected  # it did compute in bfloat16
    assert torch.allclose(loss, expected, rtol=0.02)
    for name in ("loss_ctc", "loss_att"):
        assert torch.allclose(stats[name], expected_stats[name], rtol=0.02), name


def test_networks_compute_in_bfloat16_and_losses_in_float32(model, batch):
    seen = {}

    def note(name):
        def hook(module, args, output):
            values = [x for x in (*args, output) if isinstance(x, torch.Tensor)]
            seen[name] = {x.dtype for x in values if x.is_floating_point()}

        return hook

    handles = [
        model.ctc.register_forward_hook(note("ctc")),
        model.ctc.ctc_loss.register_forward_hook(note("ctc_loss")),
        model.criterion_att.register_forward_hook(note("att")),
        model.frontend.register_forward_hook(note("frontend")),
        model.encoder.encoders[0].feed_forward.register_forward_hook(note("layer")),
        model.decoder.output_layer.register_forward_hook(note("decoder")),
    ]
    try:
        with amp.bfloat16_on_cpu(model):
            run(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    for name in ("ctc", "ctc_loss", "att", "frontend"):
        assert seen[name] == {torch.float32}, name
    assert torch.bfloat16 in seen["layer"]
    assert torch.bfloat16 in seen["decoder"]


def test_gradients_are_float32_and_point_the_same_way(model, batch):
    gradients = []
    for context in (contextlib.nullcontext(), amp.bfloat16_on_cpu(model)):
        model.zero_grad()
        with context:
            loss = run(model, batch)[0]
        loss.backward()
        found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        gradients.append(torch.cat(found))
    assert gradients[1].dtype == torch.float32
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_afterwards_the_model_is_as_it_was(model, batch):
    before = run(model, batch)[0]
    with pytest.raises(KeyError), amp.bfloat16_on_cpu(model):
        raise KeyError
    assert torch.equal(run(model, batch)[0], before)
    assert "forward" not in vars(model.encoder)


def test_a_cpu_without_the_instructions_is_warned_of(model, monkeypatch, caplog):
    monkeypatch.setattr(amp, "cpu_has_bfloat16", lambda: False)
    with amp.bfloat16_on_cpu(model):
        pass
    assert "no bfloat16 instructions" in caplog.text


@pytest.mark.host
def test_training_with_use_amp_makes_no_gradient_scaler(
    corpus, trained, tmp_path, monkeypatch
):
    import espnet2.train.trainer as host

    from espnet_dynlook.bin import asr_train
    from espnet_dynlook.training.loading import safe_load

    def refuse(*args, **kwargs):
        raise AssertionError("a GradScaler on a CPU")

    monkeypatch.setattr(host, "GradScaler", refuse)
    asr_train.main(corpus.train_args(tmp_path, "--use_amp", "true"))
    loss, expected = (
        safe_load(folder / "checkpoint.pth")["reporter"]["stats"][1]["train"]["loss"]
        for folder in (tmp_path, trained)
    )
    assert loss != expected
    assert loss == pytest.approx(expected, rel=0.05)
    saved = argparse.Namespace(**yaml.safe_load((tmp_path / "config.yaml").read_text()))
    assert saved.use_amp is True
