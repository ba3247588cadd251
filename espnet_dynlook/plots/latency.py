"""Picture: how late the text of streams is, as measured in one or several decodings.

``python -m espnet_dynlook.plots latency --decode_dir exp/asr_x/inference/test --output
latency.pdf``.
"""

import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from espnet_dynlook.metrics.streamed import LATENCIES, Latency
from espnet_dynlook.plots.style import (
    LOOKS,
    OTHER,
    Look,
    PlotError,
    add_output,
    new_figure,
    panel_title,
    style,
)

#: One a decoding, in their order.
CYCLE = (
    LOOKS["dynamic"],
    LOOKS["chunked"],
    LOOKS["causal"],
    LOOKS["layerwise"],
    LOOKS["random"],
    OTHER,
)
COLUMNS = 3
#: Marked on every curve, as shares.
MARKED = (0.5, 0.9)


@dataclass(frozen=True)
class Decoding:
    """The latencies of one decoded set.

    Attributes:
        name: What to call it.
        values: In ms, sorted, by the name of the kind of latency.
    """

    name: str
    values: dict[str, np.ndarray]


def read_decoding(folder: Path, name: str) -> Decoding:
    """Read the files that streaming wrote into the folder of a set.

    Raises:
        PlotError: none of them is there, or one is not of numbers.
    """
    values = {}
    for one in LATENCIES:
        path = folder / one.file
        if not path.exists():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        cells = [cell for line in lines for cell in line.split()[1:]]
        try:
            values[one.name] = np.sort(np.array(cells, dtype=float))
        except ValueError:
            raise PlotError(
                f"{path} has to be an utterance a line: key, then ms"
            ) from None
    if not any(len(own) for own in values.values()):
        names = ", ".join(one.file for one in LATENCIES)
        raise PlotError(
            f"--decode_dir {folder} has no latencies ({names}): decode with "
            "espnet_dynlook.bin.asr_inference_streaming (in a recipe: --use_streaming "
            "true)"
        )
    return Decoding(name, values)


def draw(decodings: Sequence[Decoding]) -> Figure:
    """Draw a panel a kind of latency: the share that is at most so late.

    Raises:
        PlotError: there are more decodings than can be told apart.
    """
    if len(decodings) > len(CYCLE):
        raise PlotError(
            f"{len(decodings)} decodings cannot be told apart: give at most "
            f"{len(CYCLE)}"
        )
    looks = CYCLE[: len(decodings)]
    rows = -(-len(LATENCIES) // COLUMNS)
    with style():
        figure = new_figure(7.2, 0.35 + 2.3 * rows)
        grid = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False)
        for axes, kind in zip(grid.flat, LATENCIES, strict=True):
            own = [one.values.get(kind.name, np.zeros(0)) for one in decodings]
            _panel(axes, kind, own, looks)
        for axes in grid[:, 0]:
            axes.set_ylabel("share at most so late")
        figure.legend(
            handles=[
                _entry(one.name, look)
                for one, look in zip(decodings, looks, strict=True)
            ],
            loc="outside lower center",
            ncols=min(3, len(decodings)),
        )
    return figure


def _panel(
    axes: Axes, kind: Latency, values: Sequence[np.ndarray], looks: Sequence[Look]
) -> None:
    axes.set_ylim(0.0, 1.02)
    axes.set_yticks([0.0, *MARKED, 1.0])
    axes.grid(True, color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    for number, (own, look) in enumerate(zip(values, looks, strict=True)):
        if not len(own):
            continue
        shares = np.arange(len(own) + 1) / len(own)
        axes.step(
            np.concatenate([own[:1], own]),
            shares,
            where="post",
            color=look.colour,
            linestyle=look.line,
            # Where curves are equal, those beneath still show.
            linewidth=1.2 + 0.8 * (len(values) - 1 - number),
        )
        axes.plot(
            np.percentile(own, [100 * share for share in MARKED]),
            MARKED,
            color=look.colour,
            marker=look.marker,
            markeredgecolor="black",
            markeredgewidth=0.5,
            linestyle="none",
            zorder=3,
        )
    known = [own for own in values if len(own)]
    if known:
        low = min(float(own[0]) for own in known)
        # A few stragglers are not to squeeze the rest.
        high = max(float(np.percentile(own, 99)) for own in known)
        margin = max(0.06 * (high - low), 10.0)
        axes.set_xlim(low - margin, high + margin)
    else:
        axes.set_xticks([])
        axes.text(
            0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=7
        )
    panel_title(axes, f"{kind.name}, by {kind.unit}")
    axes.set_xlabel("ms " + textwrap.fill(kind.meaning, 40), fontsize=6.5)


def _entry(name: str, look: Look) -> Line2D:
    return Line2D(
        [],
        [],
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markeredgecolor="black",
        markeredgewidth=0.5,
        label=name,
    )


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots latency",
        description="Draw how late the text of streams is: distributions of every kind "
        "of latency, median and 90th percentile marked.",
    )
    parser.add_argument(
        "--decode_dir",
        required=True,
        action="append",
        type=Path,
        metavar="DIR",
        help="folder of a set that asr_inference_streaming decoded, such as "
        "exp/asr_x/inference_streaming/test; again for another beside it",
    )
    parser.add_argument(
        "--name",
        action="append",
        metavar="TEXT",
        help="what to call it, once a folder; without: the folder's path",
    )
    add_output(parser)
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the options ask for.

    Raises:
        PlotError: a file or a value is wrong.
    """
    names = args.name or [str(folder) for folder in args.decode_dir]
    if len(names) != len(args.decode_dir):
        raise PlotError(
            f"--name is given {len(names)} times for {len(args.decode_dir)} folders: "
            "once a folder, or not at all"
        )
    pairs = zip(args.decode_dir, names, strict=True)
    return draw([read_decoding(folder, name) for folder, name in pairs])
