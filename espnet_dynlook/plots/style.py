"""How every picture looks, and how it is written."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind people.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#7F7F7F"

SUFFIXES = (".pdf", ".png", ".svg")

_SETTINGS: Any = {
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 5.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 200,
    # Text stays text, and equal input gives equal files.
    "svg.fonttype": "none",
    "svg.hashsalt": "espnet_dynlook",
    "pdf.fonttype": 42,
}


class PlotError(ValueError):
    """What the user can put right: a file, a value, an option."""


@dataclass(frozen=True)
class Look:
    """Colour, and what tells systems apart in a greyscale print.

    Attributes:
        colour: Of Okabe and Ito's.
        marker: As matplotlib names them.
        line: Line style, likewise.
        hatch: Of filled areas, likewise.
    """

    colour: str
    marker: str
    line: Any
    hatch: str


#: Of each kind of lookahead.
LOOKS = {
    "causal": Look(BLACK, "s", (0, (1, 1)), ""),
    "layerwise": Look(ORANGE, "^", (0, (5, 1, 1, 1)), "\\\\\\"),
    "chunked": Look(SKY_BLUE, "D", "--", "///"),
    "dynamic": Look(VERMILION, "o", "-", ""),
    "full": Look(GREY, "P", ":", "..."),
    "random": Look(PURPLE, "X", (0, (3, 1, 1, 1, 1, 1)), "xxx"),
}
OTHER = Look(GREEN, "v", "-.", "++")


def look_of(kind: str) -> Look:
    """Return how a kind of lookahead looks; any other name has one look of its own."""
    return LOOKS.get(kind.partition(":")[0], OTHER)  # a parent has chunked:7


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in this package's style inside a ``with`` block, and nowhere else."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches.

    Without pyplot: no window, no state that outlives the picture.
    """
    return Figure(figsize=(width, height), layout="constrained")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``, which is refused at once where it cannot be written."""
    parser.add_argument(
        "--output",
        required=True,
        type=picture_path,
        metavar="FILE",
        help="picture to write: .png, .pdf or .svg",
    )


def picture_path(text: str) -> Path:
    """Return the path of a picture.

    Raises:
        argparse.ArgumentTypeError: the suffix names no format that is written.
    """
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(
            f"{text!r} must end in one of {', '.join(SUFFIXES)}"
        )
    return path


def save(figure: Figure, path: Path | str) -> None:
    """Write a picture whole or not at all; its suffix says the format.

    Args:
        figure: What to write.
        path: Its folder is made if it does not exist.

    Raises:
        PlotError: the suffix names no format that is written, or writing failed.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise PlotError(f"{path} must end in one of {', '.join(SUFFIXES)}")
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with style():
            figure.savefig(partial, format=kind[1:], metadata=dates.get(kind))
        partial.replace(path)
    except OSError as error:
        raise PlotError(f"{path} could not be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def panel_title(axes: Axes, text: str) -> None:
    """Write a title where a reader starts."""
    axes.set_title(text, loc="left", pad=3)
