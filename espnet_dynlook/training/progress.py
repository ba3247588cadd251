"""How far training is: told to the model, and shown to whoever waits for it."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm


def tell_progress(model: torch.nn.Module, epoch: int, progress: float) -> None:
    """Tell a model, and its encoder, how much of the training is done.

    Args:
        model: May have ``set_progress(epoch, progress)``; its ``encoder`` may have
            ``set_progress(progress)``.
        epoch: From 1.
        progress: Fraction of the training that is done, in [0, 1].
    """
    inner: Any = getattr(model, "module", model)  # from under DistributedDataParallel
    if callable(getattr(inner, "set_progress", None)):
        inner.set_progress(epoch, progress)
    encoder: Any = getattr(inner, "encoder", None)
    if getattr(inner, "base_is_frozen", False):
        return  # its encoder is as its own training left it
    if callable(getattr(encoder, "set_progress", None)):
        encoder.set_progress(progress)


def duration(seconds: float) -> str:
    """Write a time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class TimeLeft:
    """Estimate the time to the end from what this run has done so far."""

    def __init__(self, progress: float):
        self.start = time.monotonic()
        self.first = progress

    def __call__(self, progress: float) -> str:
        """Return h:mm:ss, or "?" before anything is done."""
        done = progress - self.first
        if done <= 0:
            return "?"
        return duration((time.monotonic() - self.start) / done * (1 - progress))


class Display:
    """A progress bar on a terminal; lines of the log elsewhere.

    Args:
        max_epoch: Epochs of the whole training.
        log_interval: Steps between lines; None: twenty lines an epoch, at most one in
            ten steps, as ESPnet's own.
        shown: False: show nothing, for workers other than the first.
    """

    def __init__(self, max_epoch: int, log_interval: int | None, shown: bool = True):
        self.max_epoch = max_epoch
        self.log_interval = log_interval
        self.shown = shown
        self.terminal = shown and sys.stderr.isatty()
        self.time_left: TimeLeft | None = None

    @contextlib.contextmanager
    def beside_log(self) -> Iterator[None]:
        """Print the log's lines above the bar inside a ``with`` block."""
        if not self.terminal:
            yield
            return
        with logging_redirect_tqdm():
            yield

    def steps(
        self, model: torch.nn.Module, iterator: Iterable[Any], reporter: Any
    ) -> "Steps":
        """Return the iterator of an epoch, which tells and shows progress.

        Args:
            model: As for ``tell_progress``.
            iterator: Batches of one epoch.
            reporter: ESPnet's reporter of this epoch: number, and statistics so far.
        """
        return Steps(self, model, iterator, reporter)


class Steps:
    """The batches of an epoch, with its length if the iterator has one."""

    def __init__(
        self,
        display: Display,
        model: torch.nn.Module,
        iterator: Iterable[Any],
        reporter: Any,
    ):
        self.display = display
        self.model = model
        self.iterator = iterator
        self.reporter = reporter
        self.epoch = reporter.get_epoch()
        try:
            self.total: int | None = len(iterator)  # type: ignore[arg-type]
        except TypeError:
            self.total = None

    def __len__(self) -> int:
        """Return the number of batches.

        Raises:
            TypeError: the iterator does not know.
        """
        if self.total is None:
            raise TypeError("the iterator has no length")
        return self.total

    def progress(self, step: int) -> float:
        """Return the fraction of the training that is done before a step, from 0.

        An iterator without a length counts by whole epochs.
        """
        within = step / self.total if self.total else 0.0
        return min((self.epoch - 1 + within) / self.display.max_epoch, 1.0)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches."""
        display = self.display
        if display.time_left is None:
            display.time_left = TimeLeft(self.progress(0))
        with tqdm(
            total=self.total,
            desc=f"epoch {self.epoch}/{display.max_epoch}",
            unit="batch",
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
            disable=not display.terminal,
        ) as bar:
            for step, batch in enumerate(self.iterator):
                tell_progress(self.model, self.epoch, self.progress(step))
                yield batch
                # Back here, the step is done and its statistics are registered.
                self._show(bar, step + 1)
                bar.update()

    def _interval(self) -> int:
        if self.display.log_interval is not None:
            return self.display.log_interval
        return max(self.total // 20, 10) if self.total else 100

    def _show(self, bar: tqdm, step: int) -> None:
        display = self.display
        last_or_due = step % self._interval() == 0 or step == self.total
        if not display.shown or not (display.terminal or last_or_due):
            return
        assert display.time_left is not None
        values = {}
        loss = self._latest("loss")
        if loss is not None:
            values["loss"] = f"{loss:.3g}"
        lookahead = self._latest("lookahead_ms")
        if lookahead is not None:
            values["lookahead"] = f"{lookahead:.0f} ms"
        values["left"] = display.time_left(self.progress(step))
        if display.terminal:
            # The bar draws itself ten times a second; the last values always show.
            bar.set_postfix(values, refresh=step == self.total)
            return
        text = ", ".join(f"{name} {value}" for name, value in values.items())
        of = f"/{self.total}" if self.total else ""
        logging.info(
            f"epoch {self.epoch}/{display.max_epoch}, batch {step}{of}: {text}"
        )

    def _latest(self, name: str) -> float | None:
        values = self.reporter.stats.get(name)
        return values[-1].value if values else None
