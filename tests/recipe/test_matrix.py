"""A matrix of experiments, with recorders in place of training and evaluation."""

import ast
import json
import sys
from pathlib import Path

import pytest
import yaml

from espnet_dynlook.recipe import matrix, matrix_run

DRAW = matrix.draw
# Stands for run.sh: writes down its arguments and, for stage 11, a trained folder.
RECORDER = """#!/usr/bin/env bash
line=$(printf '%s ' "$@"); echo "${line}" >>calls # one write: two may run at a time
exp=
while [ $# -gt 1 ]; do
    case "$1" in --asr_exp) exp=$2 ;; --asr_config) config=$2 ;; esac
    shift
done
if [ -z "${exp}" ]; then
    for set in train easy hard; do
        mkdir -p "dump/raw/${set}" && : >"dump/raw/${set}/text"
    done
    exit 0
fi
case "${exp}" in *${FAIL:-nothing}*) echo no luck; exit 1 ;; esac
echo 'train_data_path_and_name_and_type: [[dump/raw/train/wav.scp, speech, sound]]' \\
    >"${exp}/config.yaml"
: >"${exp}/valid.loss.ave.pth"
"""
# Stands for asr_evaluate: the loss of a system is in LOSSES, by words in its folder.
EVALUATOR = """
import json, sys
from pathlib import Path
print(sys.argv[1:], file=open("evaluations", "a"))
def values(name):
    at = sys.argv.index(name) + 1 if name in sys.argv else len(sys.argv)
    end = next((n for n in range(at, len(sys.argv)) if sys.argv[n][:2] == "--"),
               len(sys.argv))
    return sys.argv[at:end]
(out,) = values("--output_dir")
for kind in values("--override") or [""]:
    for data in values("--data_dir"):
        folder = Path(out, kind.replace(":", "_"), Path(data).name)
        folder.mkdir(parents=True)
        loss = 3.0 if "causal" in str(folder) else 1.0
        rows = [
            dict(utt=f"u{n}", speaker=f"s{n % 3}", tokens=10, words=4, characters=10,
                 loss=10 * loss + n % 2, loss_soft=None, upl_ms=None, errors=n % 2,
                 character_errors=1, frames=2, token_delays_ms=[100.0, 200.0])
            for n in range(6)
        ]
        (folder / "utterances.jsonl").write_text("\\n".join(map(json.dumps, rows)))
        (folder / "lookahead_ms").write_text("u0 40 80\\nu1 120 40\\n")
        (folder / "result.json").write_text(json.dumps({"kind": kind or "chunked"}))
"""
SMALL = {
    "encoder": "dynlook_conformer",
    "encoder_conf": {"rel_pos_type": "latest", "lookahead": "random"},
    "best_model_criterion": [["valid", "loss", "min"]],
    "max_epoch": 30,
}
SMALL["encoder_conf"]["lookahead_frames"] = 4
MATRIX = {
    "corpus": "beeps",
    "sets": ["easy", "hard"],
    "seeds": [1, 2],
    "parent": {"config": "conf/train_asr_random.yaml", "evaluate": ["causal", "full"]},
    "fine_tuning": {"max_epoch": 10},
    "systems": {
        "causal": {"encoder_conf": {"lookahead": "causal"}},
        "chunked": {"encoder_conf": {"lookahead": "chunked"}},
        "full": {"encoder_conf": {"lookahead": "full"}},
    },
    "reference": "chunked",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a recipe's folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/train_asr_random.yaml").write_text(yaml.safe_dump(SMALL))
    (tmp_path / "conf/matrix.yaml").write_text(yaml.safe_dump(MATRIX, sort_keys=False))
    (tmp_path / "run.sh").write_text(RECORDER)
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "evaluate.py").write_text(EVALUATOR)
    monkeypatch.setattr(matrix_run, "EVALUATE", [sys.executable, "evaluate.py"])
    monkeypatch.setattr(matrix, "draw", lambda *args: False)  # takes seconds
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Return a function that runs the matrix; it returns the calls of run.sh."""

    def start(*options, command=(), code=0):
        (folder / "calls").write_text("")
        (folder / "evaluations").write_text("")
        words = ["--matrix", "conf/matrix.yaml", *options, "--", "./run.sh", *command]
        found = matrix.main(words)
        captured = capsys.readouterr()
        start.err, start.out = captured.err, captured.out
        assert found == code, captured
        return (folder / "calls").read_text().splitlines()

    return start


def folder_of(call):
    return Path(call.split("--asr_exp ")[1].split()[0]).name


def test_every_system_starts_from_the_parent_of_its_seed(run, folder):
    first, *calls = run("--jobs", "2", command=["--nbpe", "30"])
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


def test_configuration_of_a_system_is_the_parents_with_few_keys(run, folder):
    from espnet_dynlook.config import resolve

    run()
    written = folder / "exp/matrix/chunked_seed2/matrix.yaml"
    assert yaml.safe_load(written.read_text()) == {
        "base": "../../../conf/train_asr_random.yaml",
        "max_epoch": 10,
        "encoder_conf": {"lookahead": "chunked"},
        "seed": 2,
    }
    conf = {**SMALL["encoder_conf"], "lookahead": "chunked"}
    expected = {**SMALL, "max_epoch": 10, "encoder_conf": conf, "seed": 2}
    assert resolve(written) == expected


def test_what_is_done_is_left_alone(run, folder):
    run()
    page = (folder / "RESULTS.md").read_text()
    assert run() == []
    assert (folder / "evaluations").read_text() == ""
    assert (folder / "RESULTS.md").read_text() == page
    seeds = run("--seeds", "1 2 3")
    assert [folder_of(c) for c in seeds if "seed3" in c] == [
        folder_of(c) for c in seeds if "--asr_exp" in c
    ]


def test_missing_evaluation_is_made_again_and_nothing_else(run, folder):
    run()
    lost = folder / "exp/matrix/full_seed1/evaluate/hard"
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    assert run() == []
    (line,) = (folder / "evaluations").read_text().splitlines()
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
    run, folder, change, options, command, named
):
    run()
    if change:
        text = (folder / change).read_text().replace("30", "31")
        (folder / change).write_text(text)
    assert run(*options, command=command, code=1) == []
    assert "exp/matrix/parent_seed1 was made with other settings" in run.err
    assert named in run.err
    assert "exp/matrix/causal_seed1" in run.err  # it started from that parent


def test_jobs_and_devices_are_no_settings(run):
    run(command=["--nj", "2"])
    assert run("--jobs", "3", command=["--nj=8", "--ngpu", "0"]) == []


def test_failed_parent_leaves_the_other_seed_and_says_what_is_missing(
    run, folder, monkeypatch
):
    monkeypatch.setenv("FAIL", "parent_seed2")
    calls = run(code=1)
    assert not any("causal_seed2" in call for call in calls)
    assert "not finished: parent seed 2: ended with status 1, see" in run.err
    assert "causal seed 2: it needs parent seed 2, which failed" in run.err
    assert "no luck" in run.err
    page = (folder / "RESULTS.md").read_text()
    assert "Not finished: parent seed 2, causal seed 2" in page
    monkeypatch.delenv("FAIL")
    assert all("seed2" in call for call in run())
    assert "Not finished" not in (folder / "RESULTS.md").read_text()


def test_parent_aligns_for_all_systems_of_its_seed(run, folder):
    run()
    for line in (folder / "evaluations").read_text().splitlines():
        seed = "1" if "_seed1" in line else "2"
        words = f"'exp/matrix/parent_seed{seed}/words'"
        if "--override" in line:
            assert f"'--write_alignment', {words}" in line
        else:
            assert f"'--alignment', {words}" in line


def test_from_scratch_there_is_no_parent_and_the_epochs_of_both(run, folder):
    calls = run("--from_scratch", "true")
    names = [folder_of(call) for call in calls if "--asr_exp" in call]
    assert not any("parent" in name for name in names)
    assert not any("--pretrained_model" in call for call in calls)
    config = folder / "exp/matrix_scratch/causal_seed1/matrix.yaml"
    assert yaml.safe_load(config.read_text())["max_epoch"] == 40
    # Words are found by the only system that knows full context, so it comes first.
    assert names.index("full_seed1") < names.index("causal_seed1")
    lines = (folder / "evaluations").read_text().splitlines()
    aligning = [line for line in lines if "--write_alignment" in line]
    assert len(aligning) == 2 and all("full_seed" in line for line in aligning)


def test_results_have_every_system_seed_and_set(run, folder, monkeypatch):
    monkeypatch.setattr(matrix, "draw", DRAW)
    run()
    assert (folder / "results/matrix/tradeoff.png").stat().st_size > 1000
    assert "](results/matrix/tradeoff.png)" in (folder / "RESULTS.md").read_text()
    rows = json.loads((folder / "results/matrix/results.json").read_text())
    systems = ["parent, causal", "parent, full", "causal", "chunked", "full"]
    assert {(r["system"], r["seed"], r["set"]) for r in rows} == {
        (system, seed, name)
        for system in systems
        for seed in (1, 2)
        for name in ("easy", "hard", "all")
    }
    row = next(r for r in rows if (r["system"], r["set"]) == ("chunked", "all"))
    assert row["corpus"] == "beeps" and row["kind"] == "chunked"
    assert row["tokens"] == 120 and row["wer"] == pytest.approx(12.5)
    assert row["loss_per_token"] == pytest.approx(1.05)
    assert row["latency_mean_ms"] == 70 and row["token_delay_mean_ms"] == 150


def test_tables_compare_with_the_reference(run, folder):
    run()
    page = (folder / "RESULTS.md").read_text()
    lines = [
        line.split("|") for line in page.splitlines() if line.startswith("|causal|")
    ]
    assert len(lines) == 3  # all, easy, hard
    for cells in lines:
        assert cells[2] == "70 / 60 / 120"
        assert cells[4:6] == ["3.050 3.050", "3.0500"]
        assert cells[6] == "+2.0000 (+2.0000 to +2.0000)"
    (reference,) = {x for x in page.splitlines() if x.startswith("|chunked|")}
    assert reference.split("|")[6] == ""


def test_user_perceived_latency_is_in_the_tables_where_a_system_has_it(run, folder):
    run()
    assert "user-perceived" not in (folder / "RESULTS.md").read_text()
    for path in folder.glob("exp/matrix/causal_*/evaluate/*/utterances.jsonl"):
        path.write_text(path.read_text().replace('"upl_ms": null', '"upl_ms": 250.0'))
    run()
    lines = (folder / "RESULTS.md").read_text().splitlines()
    for name, value in {"causal": "250", "chunked": "-"}.items():
        cells = [x.split("|") for x in lines if x.startswith(f"|{name}|")]
        assert len(cells) == 3 and all(c[3] == value for c in cells)


def test_page_keeps_what_others_wrote(run, folder):
    (folder / "RESULTS.md").write_text("# Results\n\nBefore.\n")
    run("--seeds", "1")
    with (folder / "RESULTS.md").open("a") as file:
        file.write("\nAfter.\n")
    run()
    page = (folder / "RESULTS.md").read_text()
    assert page.startswith("# Results\n\nBefore.\n")
    assert page.endswith("\nAfter.\n")
    assert page.count("<!-- matrix -->") == 1
    assert "3.050 3.050" in page


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sytems": {}}, "unknown key 'sytems'; did you mean 'systems'"),
        ({"sets": []}, "sets is missing"),
        ({"reference": "none"}, "'none' is not one of causal, chunked, full"),
        ({"parent": {"file": "x"}}, "config: FILE"),
        ({"systems": {"parent": {}}}, "a name other than parent"),
        ({"systems": {"a": {"encoder_conf": {"lookahed": "full"}}}}, "lookahed"),
        ({"systems": {"a": {"base": "conf/none.yaml"}}}, "conf/none.yaml"),
    ],
)
def test_wrong_matrix_file_is_named_before_any_work(run, folder, change, named):
    content = {**MATRIX, **change}
    if "systems" in change:
        content.pop("reference")
    (folder / "conf/matrix.yaml").write_text(yaml.safe_dump(content))
    assert run(code=1) == []
    assert named in run.err


def test_unknown_system_is_named(run):
    run("--systems", "other", code=1)
    assert "--systems other: conf/matrix.yaml has causal, chunked, full" in run.err


def test_some_systems_and_sets_only(run, folder):
    calls = run("--systems", "causal chunked", "--sets", "hard", "--seeds", "1")
    assert [folder_of(c) for c in calls[1:]] == [
        *("parent_seed1", "causal_seed1", "chunked_seed1")
    ]
    assert "dump/raw/easy" not in (folder / "evaluations").read_text()


def test_matrices_of_one_folder_share_parents_and_systems(run, folder):
    run()
    own = {"encoder_conf": {"lookahead": "layerwise"}}
    systems = {"causal": MATRIX["systems"]["causal"], "layerwise": own}
    other = {**MATRIX, "folder": "matrix", "systems": systems, "reference": "causal"}
    (folder / "conf/more.yaml").write_text(yaml.safe_dump(other, sort_keys=False))
    calls = run("--matrix", "conf/more.yaml")
    assert [folder_of(c) for c in calls] == ["layerwise_seed1", "layerwise_seed2"]
    assert "## more on beeps" in (folder / "RESULTS.md").read_text()
    assert (folder / "results/more/results.json").exists()


TEACHER = """
import sys
from pathlib import Path
print(sys.argv[1:], file=open("taught", "a"))
output = Path(sys.argv[sys.argv.index("--output") + 1])
output.write_text(f"taught for {output.parent}")
"""


def with_taught_system(folder, monkeypatch, teach):
    """Add a system with a taught start; return the file that its teacher writes to."""
    (folder / "teach.py").write_text(TEACHER)
    (folder / "taught").write_text("")
    monkeypatch.setattr(matrix_run, "TEACH", [sys.executable, "teach.py"])
    config = yaml.safe_load((folder / "conf/matrix.yaml").read_text())
    config["systems"]["taught"] = {
        "encoder_conf": {"lookahead": "dynamic"},
        "teach": teach,
    }
    (folder / "conf/matrix.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder / "taught"


def test_taught_system_starts_from_what_was_taught(run, folder, monkeypatch):
    log = with_taught_system(folder, monkeypatch, {"latency_target": 90})
    calls = run("--seeds", "1", "--systems", "causal taught")
    starts = {folder_of(c): c for c in calls if "--pretrained_model" in c}
    own = starts["taught_seed1"].split("--pretrained_model ")[1].split()[0]
    assert (folder / own).read_text() == "taught for exp/matrix/taught"
    parent = "exp/matrix/parent_seed1/valid.loss.ave.pth"
    assert f"--pretrained_model {parent}" in starts["causal_seed1"]
    arguments = ast.literal_eval(log.read_text())
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert options["--latency_target"] == "90" and options["--output"] == own
    assert options["--data_dir"] == "dump/raw/train"
    assert options["--asr_model_file"] == parent
    config = (folder / "exp/matrix/taught_seed1/matrix.yaml").read_text()
    assert "teach" not in config
    assert not run("--seeds", "1", "--systems", "causal taught")
    assert len(log.read_text().splitlines()) == 1


def test_systems_of_other_losses_are_taught_once(run, folder, monkeypatch):
    log = with_taught_system(folder, monkeypatch, {"latency_target": 90})
    config = yaml.safe_load((folder / "conf/matrix.yaml").read_text())
    taught = config["systems"]["taught"]
    penalty = {"model": "dynlook", "model_conf": {"latency_loss": "excess"}}
    shared = {"encoder_conf": {**taught["encoder_conf"], "share_wait": True}}
    config["systems"] |= {"other_loss": {**taught, **penalty}}
    config["systems"] |= {"other_scheduler": {**taught, **shared}}
    (folder / "conf/matrix.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    systems = "taught other_loss other_scheduler"
    calls = run("--systems", systems, "--jobs", "4")
    start = {
        folder_of(c): c.split("--pretrained_model ")[1].split()[0]
        for c in calls
        if "/taught/" in c
    }
    assert len(start) == 6 and len(log.read_text().splitlines()) == 4
    assert start["taught_seed1"] == start["other_loss_seed1"]
    others = {"taught_seed2", "other_scheduler_seed1"}
    assert start["taught_seed1"] not in {start[name] for name in others}


def test_other_lessons_are_other_settings(run, folder, monkeypatch):
    with_taught_system(folder, monkeypatch, {"latency_target": 90})
    run("--seeds", "1", "--systems", "taught")
    with_taught_system(folder, monkeypatch, {"latency_target": 60})
    run("--seeds", "1", "--systems", "taught", code=1)
    assert "latency_target: 90 before, 60 now" in run.err


@pytest.mark.parametrize("teach", [{}, {"epochs": 3}, {"latency_target": 9, "lr": 1}])
def test_lessons_without_a_target_or_with_unknown_keys_stop(
    run, folder, monkeypatch, teach
):
    with_taught_system(folder, monkeypatch, teach or {"epochs": 1})
    run("--seeds", "1", code=1)
    assert "options of asr_teach: latency_target" in run.err


def test_taught_system_needs_a_parent(run, folder, monkeypatch):
    with_taught_system(folder, monkeypatch, {"latency_target": 90})
    run("--from_scratch", "true", code=1)
    assert "teach needs the parent" in run.err
