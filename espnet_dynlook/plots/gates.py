"""Picture: what the annealing makes of the gates of a learned lookahead.

``python -m espnet_dynlook.plots gates --asr_model_file exp/asr_x/valid.loss.ave.pth
--audio speech.flac --output gates.pdf`` shows the gates of one utterance at every
temperature; ``gates --tensorboard exp/asr_x/tensorboard`` the course of the training.
"""

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from espnet_dynlook.plots.style import (
    BLUE,
    SKY_BLUE,
    YELLOW,
    PlotError,
    add_output,
    new_figure,
    panel_title,
    style,
)
from espnet_dynlook.plots.utterance import Word

#: A gate below the first is closed, above the second open, between them undecided.
CLOSED, OPEN = 0.1, 0.9
STEPS = 21


@dataclass(frozen=True)
class Sweep:
    """The gates of one utterance as the temperature falls.

    Attributes:
        name: Of the system.
        progress: (P,), fraction of the training.
        temperature: (P,).
        gates: (P, G, T), the first decision of each frame by each of G schedulers.
        values: P arrays, all decisions that were reached.
        anneal: Fraction of the training from which masks are rounded.
        frame_seconds: Period of a frame.
        words: Words with their times.
    """

    name: str
    progress: np.ndarray
    temperature: np.ndarray
    gates: np.ndarray
    values: tuple[np.ndarray, ...]
    anneal: float
    frame_seconds: float
    words: tuple[Word, ...] = ()


def shares(values: np.ndarray) -> tuple[float, float, float]:
    """Return the shares of gates that are closed, undecided and open."""
    if not values.size:
        return 0.0, 0.0, 0.0
    closed, opened = float((values < CLOSED).mean()), float((values > OPEN).mean())
    return closed, 1.0 - closed - opened, opened


def draw(sweep: Sweep) -> Figure:
    """Draw the gates over time and temperature, and how many are decided."""
    schedulers = sweep.gates.shape[1]
    with style():
        figure = new_figure(7.2, 3.0 + 0.9 * schedulers)
        parts: Any = figure.subfigures(
            2, 1, height_ratios=[0.9 * schedulers + 0.4, 2.6]
        )
        axes = parts[0].subplots(schedulers, 1, sharex=True, squeeze=False)[:, 0]
        for number, one in enumerate(axes):
            image = _over_time(one, sweep, number)
            if schedulers > 1:
                one.set_ylabel(f"scheduler {number + 1}\nprogress")
        parts[0].suptitle(
            f"{sweep.name}: first gate of each frame", x=0.02, ha="left", fontsize=9
        )
        bar = parts[0].colorbar(image, ax=list(axes), fraction=0.03, pad=0.01)
        bar.set_label("goes on waiting")
        bar.set_ticks([0.0, 0.5, 1.0])
        axes[-1].set_xlabel("time (s)")
        left, right = parts[1].subplots(1, 2)
        _decided(left, sweep)
        _sorted(right, sweep)
    return figure


def _over_time(axes: Axes, sweep: Sweep, number: int) -> Any:
    gates = sweep.gates[:, number]
    length = gates.shape[1] * sweep.frame_seconds
    half = (sweep.progress[-1] - sweep.progress[0]) / max(len(gates) - 1, 1) / 2
    image = axes.imshow(
        gates,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=0.0,
        vmax=1.0,
        extent=(0, length, sweep.progress[0] - half, sweep.progress[-1] + half),
        interpolation="nearest",
    )
    axes.set_ylabel("progress")
    for word in sweep.words:
        axes.axvline(word.start, color=BLUE, linewidth=0.5)
        if number == 0:
            axes.annotate(
                word.text,
                ((word.start + word.end) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=6,
            )
    return image


def _decided(axes: Axes, sweep: Sweep) -> None:
    table = np.array([shares(v) for v in sweep.values]).T * 100  # (3, P)
    patches = axes.stackplot(
        sweep.progress,
        table,
        colors=["#F2F2F2", YELLOW, SKY_BLUE],
        edgecolor="black",
        linewidth=0.5,
        labels=[f"closed (< {CLOSED})", "undecided", f"open (> {OPEN})"],
    )
    for patch, hatch in zip(patches, ("", "xxxx", "///"), strict=True):
        patch.set_hatch(hatch)
    if sweep.progress[0] < sweep.anneal <= sweep.progress[-1]:
        axes.axvline(sweep.anneal, color="black", linestyle="--", linewidth=1)
        axes.annotate(
            "rounded from here",
            (sweep.anneal, 50),
            xytext=(-3, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="center",
            fontsize=7,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"},
        )
    axes.set_xlim(sweep.progress[0], sweep.progress[-1])
    axes.set_ylim(0, 100)
    axes.set_xlabel("progress of the training")
    axes.set_ylabel("gates (%)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
    start, end = table[1, 0], table[1, -1]
    panel_title(axes, f"undecided: {start:.0f} % at first, {end:.0f} % at the end")


def _sorted(axes: Axes, sweep: Sweep) -> None:
    chosen = np.unique(np.linspace(0, len(sweep.values) - 1, 4).round().astype(int))
    lines = (":", "-.", "--", "-")
    for line, index in zip(lines[-len(chosen) :], chosen, strict=True):
        values = np.sort(sweep.values[index])
        share = (np.arange(len(values)) + 0.5) / max(len(values), 1) * 100
        label = f"{sweep.temperature[index]:.2f}"
        axes.plot(share, values, color="black", linestyle=line, label=label)
    axes.axhspan(CLOSED, OPEN, color=YELLOW, alpha=0.35, linewidth=0)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("gates, sorted (%)")
    axes.set_ylabel("gate")
    axes.legend(
        title="temperature",
        loc="upper center",
        bbox_to_anchor=(0.5, -0.25),
        ncols=len(chosen),
    )
    panel_title(axes, "undecided is what lies in the shaded range")


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    from espnet_dynlook.plots.options import add_models, add_utterance

    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots gates",
        description="Draw the gates of an utterance at every temperature of the "
        "annealing (a model and an utterance), or the course of a training "
        "(--tensorboard).",
    )
    add_models(parser, required=False)
    add_utterance(parser, required=False)
    add_output(parser)
    parser.add_argument(
        "--tensorboard",
        metavar="DIR",
        help="folder that a training with --use_tensorboard true wrote, such as "
        "exp/asr_x/tensorboard",
    )
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the options ask for.

    Raises:
        PlotError: a file or a value is wrong.
    """
    utterance = args.audio is not None or args.data is not None
    if args.tensorboard is not None:
        if args.asr_model_file or utterance:
            raise PlotError("--tensorboard goes without a model and an utterance")
        from espnet_dynlook.plots import course

        return course.draw(course.read(args.tensorboard))
    if not args.asr_model_file or len(args.asr_model_file) != 1 or not utterance:
        raise PlotError(
            "give one --asr_model_file and --audio (or --data and --utt), for the "
            "gates of an utterance, or --tensorboard, for the course of a training"
        )
    from espnet_dynlook.plots.annealing import read_sweep

    return draw(read_sweep(args, np.linspace(0.0, 1.0, STEPS)))
