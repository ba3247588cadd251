"""Run a model at every step of its annealing and keep its gates."""

from typing import Any

import numpy as np
import torch

from espnet_dynlook.plots.gates import Sweep
from espnet_dynlook.plots.reading import (
    encode,
    load_systems,
    observe,
    read_speech,
)
from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.utterance import kind_of
from espnet_dynlook.plots.words import read_words


@torch.no_grad()
def read_sweep(args: Any, progress: np.ndarray) -> Sweep:
    """Run the model of a command line on its utterance at every step of the annealing.

    Args:
        args: Of ``options.add_models`` and ``options.add_utterance``.
        progress: (P,), fractions of the training.

    Raises:
        PlotError: the model has no gates, a file or a value is wrong.
    """
    (system,) = load_systems(args)
    encoder = system.model.encoder
    scheduler = getattr(encoder, "scheduler", None)
    if scheduler is None:
        raise PlotError(
            f"{system.name} has no gates: they belong to lookahead: dynamic, this is "
            f"lookahead: {kind_of(encoder)}"
        )
    speech = read_speech(args, system)
    words = None if args.words is None else read_words(args.words, args.utt)
    shown = observe(system, speech, args.text, words)
    batch = torch.from_numpy(speech)[None]
    before = float(scheduler.progress)
    first, values, temperature = [], [], []
    try:
        for step in progress.tolist():
            encoder.set_progress(step)
            temperature.append(float(scheduler.temperature))
            with encoder.soft_masks():
                encode(system.model, batch)
            first.append(_first_gates(encoder.lookahead))
            values.append(_reached_gates(encoder.lookahead))
    finally:
        encoder.set_progress(before)
    return Sweep(
        name=system.name,
        progress=progress,
        temperature=np.array(temperature),
        gates=np.stack(first),
        values=tuple(values),
        anneal=float(scheduler.anneal),
        frame_seconds=shown.frame_seconds,
        words=shown.words,
    )


def _first_gates(trace: Any) -> np.ndarray:
    """Return the first decision of each frame by each scheduler, (G, T)."""
    gates = [g[0, :, 0] for g in trace.gates]
    return torch.stack(gates)[:, : int(trace.lengths[0])].float().cpu().numpy()


def _reached_gates(trace: Any) -> np.ndarray:
    """Return all gates whose decision was reached."""
    once = {id(wait): wait for wait in trace.waits if wait is not None}.values()
    reached = [wait.gates[wait.decided].flatten() for wait in once]
    return torch.cat(reached).float().cpu().numpy()
