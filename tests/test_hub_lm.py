"""Language models through the hub: checked, locked, written whole."""

import sys

import pytest
from hub_data import make_corpus

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


AMP = ("--use_amp", "true")  # which a language model on a CPU does without


def lm_args(corpus, output_dir, *extra):
    args = ["--output_dir", str(output_dir), "--token_type", "char"]
    args += ["--token_list", str(corpus.root / "tokens.txt")]
    for name in ("train", "valid"):
        folder = corpus.root / name
        args += [f"--{name}_data_path_and_name_and_type", f"{folder}/text,text,text"]
        args += [f"--{name}_shape_file", f"{folder}/text_shape"]
    args += ["--lm_conf", "unit=8", "--lm_conf", "nlayers=1", "--max_epoch", "1"]
    return [
        *args,
        "--num_workers",
        "0",
        "--batch_size",
        "3",
        "--batch_type",
        "sorted",
        *extra,
    ]


def test_language_model_trains_with_a_lock_and_whole_checkpoints(
    corpus, tmp_path, monkeypatch, caplog
):
    from espnet_dynlook import run
    from espnet_dynlook.training import checkpoint

    saved, locked = [], []
    real = checkpoint.save_whole

    def save(obj, path, *args, **kwargs):
        saved.append(path.name)
        locked.append((tmp_path / "exp" / ".lock").exists())
        return real(obj, path, *args, **kwargs)

    monkeypatch.setattr(checkpoint, "save_whole", save)
    run.main(["-m", "espnet2.bin.lm_train", *lm_args(corpus, tmp_path / "exp"), *AMP])
    assert "trains in float32" in caplog.text
    assert {"checkpoint.pth", "1epoch.pth"} <= set(saved)
    assert all(locked)
    assert not (tmp_path / "exp" / ".lock").exists()


def test_language_model_in_a_folder_in_use_is_refused(corpus, tmp_path):
    from espnet_dynlook import run
    from espnet_dynlook.training.lock import FolderLock

    with FolderLock(tmp_path), pytest.raises(SystemExit, match=r"lm_train: .* in use"):
        run.main(["-m", "espnet2.bin.lm_train", *lm_args(corpus, tmp_path)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lm_conf: {unitt: 8}", "lm_conf: unitt .* did you mean 'unit'"),
        ("lmm: seq_rnn", "unknown key 'lmm'"),
        ("lm: transformr", "did you mean 'transformer'"),
        ("base: nowhere.yaml", "no such file"),
    ],
)
def test_wrong_lm_config_is_one_line(corpus, tmp_path, text, message):
    from espnet_dynlook import run

    file = tmp_path / "lm.yaml"
    file.write_text(text + "\n", encoding="utf-8")
    args = lm_args(corpus, tmp_path / "exp", "--config", str(file))
    with pytest.raises(SystemExit, match=f"^lm_train: error: .*{message}"):
        run.main(["-m", "espnet2.bin.lm_train", *args])
    assert not (tmp_path / "exp").exists()


def test_wrong_config_of_another_program_is_one_line(tmp_path, monkeypatch):
    from espnet_dynlook import run

    (tmp_path / "a.yaml").write_text("base: nowhere.yaml\n")
    command = ["run", "-m", "espnet2.bin.slu_train", "--config", f"{tmp_path}/a.yaml"]
    monkeypatch.setattr(sys, "argv", [*command, "--output_dir", f"{tmp_path}/exp"])
    with pytest.raises(SystemExit, match=r"error: .*nowhere\.yaml: no such file"):
        run.program()
