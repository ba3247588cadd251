"""What AN4's run.sh makes of its options."""

import pytest


@pytest.fixture
def features(tmp_path):
    (tmp_path / "features" / "mfcc").mkdir(parents=True)
    return str(tmp_path / "features")


def test_recordings_are_fetched_and_heard(run):
    (options,) = run("an4")
    assert options["--feats_type"] == "raw"
    assert options["--local_data_opts"] == ""
    assert [options[f"--{n}"] for n in ("train_set", "valid_set", "test_sets")] == [
        "train",
        "valid",
        "test",
    ]


def test_the_copy_decides_what_is_read(run, features, tmp_path):
    (options,) = run("an4", "--an4", features)
    assert options["--feats_type"] == "extracted"
    assert options["--local_data_opts"] == f"--an4 {features}"
    (tmp_path / "an4").mkdir()
    (options,) = run("an4", f"--an4={tmp_path / 'an4'}")
    assert options["--feats_type"] == "raw"


@pytest.mark.parametrize("later", [("--stage", "11"), ("--stage=2",)])
def test_later_stages_take_what_stage_1_made(run, tmp_path, later):
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "feats.scp").touch()
    (options,) = run("an4", *later)
    assert options["--feats_type"] == "extracted"
    for first in ((), ("--stage", "1"), ("--stage=1",), ("--stop_stage", "5")):
        (options,) = run("an4", *first)
        assert options["--feats_type"] == "raw"  # it will fetch recordings


def test_tuning_does_not_see_the_test_set(run):
    (options,) = run("an4", "--fold", "3", "--stage", "11")
    assert options["--local_data_opts"] == "--fold 3"
    assert options["--train_set"] == "train_fold3"
    assert options["--valid_set"] == options["--test_sets"] == "valid_fold3"
    assert options["--expdir"] == "exp/fold3"


@pytest.mark.parametrize("fold", ["5", "-1", "x"])
def test_there_are_five_folds(run, fold):
    assert run("an4", "--fold", fold, code=2) == []
    assert f"--fold {fold}: must be a number from 0 to 4" in run.err


@pytest.mark.parametrize("option", ["--an4", "--fold"])
def test_option_without_a_value_is_named(run, option):
    assert run("an4", option, code=1) == []
    assert f"{option} needs a" in run.err


def test_options_of_asr_sh_win(run):
    (options,) = run("an4", "--expdir", "elsewhere", "--asr_tag", "x")
    assert options["--expdir"] == "elsewhere"
    assert options["--asr_tag"] == "x"
