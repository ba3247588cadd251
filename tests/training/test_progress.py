"""Progress is told to the model, and shown to the user."""

import fcntl
import os
import select
import struct
import sys
import termios

import pytest
import torch

from espnet_dynlook.training.progress import Display, TimeLeft, duration


class Value:
    def __init__(self, value):
        self.value = value


class Reporter:
    def __init__(self, epoch):
        self.epoch = epoch
        self.stats = {"loss": [Value(3.25)], "lookahead_ms": [Value(120.0)]}

    def get_epoch(self):
        return self.epoch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(1, 1)
        self.encoder.set_progress = lambda progress: self.told.append(progress)
        self.told = []
        self.epochs = []

    def set_progress(self, epoch, progress):
        self.epochs.append((epoch, progress))


def test_progress_is_the_fraction_of_training_done():
    model, display = Model(), Display(max_epoch=4, log_interval=None)
    for epoch in (1, 2):
        batches = list(display.steps(model, ["a", "b"], Reporter(epoch)))
        assert batches == ["a", "b"]
    assert model.told == [0, 1 / 8, 2 / 8, 3 / 8]
    assert model.epochs == [(1, 0), (1, 1 / 8), (2, 2 / 8), (2, 3 / 8)]


def test_progress_reaches_a_model_inside_another():
    wrapper = torch.nn.Module()
    wrapper.module = Model()
    list(Display(1, None).steps(wrapper, ["a"], Reporter(1)))
    assert wrapper.module.told == [0]


def test_iterator_without_length_counts_epochs():
    model = Model()
    steps = Display(4, None).steps(model, iter(["a", "b"]), Reporter(3))
    with pytest.raises(TypeError):
        len(steps)
    assert list(steps) == ["a", "b"]
    assert model.told == [0.5, 0.5]


def test_a_terminal_shows_a_bar_with_loss_lookahead_and_time_left(monkeypatch):
    controller, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    with os.fdopen(terminal, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        display = Display(max_epoch=2, log_interval=None)
        assert display.terminal
        with display.beside_log():
            list(display.steps(Model(), range(3), Reporter(1)))
        stream.flush()
        shown = ""
        # What was written arrives a little later, and in pieces.
        while select.select([controller], [], [], 1.0)[0]:
            shown += os.read(controller, 65536).decode()
    os.close(controller)
    for part in ("epoch 1/2", "2/3", "loss=3.25", "lookahead=120 ms", "left=0:00:"):
        assert part in shown, shown
    assert "\r" in shown


def test_a_log_gets_plain_lines(monkeypatch, caplog, capsys):
    caplog.set_level("INFO")
    display = Display(max_epoch=2, log_interval=2)
    list(display.steps(Model(), range(5), Reporter(2)))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3  # batches 2, 4 and the last
    assert lines[-1].startswith("epoch 2/2, batch 5/5: loss 3.25, lookahead 120 ms, ")
    assert capsys.readouterr().err == ""


def test_workers_but_the_first_are_silent(caplog):
    caplog.set_level("INFO")
    list(Display(2, 1, shown=False).steps(Model(), range(3), Reporter(1)))
    assert caplog.records == []


def test_time_left_counts_only_what_this_run_did(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    left = TimeLeft(progress=0.5)  # resumed half way
    assert left(0.5) == "?"
    now[0] += 60
    assert left(0.6) == "0:04:00"
    assert duration(3725) == "1:02:05"


@pytest.mark.host
def test_training_tells_progress_and_writes_scalars(
    corpus, copy_of_trained, monkeypatch
):
    """And a resumed training goes on where it was."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from espnet_dynlook.bin import asr_train
    from espnet_dynlook.encoder.conformer import DynlookConformerEncoder

    told = []
    monkeypatch.setattr(
        DynlookConformerEncoder,
        "set_progress",
        lambda self, progress: told.append(progress),
        raising=False,
    )
    asr_train.main(corpus.train_args(copy_of_trained, "--max_epoch", "4"))
    assert told == pytest.approx([(6 + step) / 12 for step in range(6)])
    for phase in ("train", "valid"):
        events = EventAccumulator(str(copy_of_trained / "tensorboard" / phase))
        events.Reload()
        scalars = set(events.Tags()["scalars"])
        assert {"loss", "lookahead_ms"} <= scalars, (phase, scalars)
