"""Pictures of the masks in TensorBoard, one each epoch of a training."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.training.trainer import DynlookTrainer

with espnet_imports():
    from espnet2.train.distributed_utils import DistributedOption
    from espnet2.train.reporter import SubReporter
    from espnet2.train.trainer import TrainerOptions

TAG = "lookahead/masks"


class _Remembering:
    """Pass batches on, and keep the first utterance of the first of them."""

    def __init__(self, batches: Iterable[Any]):
        self.batches = batches
        self.speech: torch.Tensor | None = None

    def __iter__(self) -> Iterator[Any]:
        for keys, batch in self.batches:
            if self.speech is None and "speech" in batch:
                length = int(batch["speech_lengths"][0])
                self.speech = batch["speech"][0, :length]
            yield keys, batch


class DrawingTrainer(DynlookTrainer):
    """Trainer that shows in TensorBoard what a learned lookahead waits for.

    After each epoch the masks of the first utterance of the validation set are drawn
    (``plots.masks``), where ``--use_tensorboard`` is true and the encoder has
    ``lookahead: dynamic``. TensorBoard shows them as the run ``lookahead``.
    """

    @classmethod
    def validate_one_epoch(
        cls,
        model: torch.nn.Module,
        iterator: Iterable[Any],
        reporter: SubReporter,
        options: TrainerOptions,
        distributed_option: DistributedOption,
    ) -> None:
        """Validate, then draw; the arguments are those of ESPnet's trainer."""
        inner: Any = getattr(model, "module", model)
        learned = getattr(getattr(inner, "encoder", None), "scheduler", None)
        draws = options.use_tensorboard and cls.writes and learned is not None
        batches = _Remembering(iterator) if draws else iterator
        super().validate_one_epoch(
            model=model,
            iterator=batches,
            reporter=reporter,
            options=options,
            distributed_option=distributed_option,
        )
        if isinstance(batches, _Remembering) and batches.speech is not None:
            epoch = reporter.get_epoch()
            try:
                show(inner, batches.speech, Path(options.output_dir), epoch)
            except Exception as error:
                # A training of days does not end for a picture.
                logging.warning(f"the masks of epoch {epoch} are not drawn: {error!r}")


def show(model: Any, speech: torch.Tensor, output_dir: Path, epoch: int) -> None:
    """Draw the masks of one utterance and add them to TensorBoard's files.

    Args:
        model: In evaluation mode.
        speech: Samples (N,) or features (N, D).
        output_dir: Of the training; the files go to ``tensorboard/lookahead`` in it.
        epoch: From 1.
    """
    from torch.utils.tensorboard import SummaryWriter

    from espnet_dynlook.plots.masks import draw
    from espnet_dynlook.plots.reading import System, observe

    name = f"{output_dir.name}, epoch {epoch}"
    utterance = observe(System(name, model), speech.float().cpu().numpy())
    with SummaryWriter(str(output_dir / "tensorboard" / "lookahead")) as writer:
        writer.add_image(
            TAG, pixels(draw([utterance], view="band")), epoch, dataformats="HWC"
        )


def pixels(figure: Any) -> np.ndarray:
    """Return a picture as (height, width, 3) bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from espnet_dynlook.plots.style import style

    canvas = FigureCanvasAgg(figure)
    with style():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
