"""A learned lookahead, trained with a price on waiting, from a parent, end to end."""

import argparse
import logging
import shutil
from types import SimpleNamespace

import pytest
import soundfile
import torch
import yaml

from espnet_dynlook.lookahead import naive
from espnet_dynlook.training.annealing import LookaheadNotLearned
from espnet_dynlook.training.loading import safe_load

EPOCHS = 5  # masks are rounded from progress 0.5 on: epochs 4 and 5, wholly


def config_file(corpus, path, encoder_conf=(), **model_conf):
    """Write the corpus's configuration with a learned lookahead and a price."""
    config = yaml.safe_load(corpus.config.read_text(encoding="utf-8"))
    config["model"] = "dynlook"
    config["model_conf"].update(
        latency_loss="relative", latency_weight=1e-4, compute_budget=0.9, **model_conf
    )
    config["encoder_conf"].update(
        lookahead="dynamic",
        lookahead_frames=4,
        scheduler_anneal=0.5,
        scheduler_bias=3.0,  # in so few steps, nothing learned decides
    )
    config["encoder_conf"].update(encoder_conf)
    config["max_epoch"] = EPOCHS
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def train(corpus, config, expdir, *extra):
    from espnet_dynlook.bin import asr_train

    args = corpus.train_args(expdir, *extra)
    args[args.index("--config") + 1] = str(config)
    asr_train.main(args)


@pytest.fixture(scope="module")
def dynamic(corpus, trained, tmp_path_factory):
    """Return the folder of a training from the parent that every test here has."""
    folder = tmp_path_factory.mktemp("dynamic")
    config = config_file(corpus, folder / "dynamic.yaml")
    train(corpus, config, folder / "exp", "--init_param", f"{trained}/2epoch.pth")
    return folder / "exp"


def history(expdir):
    return safe_load(expdir / "checkpoint.pth")["reporter"]["stats"]


@pytest.mark.host
def test_statistics_of_every_epoch(dynamic):
    stats = history(dynamic)
    assert sorted(stats) == list(range(1, EPOCHS + 1))
    for epoch, phases in stats.items():
        for phase in ("train", "valid"):
            found = phases[phase]
            assert found["loss"] == pytest.approx(
                found["loss_task"] + found["loss_latency"], rel=1e-4
            )
            assert found["latency_rounded_ms"] >= 0 and found["upl_ms"] >= 0
            assert 0 <= found["undecided"] <= 1
            assert 0 <= found["lookahead_layer1"] <= 4
        assert phases["valid"]["loss_soft"] > 0
        assert "soft_gap" not in phases["train"]
        # Progress 0.3, a fifth of the ramp, comes within the second epoch.
        assert (phases["train"]["latency_weight"] > 0) == (epoch > 1)


def test_best_and_averaged_are_of_rounded_masks_without_the_penalty(dynamic):
    stats = history(dynamic)
    annealed = {epoch: phases["train"]["annealed"] for epoch, phases in stats.items()}
    assert [annealed[e] for e in (1, 2, 4, 5)] == [0, 0, 1, 1]
    assert 0 < annealed[3] < 1
    best = min((4, 5), key=lambda epoch: stats[epoch]["valid"]["loss_task"])
    assert (dynamic / "valid.loss.best.pth").readlink().name == f"{best}epoch.pth"
    average = safe_load(dynamic / "valid.loss.ave_2best.pth")
    single = [safe_load(dynamic / f"{epoch}epoch.pth") for epoch in (4, 5)]
    for key in ("encoder.scheduler.progress", "latency_penalty.mean"):
        assert average[key].is_floating_point()
        expected = (single[0][key] + single[1][key]) / 2
        torch.testing.assert_close(average[key], expected)


def test_the_scheduler_has_its_own_group(dynamic):
    groups = safe_load(dynamic / "checkpoint.pth")["optimizers"][0]["param_groups"]
    assert len(groups) == 2
    assert groups[1]["lr"] == pytest.approx(3 * groups[0]["lr"])
    assert groups[1]["weight_decay"] == 0
    names = [k for k in safe_load(dynamic / "5epoch.pth") if ".scheduler." in k]
    buffers = {"encoder.scheduler.progress"}
    assert len(groups[1]["params"]) == len(set(names) - buffers)


def test_progress_is_that_of_this_training(dynamic, trained):
    state = safe_load(dynamic / "5epoch.pth")
    assert 0.8 < float(state["encoder.scheduler.progress"]) < 1.0
    assert not any(".scheduler." in key for key in safe_load(trained / "2epoch.pth"))


@pytest.mark.host
def test_an_interrupted_dynamic_training_ends_the_same(
    corpus, dynamic, trained, tmp_path
):
    config = dynamic.parent / "dynamic.yaml"
    parent = ("--init_param", f"{trained}/2epoch.pth")

    from espnet_dynlook.training import progress

    tell = progress.tell_progress

    def die(model, epoch, fraction):
        tell(model, epoch, fraction)
        if epoch == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "tell_progress", die)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, config, tmp_path / "exp", *parent)
    assert max(history(tmp_path / "exp")) == 3
    train(corpus, config, tmp_path / "exp", *parent)
    resumed = safe_load(tmp_path / "exp" / "5epoch.pth")
    for key, value in safe_load(dynamic / "5epoch.pth").items():
        assert torch.equal(resumed[key], value), key
    best = "valid.loss.best.pth"
    assert (tmp_path / "exp" / best).readlink() == (dynamic / best).readlink()


def test_a_collapsed_lookahead_stops_with_a_message(corpus, tmp_path):
    closed = {"scheduler_bias": -3.0, "scheduler_noise": 0.0}
    config = config_file(corpus, tmp_path / "collapsed.yaml", closed)
    with pytest.raises(LookaheadNotLearned, match=r"0\.00 frames.*latency_target"):
        train(corpus, config, tmp_path / "exp")
    assert max(history(tmp_path / "exp")) >= 1  # what was before it is kept


def test_a_steered_lookahead_is_judged_after_the_annealing(dynamic):
    from espnet2.train.reporter import Average

    from espnet_dynlook.task import DynlookASRTask
    from espnet_dynlook.training.annealing import check_lookahead

    def check(progress, **price):
        args = yaml.safe_load((dynamic / "config.yaml").read_text(encoding="utf-8"))
        args["model_conf"] = {**args["model_conf"], **price}
        model = DynlookASRTask.build_model(argparse.Namespace(**args))
        model.set_progress(1, progress)
        model.encoder.scheduler.set_progress(progress)
        constant = model.timing.constant_ms(model.encoder)
        stats = {"latency_rounded_ms": [Average(constant)], "undecided": [Average(0.0)]}
        reporter = SimpleNamespace(stats=stats, get_epoch=lambda: 1)
        check_lookahead(model, reporter)

    with pytest.raises(LookaheadNotLearned, match="collapsed"):
        check(0.4)
    check(0.4, latency_target=90)
    with pytest.raises(LookaheadNotLearned, match="collapsed"):
        check(0.9, latency_target=90)


def test_undecided_gates_stop_with_a_message(corpus, tmp_path):
    half = {
        "scheduler_bias": 0.5,
        "scheduler_tau": [1.0, 1.0],
        "scheduler_lr_factor": 1e-4,
    }
    config = config_file(corpus, tmp_path / "undecided.yaml", half)
    with pytest.raises(LookaheadNotLearned, match="% of the gates"):
        train(corpus, config, tmp_path / "exp")


def test_init_param_from_a_dynamic_model_starts_its_annealing_anew(
    corpus, dynamic, tmp_path, caplog
):
    from espnet_dynlook.training.loading import load_init_param

    model = model_of(dynamic)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    load_init_param(f"{dynamic}/5epoch.pth", model, False)
    loaded, file = model.state_dict(), safe_load(dynamic / "5epoch.pth")
    for key, value in file.items():
        of_a_training = key.startswith(("encoder.scheduler.progress", "latency_pen"))
        expected = state[key] if of_a_training else value
        assert torch.equal(loaded[key], expected), key


def model_of(expdir):
    from espnet_dynlook.task import DynlookASRTask

    return DynlookASRTask.build_model_from_file(expdir / "config.yaml")[0]


@pytest.mark.host
def test_init_param_from_a_parent_lists_what_stays_new(dynamic, trained, caplog):
    from espnet_dynlook.training.loading import load_init_param

    model = model_of(dynamic)
    with caplog.at_level(logging.WARNING):
        load_init_param(f"{trained}/2epoch.pth", model, False)
    assert "no learned lookahead: left as initialised" in caplog.text
    assert "encoder.scheduler.segments" in caplog.text
    assert "progress" not in caplog.text
    for key, value in safe_load(trained / "2epoch.pth").items():
        assert torch.equal(model.state_dict()[key], value), key


def test_a_finished_training_stays_as_it_is(corpus, dynamic, tmp_path):
    shutil.copytree(dynamic, tmp_path / "exp", symlinks=True)
    before = (dynamic / "valid.loss.best.pth").readlink()
    train(corpus, dynamic.parent / "dynamic.yaml", tmp_path / "exp")
    assert (tmp_path / "exp" / "valid.loss.best.pth").readlink() == before


@pytest.mark.host
def test_decoding_writes_the_perceived_latency_of_every_utterance(
    corpus, dynamic, tmp_path
):
    from espnet_dynlook.bin import asr_inference

    args = corpus.decode_args(dynamic, tmp_path, "--decoding", "ctc_greedy")
    asr_inference.main(args)
    lines = (tmp_path / "1best_recog" / "upl_ms").read_text().splitlines()
    found = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert len(found) == 3
    speech2text = asr_inference.Speech2Text(
        dynamic / "config.yaml", dynamic / "valid.loss.best.pth", decoding="ctc_greedy"
    )
    for utt, value in found.items():
        samples, _ = soundfile.read(corpus.root / "valid" / "wav" / f"{utt}.wav")
        speech2text(samples.astype("float32"))
        trace = speech2text.asr_model.encoder.lookahead
        bands = [band[0].tolist() for band in trace.bands]
        work = speech2text.asr_model.work.tolist()
        behind = naive.simulate_device(bands, work, int(trace.lengths[0]), 0.9)
        period = speech2text.timing.frame_ms(speech2text.asr_model.encoder)
        assert value == pytest.approx(behind[-1] * period, abs=0.06)
