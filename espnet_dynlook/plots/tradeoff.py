"""Picture: loss or error against latency, with every system of a matrix.

``python -m espnet_dynlook.plots tradeoff --results exp/matrix/results.json
--output tradeoff.pdf``.

``results.json`` is a list of rows, one a system, test set and seed, with the keys
``corpus``, ``set``, ``system``, ``kind``, ``seed``, ``tokens`` and the measures below.
"""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from espnet_dynlook.plots.point_numbers import number_points
from espnet_dynlook.plots.results import (
    ALL_SETS,
    LATENCIES,
    QUALITIES,
    SHOWN,
    Row,
    choose,
    pooled,
    read_rows,
    without_parts,
)
from espnet_dynlook.plots.style import (
    PlotError,
    add_output,
    look_of,
    new_figure,
    style,
)


@dataclass(frozen=True)
class Point:
    """One system of one corpus in one panel.

    Attributes:
        system: Its name.
        kind: Of lookahead.
        x: Latency by seed, in ms; empty where it was not measured.
        y: Loss or error by seed, in the same order.
    """

    system: str
    kind: str
    x: np.ndarray
    y: np.ndarray

    @property
    def middle(self) -> tuple[float, float]:
        """Means over the seeds."""
        return float(self.x.mean()), float(self.y.mean())


def family(system: str) -> str:
    """Return what systems that differ by a number in their name have in common."""
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", system)


def points(
    rows: Sequence[Row], x: str, y: str, relative_to: str | None = None
) -> list[Point]:
    """Return the points of a panel, systems in the order of the rows.

    Args:
        rows: Of one corpus.
        x: Measure of latency.
        y: Measure of loss or error.
        relative_to: System whose ``y`` of the same seed is subtracted: pairs share a
            parent and its luck.

    Raises:
        PlotError: there is no such system, or a seed is missing from it.
    """
    kinds = {row.system: row.kind for row in rows}
    latency, quality = pooled(rows, x), pooled(rows, y)
    if relative_to is not None:
        if relative_to not in kinds:
            raise PlotError(
                f"--relative_to {relative_to}: the systems are {', '.join(kinds)}"
            )
        lacking = {seed for _, seed in quality if (relative_to, seed) not in quality}
        if lacking:
            raise PlotError(
                f"--relative_to {relative_to}: it has no {y} for the seeds "
                f"{', '.join(map(str, sorted(lacking)))}, which others have"
            )
        quality = {k: v - quality[relative_to, k[1]] for k, v in quality.items()}
    found = []
    for system, kind in kinds.items():
        seeds = sorted(seed for name, seed in quality if name == system)
        if kind != "full":
            seeds = [seed for seed in seeds if (system, seed) in latency]
        values = [quality[system, seed] for seed in seeds]
        waits = [latency.get((system, seed), math.inf) for seed in seeds]
        found.append(Point(system, kind, np.array(waits), np.array(values)))
    return found


def draw(
    rows: Sequence[Row],
    xs: Sequence[str] | None = None,
    ys: Sequence[str] | None = None,
    relative_to: str | None = None,
) -> Figure:
    """Draw a panel for every corpus, measure of quality and measure of latency.

    Args:
        rows: Of a matrix.
        xs: Measures of latency; None: those of ``SHOWN`` that there are.
        ys: Measures of loss or error; None: likewise.
        relative_to: Draw differences to this system, seed by seed.

    Raises:
        PlotError: there is nothing to draw.
    """
    has = {name for row in rows for name, v in row.measures.items() if v is not None}
    xs = [x for x in LATENCIES if x in has & SHOWN] if xs is None else list(xs)
    ys = [y for y in QUALITIES if y in has & SHOWN] if ys is None else list(ys)
    absent = [name for name in (*xs, *ys) if name not in has]
    if absent or not xs or not ys:
        raise PlotError(
            f"the results have {', '.join(sorted(has)) or 'no measures'}; they lack "
            f"what is to be drawn: {', '.join(absent) or 'a latency, or a loss'}"
        )
    corpora = list(dict.fromkeys(row.corpus for row in rows))
    systems = list(dict.fromkeys(row.system for row in rows))
    numbers = {system: index for index, system in enumerate(systems, 1)}
    lines = len(corpora) * len(ys)
    with style():
        figure = new_figure(
            max(4.6, 3.3 * len(xs)),
            2.7 * lines + 0.35 + 0.19 * math.ceil(len(systems) / 3),
        )
        panels = []
        grid = figure.subplots(lines, len(xs), squeeze=False, sharey="row")
        for line, (corpus, y) in enumerate((c, y) for c in corpora for y in ys):
            own = [row for row in rows if row.corpus == corpus]
            for column, x in enumerate(xs):
                axes = grid[line, column]
                found = points(own, x, y, relative_to)
                panels.append((axes, _panel(axes, found, numbers)))
                axes.set_xlabel(LATENCIES[x])
                if column == 0:
                    label = QUALITIES[y]
                    if relative_to is not None:
                        label += f"\nminus that of {relative_to}"
                    axes.set_ylabel(label)
                    axes.set_title(_title(own, corpus), loc="left")
        kinds = {row.system: row.kind for row in rows}
        figure.legend(
            handles=[_entry(numbers[s], s, kinds[s]) for s in systems],
            loc="outside lower center",
            ncols=min(3, len(systems)),
        )
        figure.draw_without_rendering()  # now panels have their size
        for axes, middles in panels:
            number_points(axes, middles)
    return figure


def _title(rows: Sequence[Row], corpus: str) -> str:
    """Say what is behind the points of a corpus."""
    seeds = len({row.seed for row in rows})
    sets = list(dict.fromkeys(row.set for row in rows))
    bars = f"mean of {seeds} seeds (bars: range)" if seeds > 1 else "one seed"
    names = "all sets" if sets == [ALL_SETS] else ", ".join(sets)
    return f"{corpus} ({names}): {bars}"


def _panel(
    axes: Axes, found: Sequence[Point], numbers: dict[str, int]
) -> dict[str, tuple[float, float]]:
    """Draw all but the numbers of points; return where these belong."""
    axes.grid(True, color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    families: dict[str, list[Point]] = {}
    middles: dict[str, tuple[float, float]] = {}
    absent = []
    for point in found:
        number = str(numbers[point.system])
        if not len(point.y):
            absent.append(number)
        elif point.kind == "full":
            _level(axes, point, number)
        else:
            families.setdefault(family(point.system), []).append(point)
            middles[number] = point.middle
            _mark(axes, point)
    for members in families.values():
        look = look_of(members[0].kind)
        x, y = zip(*sorted(p.middle for p in members), strict=True)
        axes.plot(x, y, color=look.colour, linestyle=look.line, linewidth=0.9, zorder=2)
    if middles:
        nearest, furthest = axes.get_xlim()
        # Tokens may be there before their word ends: delays below zero.
        low = 0.0 if min(x for x, _ in middles.values()) >= 0 else nearest
        axes.set_xlim(low, max(1.08 * max(x for x, _ in middles.values()), furthest))
    axes.margins(y=0.12)
    if absent:
        axes.text(
            0.99,
            0.99,
            f"not measured: {', '.join(absent)}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=6.5,
        )
    return middles


def _mark(axes: Axes, point: Point) -> None:
    look = look_of(point.kind)
    x, y = point.middle
    for ends in (
        ([point.x.min(), point.x.max()], [y, y]),
        ([x, x], [point.y.min(), point.y.max()]),
    ):
        axes.plot(*ends, color=look.colour, linewidth=0.8, zorder=2.5)
    axes.plot(
        x,
        y,
        marker=look.marker,
        color=look.colour,
        markeredgecolor="black",
        markeredgewidth=0.5,
        linestyle="none",
        zorder=3,
    )


def _level(axes: Axes, point: Point, number: str) -> None:
    """Draw what waits for the end as a level: its latency is that of no stream."""
    look = look_of(point.kind)
    y = float(point.y.mean())
    axes.axhline(y, color=look.colour, linestyle=look.line, linewidth=1.2, zorder=1)
    axes.annotate(
        f"{number} waits for the end",
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        fontsize=7,
    )


def _entry(number: int, system: str, kind: str) -> Line2D:
    look = look_of(kind)
    return Line2D(
        [],
        [],
        color=look.colour,
        linestyle=look.line,
        marker="" if kind == "full" else look.marker,
        markeredgecolor="black",
        markeredgewidth=0.5,
        label=f"{number}  {system}",
    )


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots tradeoff",
        description="Draw loss or error against latency, every system of a matrix.",
    )
    parser.add_argument(
        "--results",
        required=True,
        action="append",
        metavar="FILE",
        help="results.json of a matrix; again for another corpus",
    )
    add_output(parser)
    parser.add_argument(
        "--x",
        nargs="+",
        choices=list(LATENCIES),
        help="latencies, a column each; without: mean, p90, delay of tokens and, where "
        "it was simulated, user-perceived latency",
    )
    parser.add_argument(
        "--y",
        nargs="+",
        choices=list(QUALITIES),
        help="losses or errors, a row each; without: loss and WER",
    )
    parser.add_argument(
        "--sets",
        nargs="+",
        metavar="SET",
        help="only these test sets, pooled; without: all",
    )
    parser.add_argument(
        "--systems", nargs="+", metavar="SYSTEM", help="only these; without: all"
    )
    parser.add_argument(
        "--relative_to",
        metavar="SYSTEM",
        help="draw differences to this system, seed by seed",
    )
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the options ask for.

    Raises:
        PlotError: a file or a value is wrong.
    """
    rows = [row for file in args.results for row in read_rows(file)]
    rows = choose(rows, "system", args.systems)
    rows = choose(rows, "set", args.sets) if args.sets else without_parts(rows)
    return draw(rows, args.x, args.y, args.relative_to)
