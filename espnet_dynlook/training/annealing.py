# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What the annealing of a learned lookahead asks of a training."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.model.latency import COLLAPSED

with espnet_imports():
    from espnet2.train.reporter import Reporter, SubReporter, aggregate

#: More gates than this share between 0.1 and 0.9 have not decided.
UNDECIDED = 0.1


class LookaheadNotLearned(RuntimeError):
    """Training cannot come to a useful lookahead any more; says what to change."""


def scheduler_of(model: torch.nn.Module) -> Any:
    """Return what learns the lookahead of a model's encoder, or None."""
    return getattr(getattr(model, "encoder", None), "scheduler", None)


def _whole_epochs(anneal: float, max_epoch: int) -> bool:
    """Say whether the last epoch begins with rounded masks."""
    # As the schedulers know their progress: in single precision 9/10 is below 0.9.
    begins = torch.tensor((max_epoch - 1) / max_epoch, dtype=torch.float32)
    return float(begins) >= anneal


def check_annealing(anneal: float, max_epoch: int) -> None:
    """Refuse a training in which no whole epoch comes after the annealing.

    Only such epochs have the masks of inference. Without one, soft masks would be
    picked, averaged, and rounded for the first time when the model is used.

    Args:
        anneal: ``scheduler_anneal``, fraction of the training.
        max_epoch: Epochs of the training.

    Raises:
        LookaheadNotLearned: says which values would do.
    """
    if max_epoch < 1 or _whole_epochs(anneal, max_epoch):
        return
    hundredths = 100 * (max_epoch - 1) // max_epoch
    if not _whole_epochs(hundredths / 100, max_epoch):
        hundredths -= 1
    enough = ""
    if anneal < 1:
        least = max(max_epoch, int(1 / (1 - anneal)) - 1)
        while not _whole_epochs(anneal, least):
            least += 1
        enough = f", or max_epoch: {least}"
    raise LookaheadNotLearned(
        f"scheduler_anneal={anneal} with max_epoch={max_epoch}: no whole epoch would "
        "be trained with rounded masks, which the model has at inference; use "
        f"scheduler_anneal: {hundredths / 100:g} at most{enough}"
    )


class AnnealingReporter(Reporter):
    """ESPnet's reporter, which picks epochs by what the model will be at inference.

    * Best, averaged and kept are only epochs that were trained wholly with rounded
      masks, once there are any: before, it is another model.
    * Where the loss has a penalty in it, epochs are compared by ``loss_task``: the
      penalty grows during training, and is not what the model is for.
    * ``patience`` counts from the end of the annealing.
    """

    def _annealed(self, epoch: int) -> bool:
        # A mean over the batches of 0 and 1; one where there is nothing to anneal.
        return self.stats[epoch].get("train", {}).get("annealed", 1.0) > 1 - 1e-6

    def sort_epochs_and_values(
        self, key: str, key2: str, mode: str
    ) -> list[tuple[int, float]]:
        """Return epochs and their values, the best first; see the class."""
        if key2 == "loss" and self.has(key, "loss_task"):
            key2 = "loss_task"
        found = super().sort_epochs_and_values(key, key2, mode)
        return [pair for pair in found if self._annealed(pair[0])] or found

    def check_early_stopping(self, *args: Any, **kwargs: Any) -> bool:
        """Say whether to stop; never before an epoch with rounded masks."""
        if not any(self._annealed(epoch) for epoch in self.stats):
            return False
        return super().check_early_stopping(*args, **kwargs)


@contextlib.contextmanager
def annealing_statistic(model: torch.nn.Module) -> Iterator[None]:
    """Add ``annealed`` to the statistics of training steps inside a ``with`` block.

    1 where masks are rounded, else 0; nothing for encoders that learn no lookahead.
    """
    if scheduler_of(model) is None:
        yield
        return

    def add(module: torch.nn.Module, args: Any, output: Any) -> None:
        if not module.training:
            return
        if isinstance(output, dict):
            stats, weight = output["stats"], output["weight"]
        else:
            _, stats, weight = output
        annealed = float(module.encoder.annealed)  # type: ignore[union-attr,arg-type]
        stats["annealed"] = torch.full_like(weight, annealed, dtype=torch.float32)

    handle = model.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _mean(reporter: SubReporter, name: str) -> float:
    values = reporter.stats.get(name)
    return float(aggregate(values)) if values else math.nan


def check_lookahead(model: torch.nn.Module, reporter: SubReporter) -> None:
    """Stop a training whose lookahead has collapsed or did not decide.

    Only where a penalty is in force: ``latency_loss`` and a learned lookahead. Where
    the wait is held by a ``latency_target``, it may pass zero on its way there: it is
    judged from the end of the annealing.

    Args:
        model: The model.
        reporter: Statistics of the validation that has just been done.

    Raises:
        LookaheadNotLearned: the mean wait with rounded masks is under 0.3 frames, or
            more than 10 % of the gates are undecided after the annealing.
    """
    inner: Any = getattr(model, "module", model)  # from under DistributedDataParallel
    penalty = getattr(inner, "latency_penalty", None)
    if penalty is None or penalty.kind == "none" or penalty.strength() == 0:
        return
    encoder, timing = inner.encoder, inner.timing
    waited = _mean(reporter, "latency_rounded_ms") - timing.constant_ms(encoder)
    frames = waited / timing.frame_ms(encoder)
    on_its_way = penalty.steering is not None and not encoder.annealed
    if frames < COLLAPSED and not on_its_way:
        raise LookaheadNotLearned(
            f"epoch {reporter.get_epoch()}: the mean wait is {frames:.2f} frames, "
            f"under {COLLAPSED}: the lookahead has collapsed to causal. Lower "
            f"latency_weight (now {penalty.low:g}), or hold the wait with "
            "latency_target; start again from the parent in a new --output_dir"
        )
    undecided = _mean(reporter, "undecided")
    if encoder.annealed and undecided > UNDECIDED:
        raise LookaheadNotLearned(
            f"epoch {reporter.get_epoch()}: {100 * undecided:.0f} % of the gates are "
            f"between 0.1 and 0.9 after the annealing, above {100 * UNDECIDED:.0f} %: "
            "rounding changes what the model does. Train longer, lower the second of "
            "scheduler_tau, or raise scheduler_noise"
        )
