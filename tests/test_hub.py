"""The hub: training, decoding and ESPnet's own commands with the plugin in place."""

import importlib.util
import io
import logging
import sys
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from hub_data import CONFIG, FS, TOKENS, make_corpus

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def expdir(corpus, tmp_path_factory):
    """Train through the command of an unmodified recipe, on a config with a base."""
    from espnet_dynlook import run

    small = corpus.root / "conf" / "small.yaml"
    small.parent.mkdir()
    small.write_text("base: ../config.yaml\nmax_epoch: 1\n", encoding="utf-8")
    expdir = tmp_path_factory.mktemp("run") / "exp"
    args = corpus.train_args(expdir)
    args[args.index("--config") + 1] = str(small)
    run.main(["-m", "espnet2.bin.asr_train", "--use_preprocessor", "true", *args])
    return expdir


def read(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}


def test_training_leaves_a_config_that_stock_espnet_reads(expdir):
    from espnet_dynlook.task import ASRTask

    merged = yaml.safe_load((expdir / "config.resolved.yaml").read_text())
    assert merged == {**CONFIG, "max_epoch": 1}
    saved = yaml.safe_load((expdir / "config.yaml").read_text())
    assert saved["max_epoch"] == 1
    model, _ = ASRTask.build_model_from_file(
        expdir / "config.yaml", expdir / "1epoch.pth"
    )
    assert type(model.encoder).__name__ == "DynlookConformerEncoder"


@pytest.fixture(scope="module")
def decoded(corpus, expdir, tmp_path_factory):
    """Decode, by both ways, a set with an utterance too short for the subsampling."""
    from espnet_dynlook import run

    out = tmp_path_factory.mktemp("decoded")
    soundfile.write(corpus.root / "short.wav", [0.1] * 100, FS)
    scp = corpus.root / "valid" / "wav.scp"
    text = scp.read_text() + f"valid-99 {corpus.root}/short.wav\n"
    (corpus.root / "decode.scp").write_text(text)
    for decoding in ("espnet", "ctc_greedy"):
        args = corpus.decode_args(
            expdir, out / decoding, "--decoding", decoding, "--beam_size", "3"
        )
        args = [a.replace(str(scp), f"{corpus.root}/decode.scp") for a in args]
        run.main(["-m", "espnet2.bin.asr_inference", "--batch_size", "1", *args])
    return out


@pytest.mark.parametrize("decoding", ["espnet", "ctc_greedy"])
def test_every_file_has_every_utterance(decoded, decoding):
    folder = decoded / decoding / "1best_recog"
    names = ("text", "token", "token_int", "score", "lookahead_ms", "decode_seconds")
    for name in names:
        assert list(read(folder / name)) == [
            "valid-00",
            "valid-01",
            "valid-02",
            "valid-99",
        ]


@pytest.mark.parametrize("decoding", ["espnet", "ctc_greedy"])
def test_too_short_utterance_has_empty_text(decoded, decoding):
    folder = decoded / decoding / "1best_recog"
    for name in ("text", "token", "token_int", "lookahead_ms"):
        assert read(folder / name)["valid-99"] == ""


def test_latency_of_every_frame_is_that_of_the_encoder(decoded, expdir):
    from espnet_dynlook.task import DynlookASRTask

    model, _ = DynlookASRTask.build_model_from_file(expdir / "config.yaml")
    fixed = model.encoder.lookahead_ms(80, FS, 256)
    for decoding in ("espnet", "ctc_greedy"):
        values = read(decoded / decoding / "1best_recog" / "lookahead_ms")["valid-00"]
        inner = [float(value) for value in values.split()][:6]  # two whole chunks
        assert sum(inner) / 6 == pytest.approx(fixed.mean, abs=0.06)
        assert max(inner) == pytest.approx(fixed.max, abs=0.06)


def test_seconds_of_audio_are_those_of_the_file(decoded, corpus):
    spent, audio = read(decoded / "espnet" / "1best_recog" / "decode_seconds")[
        "valid-01"
    ].split()
    info = soundfile.info(corpus.root / "valid" / "wav" / "valid-01.wav")
    assert float(audio) == pytest.approx(info.duration, abs=1e-4)
    assert float(spent) > 0


def test_greedy_from_python_equals_the_command(decoded, corpus, expdir):
    from espnet_dynlook.bin.asr_inference import Speech2Text

    speech2text = Speech2Text(
        expdir / "config.yaml", expdir / "valid.loss.best.pth", decoding="ctc_greedy"
    )
    samples, _ = soundfile.read(corpus.root / "valid" / "wav" / "valid-02.wav")
    text, tokens, token_ids, hypothesis = speech2text(samples.astype("float32"))[0]
    folder = decoded / "ctc_greedy" / "1best_recog"
    assert text == read(folder / "text")["valid-02"]
    assert " ".join(tokens) == read(folder / "token")["valid-02"]
    assert [TOKENS[i] for i in token_ids] == tokens
    score = float(read(folder / "score")["valid-02"])
    assert hypothesis.score == pytest.approx(score, rel=1e-4)


def test_wrong_config_fails_before_anything_is_read_or_written(corpus, tmp_path):
    from espnet_dynlook.bin import asr_train
    from espnet_dynlook.config import ConfigError

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(f"base: {corpus.config}\nencoder_conf: {{num_block: 3}}\n")
    args = corpus.train_args(tmp_path / "exp")
    args = [str(wrong) if a == str(corpus.config) else a for a in args]
    args = [a.replace("/train/", "/nowhere/") for a in args]
    with pytest.raises(ConfigError, match=r"wrong\.yaml.*num_blocks"):
        asr_train.main(args)
    with pytest.raises(ConfigError, match=r"command line.*num_blocks"):
        asr_train.main(
            [
                *corpus.train_args(tmp_path / "exp"),
                "--encoder_conf",
                "num_block=3",
            ]
        )
    assert not (tmp_path / "exp").exists()


def test_statistics_as_a_recipe_collects_them(corpus, tmp_path):
    from espnet_dynlook import run

    stats = tmp_path / "logdir" / "stats.1"
    args = corpus.train_args(stats)
    run.main(["-m", "espnet2.bin.asr_train", "--collect_stats", "true", *args])
    run.main(
        [
            *("-m", "espnet2.bin.aggregate_stats_dirs"),
            *("--input_dir", str(stats)),
            *("--output_dir", str(tmp_path / "stats")),
        ]
    )
    shapes = (tmp_path / "stats" / "train" / "speech_shape").read_text().split("\n")
    assert sorted(shapes) == sorted(
        (corpus.root / "train" / "speech_shape").read_text().split("\n")
    )
    assert (tmp_path / "stats" / "train" / "feats_stats.npz").exists()


def test_launch_as_a_recipe_calls_it(tmp_path):
    from espnet_dynlook import run

    job = tmp_path / "run.sh"
    job.write_text('#!/bin/sh\nshift 2\nlog="$1"\nshift\nexec "$@" > "$log" 2>&1\n')
    job.chmod(0o755)
    log = tmp_path / "train.log"
    code = "import sys; print('job', sys.argv[1:])"
    run.main(
        [
            *("-m", "espnet2.bin.launch", "--cmd", str(job), "--log", str(log)),
            *("--ngpu", "0", "--num_nodes", "1"),
            *("--init_file_prefix", str(tmp_path / ".dist_init_")),
            *("--multiprocessing_distributed", "true", "--"),
            *(sys.executable, "-c", code, "--config", "a.yaml"),
        ]
    )
    assert log.read_text().startswith("job ['--config', 'a.yaml', '--ngpu', '0'")


SHOW = (
    "import sys; from espnet2.tasks.asr import ASRTask, encoder_choices; "
    "print(ASRTask.__name__, 'dynlook_conformer' in encoder_choices.classes, "
    "ASRTask.trainer.__name__, sys.argv)"
)
SHOWN = "DynlookASRTask True DynlookTrainer "


def test_code_standard_input_and_scripts_see_the_plugin(tmp_path, monkeypatch, capsys):
    from espnet_dynlook import run

    run.main(["-c", SHOW, "a"])
    assert SHOWN + "['-c', 'a']" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(SHOW))
    run.main(["-", "a"])
    assert SHOWN + "['-', 'a']" in capsys.readouterr().out
    (tmp_path / "beside.py").write_text("value = 5")
    script = tmp_path / "script.py"
    script.write_text(f"import beside\n{SHOW}\nassert __name__ == '__main__'")
    before = sys.path[:]
    run.main([str(script), "a"])
    assert SHOWN + f"['{script}', 'a']" in capsys.readouterr().out
    assert sys.path == before


def test_utterance_mvn_is_reported_as_waiting_for_the_end(
    corpus, expdir, tmp_path, caplog
):
    from espnet_dynlook.bin.asr_inference import Speech2Text

    changed = yaml.safe_load((expdir / "config.yaml").read_text())
    changed["normalize"] = "utterance_mvn"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(changed))
    speech2text = Speech2Text(
        tmp_path / "config.yaml", expdir / "1epoch.pth", decoding="ctc_greedy"
    )
    assert caplog.text.count("UtteranceMVN uses the whole utterance") == 1
    samples, _ = soundfile.read(corpus.root / "valid" / "wav" / "valid-00.wav")
    speech2text(samples.astype("float32"))
    latencies = speech2text.lookahead_ms()
    assert latencies[-1] == 0
    period = 1000 * len(samples) / FS / len(latencies)
    assert latencies[0].item() == pytest.approx(1000 * len(samples) / FS - period)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decoding: greedy", "decoding: 'greedy' is not one of espnet, ctc_greedy"),
        ("beam_sizes: 5", r"unknown key 'beam_sizes'; did you mean 'beam_size'\?"),
        ("beam_size: wide", "beam_size: 'wide'"),
        ("beam_size: 2.5", r"beam_size: 2\.5 \(float\) has to be int"),
        ("base: nowhere.yaml", "no such file"),
        ("batch_size: 4", "batch_size 4"),
    ],
)
def test_wrong_decode_config_is_one_line_before_a_model_is_loaded(
    corpus, tmp_path, monkeypatch, text, message
):
    from espnet_dynlook import run

    file = tmp_path / "decode.yaml"
    file.write_text(text + "\n", encoding="utf-8")
    nowhere = corpus.decode_args(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(SystemExit, match=f"^asr_inference: error: .*{message}"):
        run.main(["-m", "espnet2.bin.asr_inference", *nowhere, "--config", str(file)])
    assert not (tmp_path / "out").exists()


def test_unknown_option_fails(capsys):
    from espnet_dynlook import run

    with pytest.raises(SystemExit) as stop:
        run.main(["-x"])
    assert stop.value.code == 2
    assert "-x" in capsys.readouterr().err


def test_check_says_what_is_there(capsys):
    from espnet_dynlook import __version__, run

    with pytest.raises(SystemExit) as stop:
        run.main(["--check"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for part in (__version__, f"torch {torch.__version__.split('+')[0]}", "espnet "):
        assert part in said
    assert "encoder: dynlook_conformer, dynlook_transformer" in said


def test_check_names_an_optional_piece_that_is_missing(capsys, monkeypatch):
    from espnet_dynlook import run

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "kenlm" else find_spec(name, *rest),
    )
    monkeypatch.delitem(sys.modules, "kenlm", raising=False)
    assert run.check() == 0
    assert "missing, optional: kenlm, for n-gram" in capsys.readouterr().out


def test_espnet3_builds_the_model_from_the_task():
    task_utils = pytest.importorskip(
        "espnet3.utils.task_utils", reason="this ESPnet has no espnet3"
    )
    logging.disable(logging.WARNING)
    config = {k: v for k, v in CONFIG.items() if k.endswith("_conf") or k == "encoder"}
    config = {**config, "token_list": TOKENS, "normalize": None, "specaug": None}
    config.update(optim_conf={}, scheduler_conf={}, decoder="transformer")
    model = task_utils.get_espnet_model("espnet_dynlook.task.DynlookASRTask", config)
    logging.disable(logging.NOTSET)
    assert type(model.encoder).__name__ == "DynlookConformerEncoder"
