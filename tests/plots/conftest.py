"""Words, and tiny models of every kind for the commands."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    sys.path.insert(0, str(folder))


@pytest.fixture
def words():
    from espnet_dynlook.plots.utterance import Word

    return (Word(0.1, 0.4, "HELLO"), Word(0.5, 1.0, "THERE"))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Return a corpus and model files by kind: dynamic (trained), chunked, full, stock.

    All have the parameters of the trained one, but for its scheduler.
    """
    import torch
    from hub_data import CONFIG, make_corpus

    from espnet_dynlook.bin import asr_train

    root = tmp_path_factory.mktemp("plots")
    corpus = make_corpus(root)
    encoder = {**CONFIG["encoder_conf"], "lookahead": "dynamic", "lookahead_frames": 4}
    encoder["scheduler_anneal"] = 0.5  # of the two epochs
    config = {**CONFIG, "encoder_conf": encoder, "use_tensorboard": True}
    corpus.config.write_text(yaml.safe_dump(config), encoding="utf-8")
    asr_train.main(corpus.train_args(root / "dynamic"))
    files = {"dynamic": root / "dynamic" / "valid.loss.best.pth"}
    config = yaml.safe_load((root / "dynamic/config.yaml").read_text(encoding="utf-8"))
    weights = torch.load(files["dynamic"], weights_only=True)
    weights = {k: v for k, v in weights.items() if ".scheduler." not in k}
    for kind, name in (
        ("chunked", "dynlook_conformer"),
        ("full", "dynlook_conformer"),
        ("stock", "conformer"),
    ):
        own = ("lookahead", "scheduler_")
        keys = {k: v for k, v in encoder.items() if not k.startswith(own)}
        if kind != "stock":
            keys |= {"lookahead": kind, "lookahead_frames": 3}
        (root / kind).mkdir()
        changed = {**config, "encoder": name, "encoder_conf": keys}
        text = yaml.safe_dump(changed)
        (root / kind / "config.yaml").write_text(text, encoding="utf-8")
        files[kind] = root / kind / "model.pth"
        torch.save(weights, files[kind])
    audio = root / "valid" / "wav" / "valid-00.wav"
    return SimpleNamespace(corpus=corpus, files=files, audio=audio, root=root)
