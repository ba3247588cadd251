"""TensorBoard shows the masks of a learned lookahead, and of nothing else."""

import logging

import pytest
import torch
import yaml
from hub_data import CONFIG

from espnet_dynlook.plots import tensorboard


def pictures(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    if tensorboard.TAG not in events.Tags()["images"]:
        return []
    return events.Images(tensorboard.TAG)


@pytest.mark.host
def test_one_picture_an_epoch(models):
    shown = pictures(models.root / "dynamic" / "tensorboard" / "lookahead")
    assert [event.step for event in shown] == [1, 2]
    assert all(event.width > 300 and event.height > 300 for event in shown)


def test_fixed_masks_are_not_drawn_again_and_again(models, tmp_path):
    from espnet_dynlook.bin import asr_train

    config = {**CONFIG, "use_tensorboard": True, "max_epoch": 1}
    (tmp_path / "chunked.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    cmd = models.corpus.train_args(tmp_path / "exp")
    cmd[cmd.index("--config") + 1] = str(tmp_path / "chunked.yaml")
    asr_train.main(cmd)
    written = {path.name for path in (tmp_path / "exp" / "tensorboard").iterdir()}
    assert written == {"train", "valid"}


def test_a_picture_does_not_end_a_training(models, monkeypatch, caplog):
    """Validation returns, and says why there is no picture."""
    from types import SimpleNamespace

    from espnet_dynlook.plots.reading import load_system

    model = load_system(None, str(models.files["dynamic"]), "x").model

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorboard, "show", fail)
    monkeypatch.setattr(
        tensorboard.DynlookTrainer,
        "validate_one_epoch",
        classmethod(lambda cls, iterator, **others: list(iterator)),
    )
    batch = {"speech": torch.zeros(1, 9), "speech_lengths": torch.tensor([9])}
    with caplog.at_level(logging.WARNING):
        tensorboard.DrawingTrainer.validate_one_epoch(
            model=model,
            iterator=[(["utt"], batch)],
            reporter=SimpleNamespace(get_epoch=lambda: 3),
            options=SimpleNamespace(use_tensorboard=True, output_dir="exp"),
            distributed_option=None,
        )
    assert "the masks of epoch 3 are not drawn" in caplog.text
    assert "No space left" in caplog.text
