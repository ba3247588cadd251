"""asr.sh: options, stages that can be repeated, errors, and a whole small run."""

import os
import re
import shutil
import stat
import sys

import pytest
import soundfile

from espnet_dynlook.training.lock import FolderLock

CONFIG = """
encoder: dynlook_conformer
encoder_conf: {lookahead: chunked, lookahead_frames: 1, output_size: 16,
    attention_heads: 2, linear_units: 32, num_blocks: 1, macaron_style: true,
    use_cnn_module: true, cnn_module_kernel: 7, rel_pos_type: latest}
frontend_conf: {n_fft: 512, hop_length: 160}
decoder: transformer
decoder_conf: {num_blocks: 1, linear_units: 32, attention_heads: 2}
model_conf: {ctc_weight: 1.0}
optim: adam
optim_conf: {lr: 0.005}
max_epoch: 1
batch_type: unsorted
batch_size: 8
num_workers: 0
best_model_criterion: [[valid, loss, min]]
keep_nbest_models: 1
"""


@pytest.fixture
def config(recipe):
    """Write a tiny configuration with chunks of two frames."""
    (recipe / "conf").mkdir()
    (recipe / "conf/train.yaml").write_text(CONFIG)
    return "conf/train.yaml"


def stub_python(recipe, body):
    """Return the path of a stand-in for python that a test says the work of."""
    path = recipe / "python_stub"
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def tree(folder):
    """Return every file's content by its path, logs left out."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".log"
    }


def test_unknown_option_fails_and_names_the_nearest(asr_sh, recipe):
    result = asr_sh("--inference_nnj", "3")
    assert result.returncode == 2
    assert "unknown option --inference_nnj; the nearest is --inference_nj" in (
        result.stderr
    )
    assert not (recipe / "data").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--skip_eval", "yes"], "--skip_eval yes: must be true or false"),
        (["--nbpe", "many"], "--nbpe many: must be a number, such as 30"),
        (["--nj", "0"], "--nj 0: must be 1 or more"),
        (["--token_type", "phn"], "--token_type phn: must be one of: bpe char word"),
        (["--audio_format", "mp3"], "--audio_format mp3: must be one of: flac wav"),
        (["--asr_config", "conf/no.yaml"], "--asr_config conf/no.yaml: no such file"),
        (["--train_set", ""], "--train_set is required"),
        (["--stage"], "option --stage has no value"),
        (["stage", "3"], "unexpected argument 'stage'"),
        (["--batch_size", "4"], "--batch_size 4: utterances are decoded one at a time"),
        (["--ngpu=some"], "--ngpu some: must be auto, 0 or more"),
    ],
)
def test_wrong_values_fail_before_anything_is_written(asr_sh, recipe, options, message):
    result = asr_sh(*options)
    assert result.returncode == 2
    assert message in result.stderr
    assert {p.name for p in recipe.iterdir()} == {
        *("asr.sh", "path.sh", "cmd.sh", "utils", "local")
    }


def test_help_shows_every_option_of_espnet_that_a_user_knows(asr_sh):
    text = asr_sh("--help").stdout
    known = """stage stop_stage skip_stages skip_data_prep skip_train skip_eval nj
        inference_nj gpu_inference ngpu num_nodes expdir asr_config asr_tag asr_exp
        asr_args inference_config inference_args inference_tag inference_asr_model nbpe
        token_type speed_perturb_factors audio_format min_wav_duration max_wav_duration
        use_lm use_ngram use_streaming pretrained_model python"""
    shown = set(re.findall(r"^  --(\w+) +\S", text, re.MULTILINE))
    assert set(known.split()) <= shown
    assert all(
        re.search(rf"^  --{name} .*default: \S", text, re.MULTILINE) for name in shown
    )


def test_value_may_follow_an_equals_sign_and_hyphens_are_underscores(asr_sh, recipe):
    result = asr_sh("--stop-stage=1", "--lang=de", "--expdir=x y", check=True)
    assert "Stage 1" in result.stdout
    assert "Stage 2" not in result.stdout


def test_data_stages_twice_do_no_harm(asr_sh, recipe):
    options = ("--stop_stage", "5", "--speed_perturb_factors", "0.9 1.0")
    asr_sh(*options, check=True)
    first = tree(recipe)
    assert "dump/raw/train_sp/wav.scp" in first
    assert "data/en_token_list/char/tokens.txt" in first
    asr_sh(*options, check=True)
    assert tree(recipe) == first


def test_stages_can_be_skipped(asr_sh):
    result = asr_sh(
        *("--stop_stage", "13", "--skip_train", "true", "--skip_eval", "true"),
        *("--skip_stages", "2 4 5"),
        check=True,
    )
    for n in (2, 4, 5, 10, 11, 12, 13):
        assert re.search(rf"Stage {n}: .*: skipped", result.stdout)
    for n in (1, 3):
        assert re.search(rf"Stage {n}: ", result.stdout)
        assert not re.search(rf"Stage {n}: .*: skipped", result.stdout)


def test_faulty_data_stop_the_recipe_after_stage_1(asr_sh, recipe):
    data_sh = recipe / "local/data.sh"
    data_sh.write_text(data_sh.read_text() + "echo amy-train001 >>data/train/text\n")
    result = asr_sh("--stop_stage", "3")
    assert result.returncode != 0
    assert "data/train/text:33: amy-train001 is a duplicate" in result.stderr
    assert not (recipe / "dump").exists()


def test_tokens_are_made_from_cleaned_transcripts(asr_sh, recipe, with_data):
    pytest.importorskip("tacotron_cleaner", reason="an extra of newer ESPnet versions")
    options = ("--stage", "5", "--stop_stage", "5", "--cleaner", "tacotron")
    asr_sh(*options, check=True)
    listed = (recipe / "data/en_token_list/char/tokens.txt").read_text().split()
    assert "A" in listed and "a" not in listed


def test_failed_decoding_leaves_nothing_to_be_scored(asr_sh, recipe, with_data):
    folder = recipe / "exp/asr_x"
    test = folder / "greedy/test"
    (test / "score_wer").mkdir(parents=True)
    (test / "text").write_text("of an earlier decoding")
    (test / "score_wer/result.json").write_text("{}")
    (folder / "valid.loss.ave.pth").touch()
    stub = stub_python(recipe, "exit 1")
    options = ("--asr_tag", "x", "--inference_tag", "greedy", "--python", stub)
    result = asr_sh("--stage", "12", "--stop_stage", "12", *options)
    assert result.returncode != 0
    assert {p.name for p in test.iterdir()} == {"logdir"}


def test_failed_job_shows_its_log_and_last_lines(asr_sh, recipe, with_data):
    shutil.rmtree(recipe / "dump")
    path = recipe / "data/audio/bob-train000.flac"
    path.write_bytes(path.read_bytes()[:1000])
    result = asr_sh("--stage", "3", "--stop_stage", "3")
    assert result.returncode != 0
    assert "its log is dump/raw/logs/format_train.log, which ends:" in result.stderr
    assert "bob-train000.flac" in result.stderr
    assert not (recipe / "dump/raw/org/train").exists()


def test_second_run_on_a_live_experiment_stops_with_its_pid(asr_sh, recipe, with_data):
    folder = recipe / "exp/asr_x"
    folder.mkdir(parents=True)
    (folder / "train.log").write_text("the other's log")
    with FolderLock(folder):
        result = asr_sh("--stage", "11", "--stop_stage", "11", "--asr_tag", "x")
    assert result.returncode != 0
    assert f"exp/asr_x is in use by process {os.getpid()}" in result.stderr
    assert (folder / "train.log").read_text() == "the other's log"


@pytest.mark.parametrize(
    ("options", "launched"),
    [
        (["--ngpu", "1"], False),
        (["--ngpu", "2"], True),
        (["--ngpu", "1", "--num_nodes", "2"], True),
    ],
)
def test_several_gpus_or_nodes_go_through_espnets_launch(
    asr_sh, recipe, with_data, options, launched
):
    stub = stub_python(recipe, f'echo "$*" >>calls; exec "{sys.executable}" -c ""')
    options = [*options, "--asr_tag", "x", "--asr_args", "--max_epoch 3"]
    asr_sh(
        "--stage", "11", "--stop_stage", "11", "--python", stub, *options, check=True
    )
    calls = (recipe / "calls").read_text().splitlines()
    (call,) = (line for line in calls if "asr_train" in line)
    assert ("-m espnet2.bin.launch" in call) == launched
    assert "-m espnet_dynlook.bin.asr_train" in call
    assert "--max_epoch 3" in call
    assert "--output_dir exp/asr_x" in call
    assert "--use_amp" not in call
    if launched:
        assert f"--ngpu {options[1]} " in call


def test_streaming_of_an_encoder_that_cannot_is_refused_before_decoding(asr_sh, recipe):
    folder = recipe / "exp/asr_x"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("encoder: conformer\n")
    (folder / "valid.loss.ave.pth").touch()
    result = asr_sh("--stage", "12", "--asr_tag", "x", "--use_streaming", "true")
    assert result.returncode == 2
    assert "exp/asr_x has encoder conformer, which does not stream" in result.stderr
    assert "contextual_block_conformer" in result.stderr
    (folder / "config.yaml").write_text("encoder: dynlook_conformer\n")
    options = ["--use_streaming", "true", "--use_lm", "true"]
    result = asr_sh("--stage", "12", "--asr_tag", "x", *options)
    assert result.returncode == 2
    assert "give --use_lm false and --use_ngram false" in result.stderr
    assert {p.name for p in folder.iterdir()} == {"config.yaml", "valid.loss.ave.pth"}


def test_decoding_without_a_checkpoint_says_what_to_do(asr_sh):
    result = asr_sh("--stage", "12", "--asr_tag", "x")
    assert result.returncode == 2
    assert "valid.loss.ave.pth does not exist: run stage 11" in result.stderr


@pytest.mark.parametrize("missing", ["lmplz", "kenlm"])
def test_ngram_without_kenlm_fails_at_once(asr_sh, recipe, monkeypatch, missing):
    tools = recipe / "tools"
    tools.mkdir()
    if missing == "lmplz":
        if shutil.which("lmplz"):
            pytest.skip("lmplz is on PATH here")
    else:
        (tools / "lmplz").touch(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    stub = stub_python(recipe, '[ "$2" != "import kenlm" ]')
    result = asr_sh("--use_ngram", "true", "--python", stub)
    assert result.returncode == 2
    expected = {"lmplz": "KenLM's lmplz on PATH", "kenlm": "the Python package kenlm"}
    assert f"needs {expected[missing]}" in result.stderr
    assert not (recipe / "data").exists()


def test_an_option_given_twice_takes_the_last_value(asr_sh):
    # run.sh of a recipe gives defaults, then "$@"; --ngpu 0 comes first here.
    result = asr_sh("--ngpu", "auto", "--stage", "3", "--stop_stage", "2", check=True)
    assert "Finished" in result.stdout


def expected_lookahead(wav_scp):
    """Return the mean lookahead in ms of the encoder in CONFIG, by hand.

    A frame of 40 ms sees 7 feature frames of 10 ms, 3 more than its own, and the last
    of these 6 ms beyond its 10: 36 ms. The first frame of a full chunk waits 40 ms
    more.
    """
    frames = waiting = 0
    for line in wav_scp.read_text().splitlines():
        info = soundfile.info(wav_scp.parents[3] / line.split()[1])
        count = (1 + info.frames // 160 - 7) // 4 + 1
        frames += count
        waiting += count // 2
    return 36 + 40 * waiting / frames


@pytest.mark.recipe
def test_recipe_runs_from_data_to_results(asr_sh, recipe, config):
    asr_sh(
        *("--asr_config", config, "--nj", "1", "--inference_nj", "2"),
        *("--asr_tag", "tiny", "--inference_tag", "greedy"),
        *("--inference_args", "--decoding ctc_greedy"),
        check=True,
    )
    experiment = recipe / "exp/asr_tiny"
    for name in (
        *("config.yaml", "train.log", "run.sh", "images", "tensorboard", "RESULTS.md"),
        *("asr_tiny_valid.loss.ave.zip", "greedy/run.sh", "greedy/test/logdir"),
        *(f"greedy/test/{name}" for name in ("text", "token", "score")),
        *(f"greedy/test/{name}" for name in ("lookahead_ms", "decode_seconds")),
        *(
            f"greedy/test/score_{unit}/{name}"
            for unit in ("wer", "cer")
            for name in ("result.txt", "ref.trn", "hyp.trn")
        ),
    ):
        assert (experiment / name).exists(), name
    stats = recipe / "exp/asr_stats_raw_en_char/train"
    assert {"speech_shape", "text_shape.char", "feats_stats.npz"} <= {
        p.name for p in stats.iterdir()
    }
    keys = [line.split()[0] for line in open(recipe / "dump/raw/test/wav.scp")]
    for name in ("text", "lookahead_ms", "decode_seconds"):
        lines = (experiment / "greedy/test" / name).read_text().splitlines()
        assert [line.split()[0] for line in lines] == keys
    page = (experiment / "RESULTS.md").read_text()
    mean = expected_lookahead(recipe / "dump/raw/test/wav.scp")
    assert re.search(rf"\|test\|8\|\d+\|.*\|{mean:.0f}\|\d+\|76\|\n", page)
    # Scoring again changes nothing, and the log of decoding says each job's end.
    asr_sh(
        *("--asr_config", config, "--stage", "13", "--stop_stage", "13"),
        *("--asr_tag", "tiny", "--inference_tag", "greedy"),
        check=True,
    )
    again = (experiment / "RESULTS.md").read_text()
    assert re.sub("```.*?```", "", again, flags=re.S) == re.sub(
        "```.*?```", "", page, flags=re.S
    )
    # What streams is what was decoded before, and its latencies are measured.
    asr_sh(
        *("--asr_config", config, "--stage", "12", "--stop_stage", "13"),
        *("--asr_tag", "tiny", "--inference_tag", "streamed", "--inference_nj", "2"),
        *("--inference_args", "--decoding ctc_greedy --sim_chunk_length 1600"),
        *("--use_streaming", "true"),
        check=True,
    )
    for name in ("text", "token", "lookahead_ms"):
        streamed = (experiment / "streamed/test" / name).read_text()
        assert streamed == (experiment / "greedy/test" / name).read_text()
    lines = (experiment / "streamed/test/final_ms").read_text().splitlines()
    assert [line.split()[0] for line in lines] == keys
    page = (experiment / "RESULTS.md").read_text()
    assert page.count("|test, final|") == 1 and "## greedy" in page
