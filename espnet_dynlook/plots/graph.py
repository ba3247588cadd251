"""Picture: the computational graph of a few frames, with the path that waits.

``python -m espnet_dynlook.plots graph --asr_model_file exp/asr_x/valid.loss.ave.pth
--audio speech.flac --start 1.2 --output graph.pdf``.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from espnet_dynlook.plots.style import (
    BLUE,
    GREY,
    VERMILION,
    PlotError,
    add_output,
    new_figure,
    style,
)


@dataclass(frozen=True)
class Path:
    """Why an output waits: the chain of frames that makes it late.

    Attributes:
        output: The output frame.
        steps: (layer, frame) from the last layer down to the input, layer 0.
        latency: Frames that the output waits for; on soft masks their weighted number.
    """

    output: int
    steps: tuple[tuple[int, int], ...]
    latency: float


def winning_path(bands: Sequence[np.ndarray], output: int) -> Path:
    """Follow the recursion of the algorithmic latency back from an output.

    Slow and plain; ``lookahead.latency.algorithmic_latency`` is the one to compute
    with. Where several chains make an output equally late, one that steps straight down
    is taken, else the one through the nearest frames.

    Args:
        bands: L arrays (T, R_l) in [0, 1], lowest layer first.
        output: Frame whose latency is explained.

    Raises:
        PlotError: there is no such frame.
    """
    num_frames = len(bands[0])
    if not 0 <= output < num_frames:
        raise PlotError(f"frame {output} is not in 0 .. {num_frames - 1}")
    reach = np.arange(num_frames, dtype=float)
    came: list[np.ndarray] = []  # per layer, the frame below that decided
    for band in bands:
        above, chosen = np.empty(num_frames), np.empty(num_frames, dtype=int)
        for row in range(num_frames):
            best, settled = _latest(reach, row)
            above[row], chosen[row] = settled, best
            gain = 0.0
            for column in range(row + 1, min(row + band.shape[1], num_frames - 1) + 1):
                more = band[row, column - row - 1] * (reach[column] - settled)
                if more > gain:
                    gain, chosen[row] = more, column
            above[row] += gain
        reach = above
        came.append(chosen)
    frame, latest = _latest(reach, output)  # outputs leave in order
    steps = [(len(bands), frame)]
    for layer in range(len(bands), 0, -1):
        frame = int(came[layer - 1][frame])
        steps.append((layer - 1, frame))
    return Path(output, tuple(steps), float(latest - output))


def _latest(reach: np.ndarray, row: int) -> tuple[int, float]:
    """Return the frame up to ``row`` that reaches furthest, the last such, and how."""
    past = reach[: row + 1]
    best = row - int(past[::-1].argmax())
    return best, float(past[best])


def draw(
    bands: Sequence[np.ndarray],
    path: Path,
    frame_seconds: float,
    first: int,
    last: int,
    name: str = "",
    constant_ms: float = 0.0,
) -> Figure:
    """Draw the frames first .. last of all layers, and the path.

    Args:
        bands: L arrays (T, R_l) in [0, 1], lowest layer first.
        path: From ``winning_path``.
        frame_seconds: Period of a frame.
        first: First frame of the window.
        last: Last frame of it; the path has to be inside.
        name: Of the system.
        constant_ms: Of front end and subsampling; said beside the path's own latency.

    Raises:
        PlotError: the path leaves the window.
    """
    used = [path.output, *(frame for _, frame in path.steps)]
    if min(used) < first or max(used) > last or last >= len(bands[0]):
        raise PlotError(
            f"the path of frame {path.output} uses the frames {min(used)} to "
            f"{max(used)}, the picture shows {first} to {last} of {len(bands[0])}: "
            "show more, or explain another frame"
        )
    width = float(np.clip(1.2 + 0.38 * (last - first + 1), 4.5, 11.0))
    with style():
        figure = new_figure(width, 1.5 + 0.72 * len(bands))
        axes = figure.add_subplot()
        for layer, band in enumerate(bands, 1):
            _edges(axes, layer, band, first, last)
        for layer in range(len(bands) + 1):
            frames = np.arange(first, last + 1)
            axes.plot(
                frames,
                np.full(len(frames), layer),
                "o",
                color="white",
                markeredgecolor="black",
                markeredgewidth=0.7,
                markersize=5.5,
                zorder=3,
            )
        _path(axes, bands, path)
        _axes(axes, len(bands), first, last, frame_seconds)
        top = path.steps[0][1]
        after = "" if top == path.output else f" behind output {top}"
        waits = 1000 * path.latency * frame_seconds
        title = f"output {path.output} waits for {path.latency:.3g} frames{after}: "
        title += f"{waits:.0f} ms + {constant_ms:.0f} ms of front end and subsampling"
        axes.set_title(f"{name}: {title}" if name else title, loc="left", wrap=True)
        figure.legend(handles=_legend(bands), loc="outside lower center", ncols=4)
    return figure


def _edges(axes: Axes, layer: int, band: np.ndarray, first: int, last: int) -> None:
    for row in range(first, last + 1):
        # Of the past, one edge stands for all: every row sees every frame before.
        if row > first:
            axes.plot([row - 1, row], [layer - 1, layer], color="#C8C8C8", lw=0.5)
        axes.plot([row, row], [layer - 1, layer], color="#C8C8C8", lw=0.5)
        for column in range(row + 1, min(row + band.shape[1], last) + 1):
            weight = float(band[row, column - row - 1])
            if weight > 0.01:
                axes.plot(
                    [column, row],
                    [layer - 1, layer],
                    color=BLUE,
                    alpha=0.15 + 0.75 * weight,
                    lw=0.3 + 0.9 * weight,
                    zorder=2,
                )


def _path(axes: Axes, bands: Sequence[np.ndarray], path: Path) -> None:
    if path.steps[0][1] != path.output:
        where = (path.output, len(bands))
        _arrow(axes, (path.steps[0][1], len(bands)), where, "--", 0.35)
    for (layer, frame), (below, source) in zip(
        path.steps, path.steps[1:], strict=False
    ):
        _arrow(axes, (source, below), (frame, layer), "-", 0.0)
        weight = bands[below][frame, source - frame - 1] if source > frame else 1.0
        if weight < 0.995:
            axes.text(
                (source + frame) / 2 + 0.12,
                (below + layer) / 2,
                f"{weight:.2f}",
                fontsize=6.5,
                zorder=6,
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"},
            )
    for layer, frame in (*path.steps, (len(bands), path.output)):
        axes.plot(frame, layer, "o", color=VERMILION, markersize=7, zorder=5)


def _arrow(
    axes: Axes,
    start: tuple[int, int],
    end: tuple[int, int],
    line: str,
    bend: float,
) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        zorder=4,
        arrowprops={
            "arrowstyle": "-|>",
            "color": VERMILION,
            "linewidth": 2.2,
            "linestyle": line,
            "shrinkA": 4,
            "shrinkB": 4,
            "connectionstyle": f"arc3,rad={-bend}",
        },
    )


def _axes(
    axes: Axes, num_layers: int, first: int, last: int, frame_seconds: float
) -> None:
    axes.set_xlim(first - 0.6, last + 0.6)
    axes.set_ylim(-0.35, num_layers + 0.55)
    names = ["input", *(f"layer {layer}" for layer in range(1, num_layers + 1))]
    axes.set_yticks(range(num_layers + 1), names)
    step = max(1, (last - first + 1) // 12)
    ticks = np.arange(first, last + 1, step)
    axes.set_xticks(ticks, [f"{t}\n{(t + 1) * frame_seconds:.2f}" for t in ticks])
    axes.set_xlabel("frame, and its end in the audio (s)")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _legend(bands: Sequence[np.ndarray]) -> list[Line2D]:
    soft = any(((b > 0.01) & (b < 0.99)).any() for b in bands)
    suffix = " (thicker: more weight)" if soft else ""
    return [
        Line2D([], [], color=VERMILION, lw=2.2, label="the path that decides"),
        Line2D([], [], color=BLUE, lw=1.2, label=f"sees the future{suffix}"),
        Line2D([], [], color=GREY, lw=0.6, label="sees itself and the past"),
    ]


def window(path: Path, num_frames: int, frames: int) -> tuple[int, int]:
    """Return (first, last) of a window of that many frames around a path.

    It is longer where the path is.
    """
    used = [path.output, *(frame for _, frame in path.steps)]
    low, high = min(used), max(used)
    more = max(0, min(frames, num_frames) - (high - low + 1))
    first = max(0, low - (more + 1) // 2)
    last = min(num_frames - 1, max(high, first + min(frames, num_frames) - 1))
    return max(0, min(first, last - min(frames, num_frames) + 1)), last


def slowest(
    latency: np.ndarray, start: float, frame_seconds: float, frames: int
) -> int:
    """Return the frame that waits longest among so many from a time on.

    Raises:
        PlotError: the utterance is over by then.
    """
    first = round(start / frame_seconds)
    if not 0 <= first < len(latency):
        raise PlotError(
            f"--start {start:g} is not inside of the utterance, which has "
            f"{len(latency) * frame_seconds:.2f} s"
        )
    return first + int(latency[first : first + frames].argmax())


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    from espnet_dynlook.plots.options import add_models, add_utterance

    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots graph",
        description="Draw the computational graph of a few frames, with the path that "
        "makes an output wait.",
    )
    add_models(parser)
    add_utterance(parser)
    add_output(parser)
    parser.add_argument(
        "--start", type=float, default=0.0, help="from here on (s); default: 0"
    )
    parser.add_argument(
        "--frames", type=int, default=20, help="frames to show; default: 20"
    )
    parser.add_argument(
        "--frame",
        type=int,
        help="output frame to explain; without: the one that waits longest among those "
        "shown",
    )
    parser.add_argument(
        "--soft",
        action="store_true",
        help="draw the soft masks of training (lookahead: dynamic)",
    )
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the options ask for.

    Raises:
        PlotError: a file or a value is wrong.
    """
    if len(args.asr_model_file) != 1 or args.frames < 2:
        raise PlotError(
            "a graph is of one model (--asr_model_file), and of 2 frames on"
        )
    from espnet_dynlook.plots.reading import read_utterances

    (utterance,) = read_utterances(args)
    bands = utterance.bands
    if bands is None:
        raise PlotError(
            f"{utterance.name} sees the whole utterance from every frame: there is no "
            "path to show"
        )
    output = args.frame
    if output is None:
        output = slowest(
            utterance.latency_ms, args.start, utterance.frame_seconds, args.frames
        )
    path = winning_path(bands, output)
    first, last = window(path, utterance.num_frames, args.frames)
    return draw(
        bands,
        path,
        utterance.frame_seconds,
        first,
        last,
        utterance.name,
        utterance.constant_ms,
    )
