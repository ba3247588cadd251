"""What the short run.sh scripts hand on to asr.sh and to local/data.sh."""

import subprocess
from pathlib import Path

import pytest

EGS = Path(__file__).parents[2] / "egs"


@pytest.mark.parametrize("form", [("--arctic", "/some/dir"), ("--arctic=/some/dir",)])
def test_arctic_folder_goes_to_data_preparation(run, form):
    (options,) = run("arctic", *form, "--stage", "3")
    assert options["--local_data_opts"] == "--arctic /some/dir"
    assert options["--stage"] == "3"
    assert options["--valid_set"] == "valid"


def test_arctic_voices(run):
    (options,) = run("arctic", "--voices", "bdl slt")
    assert options["--local_data_opts"] == "--voices bdl slt"


def test_option_without_a_value_is_named(run):
    assert run("arctic", "--arctic", code=1) == []
    assert "--arctic needs a folder" in run.err


@pytest.mark.parametrize("recipe", ["arctic", "librispeech"])
@pytest.mark.parametrize("folder", ["/my corpora/x", "/a\tb", "/some*", "/a[1]", "/x?"])
def test_folder_that_would_fall_apart_is_refused(run, recipe, folder):
    assert run(recipe, f"--{recipe}", folder, code=2) == []
    assert f"--{recipe} '{folder}': no spaces" in run.err
    assert run(recipe, f"--{recipe}={folder}", code=2) == []


@pytest.mark.parametrize(
    ("recipe", "own"),
    [
        ("arctic", ["--arctic DIR", "--voices NAMES"]),
        ("librispeech", ["--librispeech DIR", "--train_set PARTS"]),
        ("an4", ["--an4 DIR", "--fold K"]),
        ("pooled", ["--data DIR"]),
        ("voxpopuli", ["--voxpopuli DIR", "--years YEARS", "--accented"]),
        ("mini", ["voices are synthetic"]),
    ],
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_begins_with_the_recipe(recipe, own, option):
    done = subprocess.run(
        ["./run.sh", option],
        cwd=EGS / recipe / "asr1",
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = done.stdout.index("Options of asr.sh:")
    for text in own:
        assert done.stdout.index(text) < theirs
    assert done.stdout.index("--stop_stage  ") > theirs
    assert "pipefail" not in done.stdout
    assert done.stderr == ""


def test_librispeech_parts_become_espnets_sets(run):
    (options,) = run(
        "librispeech",
        *("--librispeech", "/corpus", "--train_set", "train-clean-100"),
        "--test_sets=test-other test-clean",
    )
    assert options["--train_set"] == "train_clean_100"
    assert options["--test_sets"] == "test_other test_clean"
    assert options["--valid_set"] == "dev"
    assert options["--local_data_opts"] == (
        "--librispeech /corpus --train_set train-clean-100 "
        "--test_sets test-other test-clean"
    )


@pytest.mark.parametrize(
    "parts", [["train-clean-100", "train-clean-360"], ["train-960"]]
)
def test_script_and_preparation_agree_on_the_name(run, load, parts):
    (options,) = run("librispeech", "--train_set", " ".join(parts))
    assert options["--train_set"] == load("librispeech", "prepare").set_name(parts)


def test_mini_prepares_once_and_trains_both(run):
    calls = run("mini")
    assert [c["--asr_tag"] for c in calls] in (
        ["causal", "causal", "full"],
        ["causal", "full", "causal"],
    )
    assert (calls[0]["--stage"], calls[0]["--stop_stage"]) == ("1", "10")
    for call in calls[1:]:
        assert call["--stage"] == "11"
        assert call["--asr_config"] == f"conf/train_asr_{call['--asr_tag']}.yaml"
    assert "full=exp/asr_full/ctc_greedy/test" in run.out


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        (("--stage", "12"), [("12", "14")] * 2),
        (("--stop_stage=5",), [("1", "5")]),
        (("--stage", "10", "--stop_stage", "11"), [("10", "10"), *[("11", "11")] * 2]),
    ],
)
def test_mini_runs_the_stages_that_were_asked_for(run, options, stages):
    calls = run("mini", *options)
    assert [(c["--stage"], c["--stop_stage"]) for c in calls] == stages


def test_mini_hands_other_options_on(run):
    calls = run("mini", "--ngpu", "0", "--expdir", "else")
    assert all(c["--ngpu"] == "0" and c["--expdir"] == "else" for c in calls)
    assert "causal=else/asr_causal" in run.out


def test_mini_with_a_config_of_ones_own_is_one_plain_run(run):
    (options,) = run("mini", "--asr_config", "my.yaml", "--stage", "11")
    assert options["--asr_config"] == "my.yaml"
    assert options["--stage"] == "11"


def test_mini_fails_where_a_system_fails(run):
    run("mini", code=1, FAIL="--asr_tag full")
    assert "full failed" in run.err
    assert run.out.count("compare.py") == 0
