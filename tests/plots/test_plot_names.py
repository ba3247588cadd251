"""Pictures of names: attention along time, and why a name won or lost."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import yaml
from hub_data import FS, TOKENS
from names_files import soften, write_adapter
from plot_data import make_utterance
from recogniser_files import write_model

from espnet_dynlook.plots.__main__ import PICTURES, main
from espnet_dynlook.plots.names import NO_BIAS, draw, rows_of


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a base with a phone head, an adapter on it, audio and a list."""
    return write(tmp_path_factory.mktemp("names"))


def write(root, margin=None):
    (root / "base").mkdir()
    conf = {"model": "dynlook", "model_conf": {"ctc_weight": 1.0}}
    conf["model_conf"] |= {"phone_ctc_layer": 1, "phone_ctc_weight": 0.3}
    keys = {"lookahead": "chunked", "lookahead_frames": 2}
    config, model = write_model(root / "base", keys, **conf)
    soften(model)
    adapter = write_adapter(root / "base", root / "adapter", adapter_margin=margin)
    audio = root / "speech.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(FS)
    soundfile.write(audio, noise, FS)
    names = root / "names.txt"
    names.write_text("cab\na b\nbac\t2.0\nabc\n", encoding="utf-8")
    return SimpleNamespace(
        root=root, config=config, model=model, audio=audio, names=names, **adapter
    )


def command(files, *words, adapter=True):
    found = [*words, "--asr_model_file", str(files.model)]
    found += ["--asr_train_config", str(files.config), "--audio", str(files.audio)]
    if adapter:
        found += ["--adapter_train_config", str(files.adapter_config)]
        found += ["--adapter_model_file", str(files.adapter_file)]
    return found


@pytest.mark.host
def test_both_pictures_are_written(files, tmp_path, capsys):
    names = ["--catalog", str(files.names)]
    output = tmp_path / "names.png"
    assert main([*command(files, "names"), *names, "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    techniques = tmp_path / "techniques.yaml"
    techniques.write_text(yaml.safe_dump({"rescoring": True, "boosting": {"top": 3}}))
    cmd = [*command(files, "explain", "cab"), *names, "--techniques", str(techniques)]
    assert main([*cmd, "--output", str(tmp_path / "why.svg")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("'cab': ")
    for part in ("tokens: c a b", "said: K AE B", "without the adapter", "phones: "):
        assert part in shown
    picture = (tmp_path / "why.svg").read_text(encoding="utf-8")
    assert "cab: " in picture and "rank " in picture
    # Without an adapter, and with the list of an utterance.
    lists = tmp_path / "lists.tsv"
    lists.write_text('u1\tcab\t["cab"]\t["cab", "bb"]\n', encoding="utf-8")
    cmd = command(files, "explain", "bb", adapter=False)
    cmd += ["--biasing_lists", str(lists), "--utt", "u1"]
    assert main([*cmd, "--output", str(tmp_path / "bb.pdf")]) == 0
    assert "without the adapter" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("picture", "extra", "message"),
    [
        (["explain", "zoe"], ["--catalog", "NAMES"], "'zoe' is none of the 4 names"),
        (["names"], ["--catalog", "no-such-file"], "no-such-file"),
        (["names"], ["--catalog", "NAMES", "--number", "0"], "--number 0"),
        (["names"], ["--catalog", "NAMES", "--start", "9"], "nothing is between 9 s"),
        (["names"], ["--catalog", "NAMES", "--adapter_scale", "x"], "adapter_scale"),
        (["names"], ["--catalog", "NAMES", "--wait", "1"], "needs a model of many"),
        (
            ["explain", "cab"],
            ["--catalog", "NAMES", "--wait", "1"],
            "needs a model of many",
        ),
    ],
)
def test_faults_of_the_user_are_said(files, tmp_path, capsys, picture, extra, message):
    extra = [str(files.names) if word == "NAMES" else word for word in extra]
    cmd = [*command(files, *picture), *extra, "--output", str(tmp_path / "x.png")]
    try:
        assert main(cmd) == 1
    except SystemExit as error:
        assert error.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("margin", [None, 1.0])
def test_the_attention_shown_is_that_of_the_adapter(tmp_path, margin):
    """And its rows: ``<no-bias>``, then names in the order of the list."""
    from espnet_dynlook.plots.names import get_parser
    from espnet_dynlook.plots.names_reading import hear
    from espnet_dynlook.recognizer import Recognizer

    files = write(tmp_path, margin)
    cmd = command(files, "names")[1:]
    args = get_parser().parse_args(
        [*cmd, "--catalog", str(files.names), "--output", "x.png"]
    )
    heard = hear(args)
    assert heard.attention.shape == (len(heard.log_probs), 5)
    assert heard.attention.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert heard.phones.shape[0] == len(heard.log_probs)
    assert [entry.text for entry in heard.catalog] == ["a b", "abc", "bac", "cab"]
    assert not torch.allclose(heard.log_probs, heard.unbiased, atol=1e-4)
    recognizer = Recognizer.from_files(
        files.config,
        files.model,
        adapter_config=files.adapter_config,
        adapter_file=files.adapter_file,
    )
    text = recognizer.transcribe(files.audio, names=files.names).text
    assert " ".join(word.text for word in heard.shown.words) == text
    assert len(TOKENS) == heard.log_probs.shape[1]
    assert (heard.attention > 0).all() == (margin is None)


def test_the_names_with_the_most_attention_are_shown_in_the_order_of_time(words):
    attention = np.full((30, 6), 0.01)
    attention[:, 0] = 1.0
    for frame, name in ((20, 2), (5, 4), (12, 5)):
        attention[frame, [0, name]] = 0.1, 0.9
    assert rows_of(attention, 3) == [4, 5, 2]
    assert rows_of(attention, 1) in ([2], [4], [5])
    utterance = make_utterance(None, words=words)
    names = [f"name {n}" for n in range(1, 6)]
    figure = draw(utterance, names, attention, number=3)
    heat = figure.axes[2]
    labels = [label.get_text() for label in heat.get_yticklabels()]
    assert labels == [NO_BIAS, "name 4", "name 5", "name 2"]
    assert heat.images[0].get_array().shape == (4, 30)


def test_the_list_of_pictures_has_them():
    assert {"names", "explain"} <= set(PICTURES)
