"""Picture: work that waits for a slow device, and what is left of it at the end.

``python -m espnet_dynlook.plots backlog --asr_model_file exp/asr_x/valid.loss.ave.pth
--audio speech.flac --compute_budget 0.6 --output backlog.pdf``; several models are
drawn in one picture.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from espnet_dynlook.plots.style import (
    BLUE,
    LOOKS,
    PlotError,
    add_output,
    new_figure,
    panel_title,
    style,
)
from espnet_dynlook.plots.utterance import Utterance


@dataclass(frozen=True)
class Backlog:
    """How far a device is behind, on one utterance under one system.

    Attributes:
        utterance: What the encoder waited for.
        arriving: (T,), work that can begin with each frame; that of a frame is 1.
        behind_ms: (T,), time that the device needs for what has arrived by then.
        compute_budget: Real-time factor of the device on this encoder.
    """

    utterance: Utterance
    arriving: np.ndarray
    behind_ms: np.ndarray
    compute_budget: float

    @property
    def upl_ms(self) -> float:
        """User-perceived latency: what is left to do when the last frame has come."""
        return float(self.behind_ms[-1])


def draw(backlogs: Sequence[Backlog]) -> Figure:
    """Draw arriving work and backlog over time, a row of two panels a system.

    The scales are common, but for systems that wait for the end of the utterance: they
    would dwarf the others and have their own.
    """
    scales = []
    for one in backlogs:
        ends = one.utterance.bands is None
        like = [b for b in backlogs if (b.utterance.bands is None) == ends]
        scales.append(
            (
                1.1 * max(float(b.arriving.max()) for b in like),
                1.3 * max(float(b.behind_ms.max()) for b in like) + 1e-6,
            )
        )
    end = max(b.utterance.seconds + b.upl_ms / 1000 for b in backlogs)
    with style():
        figure = new_figure(7.2, 0.4 + 2.1 * len(backlogs))
        axes = figure.subplots(
            2 * len(backlogs),
            1,
            sharex=True,
            squeeze=False,
            height_ratios=[1, 1.6] * len(backlogs),
        )[:, 0]
        for index, (backlog, (most, top)) in enumerate(
            zip(backlogs, scales, strict=True)
        ):
            _arriving(axes[2 * index], backlog, most)
            _behind(axes[2 * index + 1], backlog, top)
        axes[-1].set_xlim(0, end * 1.01)
        axes[-1].set_xlabel("time (s)")
    return figure


def _edges(backlog: Backlog) -> np.ndarray:
    """Return when each frame begins and ends, (T + 1,), in s."""
    return np.arange(len(backlog.behind_ms) + 1) * backlog.utterance.frame_seconds


def _arriving(axes: Axes, backlog: Backlog, most: float) -> None:
    look = LOOKS["chunked"]
    axes.stairs(
        backlog.arriving,
        _edges(backlog),
        fill=True,
        facecolor=look.colour,
        edgecolor="black",
        linewidth=0.3,
    )
    can = 1.0 / backlog.compute_budget
    axes.axhline(can, color="black", linestyle="--", linewidth=0.9)
    axes.set_ylim(0, max(most, 1.15 * can))
    axes.set_ylabel("arrives\n(frames)")
    axes.set_title(backlog.utterance.name, loc="left", pad=3, fontweight="bold")
    axes.set_title(
        f"dashed: what the device does meanwhile, {can:.3g} frames of work a frame "
        f"(real-time factor {backlog.compute_budget:g})",
        loc="right",
        pad=3,
        fontsize=7,
    )


def _behind(axes: Axes, backlog: Backlog, top: float) -> None:
    seconds = backlog.utterance.seconds
    # Work arrives with the end of a frame and is then done at a steady pace.
    times, values = polyline(backlog)
    axes.plot(times, values, color=BLUE, linewidth=1.0)
    axes.fill_between(times, values, color=BLUE, alpha=0.2, linewidth=0)
    upl = backlog.upl_ms
    done = seconds + upl / 1000
    axes.axvline(seconds, color="black", linewidth=0.8, linestyle=":")
    if upl > 0:
        axes.fill_between(
            [seconds, done],
            [upl, 0.0],
            facecolor=LOOKS["dynamic"].colour,
            edgecolor="black",
            hatch="////",
            linewidth=0.6,
        )
    axes.annotate(
        f"speech ends; the user waits {upl:.0f} ms more",
        (seconds, 0.97 * top),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=7.5,
        bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
    )
    axes.set_ylim(0, top)
    axes.set_ylabel("backlog (ms)")
    worst = float(backlog.behind_ms.max())
    panel_title(
        axes, f"time the device is behind after each frame: at most {worst:.0f} ms"
    )


def polyline(backlog: Backlog) -> tuple[np.ndarray, np.ndarray]:
    """Return the backlog as a line: (times in s, ms).

    What has arrived by the end of a frame's period counts after the device has done
    what it could meanwhile, as the simulation counts; between periods the line is
    straight.
    """
    times = np.concatenate([[0.0], _edges(backlog)[1:]])
    return times, np.concatenate([[0.0], backlog.behind_ms])


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    from espnet_dynlook.plots.options import add_models, add_utterance

    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots backlog",
        description="Draw the work that waits for a slow device, and what is left of "
        "it when speech ends.",
    )
    add_models(parser)
    add_utterance(parser)
    add_output(parser)
    parser.add_argument(
        "--compute_budget",
        type=float,
        help="real-time factor of the device on the encoder, such as 0.6: it computes "
        "a second of speech in 0.6 s; without: that in the model_conf of the model",
    )
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the options ask for.

    Raises:
        PlotError: a file or a value is wrong.
    """
    if args.compute_budget is not None and not args.compute_budget > 0:
        raise PlotError(
            f"--compute_budget {args.compute_budget:g} must be above 0: 0.5 where the "
            "device computes a second of speech in half a second"
        )
    from espnet_dynlook.plots.device import read_backlogs

    return draw(read_backlogs(args))
