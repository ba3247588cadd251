"""A matrix of experiments: what is run, from what, and what is left alone."""

import pytest
import yaml
from matrix_fakes import MATRIX, SMALL, folder_of


def test_every_system_starts_from_the_parent_of_its_seed(run_matrix, matrix_folder):
    first, *calls = run_matrix("--jobs", "2", command=["--nbpe", "30"])
    assert "--stage 1 --stop_stage 10" in first and "--nbpe 30" in first
    names = [folder_of(call) for call in calls]
    assert sorted(names) == sorted(
        f"{name}_seed{seed}"
        for name in ("parent", *MATRIX["systems"])
        for seed in (1, 2)
    )
    for call, name in zip(calls, names, strict=True):
        seed = name[-1]
        parent = f"exp/matrix/parent_seed{seed}"
        if name.startswith("parent"):
            assert "--pretrained_model" not in call
        else:
            assert f"--pretrained_model {parent}/valid.loss.ave.pth" in call
            assert names.index(f"parent_seed{seed}") < names.index(name)


def test_configuration_of_a_system_is_the_parents_with_few_keys(
    run_matrix, matrix_folder
):
    from espnet_dynlook.config import resolve

    run_matrix()
    written = matrix_folder / "exp/matrix/chunked_seed2/matrix.yaml"
    assert yaml.safe_load(written.read_text()) == {
        "base": "../../../conf/train_asr_random.yaml",
        "max_epoch": 10,
        "encoder_conf": {"lookahead": "chunked"},
        "seed": 2,
    }
    conf = {**SMALL["encoder_conf"], "lookahead": "chunked"}
    expected = {**SMALL, "max_epoch": 10, "encoder_conf": conf, "seed": 2}
    assert resolve(written) == expected


def test_what_is_done_is_left_alone(run_matrix, matrix_folder):
    run_matrix()
    page = (matrix_folder / "RESULTS.md").read_text()
    assert run_matrix() == []
    assert (matrix_folder / "evaluations").read_text() == ""
    assert (matrix_folder / "RESULTS.md").read_text() == page
    seeds = run_matrix("--seeds", "1 2 3")
    assert [folder_of(c) for c in seeds if "seed3" in c] == [
        folder_of(c) for c in seeds if "--asr_exp" in c
    ]


def test_missing_evaluation_is_made_again_and_nothing_else(run_matrix, matrix_folder):
    run_matrix()
    lost = matrix_folder / "exp/matrix/full_seed1/evaluate/hard"
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    assert run_matrix() == []
    (line,) = (matrix_folder / "evaluations").read_text().splitlines()
    assert "dump/raw/hard" in line and "dump/raw/easy" not in line


@pytest.mark.parametrize(
    ("change", "options", "command", "named"),
    [
        (None, ["--asr_args", "--max_epoch 1"], [], "asr_args: '' before"),
        (None, [], ["--nbpe", "80"], "run command: './run.sh' before"),
        ("conf/train_asr_random.yaml", [], [], "config: max_epoch: 30 before, 31 now"),
    ],
)
def test_other_settings_stop_before_any_work(
    run_matrix, matrix_folder, change, options, command, named
):
    run_matrix()
    if change:
        text = (matrix_folder / change).read_text().replace("30", "31")
        (matrix_folder / change).write_text(text)
    assert run_matrix(*options, command=command, code=1) == []
    assert "exp/matrix/parent_seed1 was made with other settings" in run_matrix.err
    assert named in run_matrix.err
    assert "exp/matrix/causal_seed1" in run_matrix.err  # it started from that parent


def test_jobs_and_devices_are_no_settings(run_matrix):
    run_matrix(command=["--nj", "2"])
    assert run_matrix("--jobs", "3", command=["--nj=8", "--ngpu", "0"]) == []


def test_failed_parent_leaves_the_other_seed_and_says_what_is_missing(
    run_matrix, matrix_folder, monkeypatch
):
    monkeypatch.setenv("FAIL", "parent_seed2")
    calls = run_matrix(code=1)
    assert not any("causal_seed2" in call for call in calls)
    assert "not finished: parent seed 2: ended with status 1, see" in run_matrix.err
    assert "causal seed 2: it needs parent seed 2, which failed" in run_matrix.err
    assert "no luck" in run_matrix.err
    page = (matrix_folder / "RESULTS.md").read_text()
    assert "Not finished: parent seed 2, causal seed 2" in page
    monkeypatch.delenv("FAIL")
    assert all("seed2" in call for call in run_matrix())
    assert "Not finished" not in (matrix_folder / "RESULTS.md").read_text()


def test_parent_aligns_for_all_systems_of_its_seed(run_matrix, matrix_folder):
    run_matrix()
    for line in (matrix_folder / "evaluations").read_text().splitlines():
        seed = "1" if "_seed1" in line else "2"
        words = f"'exp/matrix/parent_seed{seed}/words'"
        if "--override" in line:
            assert f"'--write_alignment', {words}" in line
        else:
            assert f"'--alignment', {words}" in line


def test_from_scratch_there_is_no_parent_and_the_epochs_of_both(
    run_matrix, matrix_folder
):
    calls = run_matrix("--from_scratch", "true")
    names = [folder_of(call) for call in calls if "--asr_exp" in call]
    assert not any("parent" in name for name in names)
    assert not any("--pretrained_model" in call for call in calls)
    config = matrix_folder / "exp/matrix_scratch/causal_seed1/matrix.yaml"
    assert yaml.safe_load(config.read_text())["max_epoch"] == 40
    # Words are found by the only system that knows full context, so it comes first.
    assert names.index("full_seed1") < names.index("causal_seed1")
    lines = (matrix_folder / "evaluations").read_text().splitlines()
    aligning = [line for line in lines if "--write_alignment" in line]
    assert len(aligning) == 2 and all("full_seed" in line for line in aligning)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sytems": {}}, "unknown key 'sytems'; did you mean 'systems'"),
        ({"sets": []}, "sets is missing"),
        ({"reference": "none"}, "'none' is not one of causal, chunked, full"),
        ({"parent": {"file": "x"}}, "config: FILE"),
        ({"parent": {"config": 5}}, "parent: config: 5 has to be FILE"),
        ({"parent": {**MATRIX["parent"], "keys": 5}}, "parent: keys: 5 has to be keys"),
        (
            {"parent": {**MATRIX["parent"], "evaluate": "causal"}},
            "parent: evaluate: 'causal' has to be kinds of lookahead",
        ),
        ({"seeds": []}, "seeds: [] has to be whole numbers from 0"),
        ({"seeds": ["a"]}, "seeds: ['a'] has to be whole numbers from 0"),
        ({"seeds": [1.5]}, "seeds: [1.5] has to be whole numbers from 0"),
        ({"seeds": [True]}, "seeds: [True] has to be whole numbers from 0"),
        ({"seeds": [1, -1]}, "seeds: [1, -1] has to be whole numbers from 0"),
        ({"seeds": [1, 2, 1]}, "seeds: [1, 2, 1] has 1 more than once"),
        ({5: 1}, "unknown key 5"),
        ({"systems": {"parent": {}}}, "other than parent"),
        ({"systems": {4: {}}}, "systems: 4: {}: a system has a name, in words"),
        ({"systems": {"a": 5}}, "systems: a: 5: a system has a name"),
        ({"systems": {"a": {"base": 5}}}, "systems: a: base: 5 has to be a FILE"),
        ({"systems": {"a": {"encoder_conf": {"lookahed": "full"}}}}, "lookahed"),
        ({"systems": {"a": {"base": "conf/none.yaml"}}}, "conf/none.yaml"),
    ],
)
def test_wrong_matrix_file_is_named_before_any_work(
    run_matrix, matrix_folder, change, named
):
    content = {**MATRIX, **change}
    if "systems" in change:
        content.pop("reference")
    (matrix_folder / "conf/matrix.yaml").write_text(yaml.safe_dump(content))
    assert run_matrix(code=1) == []
    assert named in run_matrix.err


@pytest.mark.parametrize(
    ("teach", "named"),
    [
        (105, "105 has to be options of asr_teach: latency_target"),
        ([105], "[105] has to be options of asr_teach"),
        ({"latency_target": -5}, "latency_target: -5 has to be a mean latency"),
        ({"latency_target": "105"}, "latency_target: '105' has to be a mean latency"),
        ({"latency_target": True}, "latency_target: True has to be a mean latency"),
        ({"latency_target": float("nan")}, "latency_target: nan has to be a mean"),
        ({"latency_target": 9, "epochs": 0}, "epochs: 0 has to be a whole"),
        ({"latency_target": 9, "epochs": None}, "epochs: None has to be a whole"),
        ({"latency_target": 9, "utterances": 1.5}, "utterances: 1.5 has to be a whole"),
    ],
)
def test_wrong_lessons_are_named_before_any_work(
    run_matrix, matrix_folder, teach, named
):
    systems = {**MATRIX["systems"], "taught": {"teach": teach}}
    content = yaml.safe_dump({**MATRIX, "systems": systems}, sort_keys=False)
    (matrix_folder / "conf/matrix.yaml").write_text(content)
    assert run_matrix(code=1) == []
    assert f"conf/matrix.yaml: systems: taught: teach: {named}" in run_matrix.err


@pytest.mark.parametrize("seeds", ["a", "1 1", "1 -2", ""])
def test_wrong_seeds_are_named_before_any_work(run_matrix, seeds):
    assert run_matrix("--seeds", seeds, code=1) == []
    assert "--seeds: [" in run_matrix.err


def test_a_system_that_would_end_before_its_annealing_is_named(
    run_matrix, matrix_folder
):
    keys = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_anneal": 1.0}
    systems = {**MATRIX["systems"], "soft": {"encoder_conf": keys}}
    content = yaml.safe_dump({**MATRIX, "systems": systems}, sort_keys=False)
    (matrix_folder / "conf/matrix.yaml").write_text(content)
    assert run_matrix(code=1) == []
    assert "soft: encoder_conf: scheduler_anneal=1.0" in run_matrix.err


def test_unknown_system_is_named(run_matrix):
    run_matrix("--systems", "other", code=1)
    assert (
        "--systems other: conf/matrix.yaml has causal, chunked, full" in run_matrix.err
    )


def test_some_systems_and_sets_only(run_matrix, matrix_folder):
    calls = run_matrix("--systems", "causal chunked", "--sets", "hard", "--seeds", "1")
    assert [folder_of(c) for c in calls[1:]] == [
        *("parent_seed1", "causal_seed1", "chunked_seed1")
    ]
    assert "dump/raw/easy" not in (matrix_folder / "evaluations").read_text()


def test_matrices_of_one_folder_share_parents_and_systems(run_matrix, matrix_folder):
    run_matrix()
    own = {"encoder_conf": {"lookahead": "layerwise"}}
    systems = {"causal": MATRIX["systems"]["causal"], "layerwise": own}
    other = {
        **MATRIX,
        "folder": "matrix",
        "systems": systems,
        "reference": "causal",
    }
    (matrix_folder / "conf/more.yaml").write_text(
        yaml.safe_dump(other, sort_keys=False)
    )
    calls = run_matrix("--matrix", "conf/more.yaml")
    assert [folder_of(c) for c in calls] == ["layerwise_seed1", "layerwise_seed2"]
    assert "## more on beeps" in (matrix_folder / "RESULTS.md").read_text()
    assert (matrix_folder / "results/more/results.json").exists()
