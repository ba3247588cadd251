"""Picture: what an adapter's attention makes of a list of names, along time.

``python -m espnet_dynlook.plots names --asr_model_file exp/asr_x/valid.loss.ave.pth
--adapter_train_config exp/adapter/config.yaml --adapter_model_file
exp/adapter/valid.loss.best.pth --audio speech.flac --catalog names.txt --output
names.pdf``
"""

import argparse
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from espnet_dynlook.plots.masks import WORDS_FROM
from espnet_dynlook.plots.names_reading import add_list, hear
from espnet_dynlook.plots.options import add_models, add_utterance
from espnet_dynlook.plots.speech import (
    draw_spectrogram,
    draw_words,
    words_between,
    words_fit,
)
from espnet_dynlook.plots.style import (
    BLACK,
    VERMILION,
    PlotError,
    add_output,
    new_figure,
    style,
)
from espnet_dynlook.plots.utterance import Utterance

NO_BIAS = "<no-bias>"


def rows_of(attention: np.ndarray, number: int) -> list[int]:
    """Choose the names with the most attention, in the order in which they get it.

    Args:
        attention: (T, N + 1), ``<no-bias>`` first.
        number: Of names.

    Returns:
        Columns, from 1.
    """
    most = attention[:, 1:].max(axis=0)
    # Ties by the order of the list, so that equal input gives equal pictures.
    best = np.argsort(-most, kind="stable")[:number] + 1
    peak = attention[:, best].argmax(axis=0)
    return [int(best[n]) for n in np.lexsort((best, peak))]


def draw(
    utterance: Utterance,
    names: list[str],
    attention: np.ndarray,
    number: int = 15,
    start: float = 0.0,
    end: float | None = None,
) -> Figure:
    """Draw attention over the names, under the words and the spectrogram.

    Args:
        utterance: With its words.
        names: N.
        attention: (T, N + 1), ``<no-bias>`` first; a mean over the heads.
        number: How many names to show, those with the most attention at any time.
        start: Seconds; what lies before is cut off.
        end: Seconds; None: to the end of the utterance.

    Raises:
        PlotError: nothing is left between start and end, or no name is shown.
    """
    if number < 1:
        raise PlotError(f"--number {number} must be 1 or more names")
    last = utterance.seconds if end is None else min(end, utterance.seconds)
    if not 0 <= start < last:
        raise PlotError(
            f"nothing is between {start:g} s and {last:g} s: the utterance has "
            f"{utterance.seconds:.2f} s; choose --start below --end, inside of it"
        )
    period = utterance.frame_seconds
    first, stop = int(start / period), max(int(np.ceil(last / period)), 1)
    columns = np.array(rows_of(attention[first:stop], number))
    words = words_between(utterance, start, last)
    width = min(4.6 + 0.9 * (last - start), 7.2)
    flat = words_fit(words, 0.7 * width / (last - start))
    heights = [0.25 if flat else 0.6, 0.8, 0.17 * (len(columns) + 1), 0.8]
    with style():
        figure = new_figure(width, sum(heights) + 0.9)
        grid = figure.add_gridspec(4, 1, height_ratios=heights)
        axes = [figure.add_subplot(grid[0])]
        axes += [figure.add_subplot(grid[n], sharex=axes[0]) for n in (1, 2, 3)]
        axes[0].set_title(utterance.name, loc="left", pad=3, fontweight="bold")
        if words:
            source = WORDS_FROM[utterance.words_from]
            axes[0].set_title(source, loc="right", pad=3, fontsize=7)
        draw_words(axes[0], words, flat)
        draw_spectrogram(axes[1], utterance)
        image = _heat(axes[2], utterance, names, attention, columns)
        bar = figure.colorbar(image, ax=axes[2], fraction=0.04, pad=0.01, aspect=12)
        bar.set_label("attention")
        _lines(axes[3], utterance, attention)
        for one in axes[1:]:
            for word in words:
                one.axvline(word.start, color="black", linewidth=0.35, alpha=0.45)
        for one in axes[:-1]:
            one.tick_params(labelbottom=False)
        axes[3].set_xlabel("time (s)")
        axes[0].set_xlim(start, last)
    return figure


def _heat(
    axes: Axes,
    utterance: Utterance,
    names: list[str],
    attention: np.ndarray,
    columns: np.ndarray,
) -> Any:
    """Draw attention on ``<no-bias>`` and on some names; darker is more."""
    shown = attention[:, [0, *columns]].T
    length = len(attention) * utterance.frame_seconds
    image = axes.imshow(
        shown,
        aspect="auto",
        cmap="Blues",
        vmin=0.0,
        vmax=1.0,
        extent=(0, length, len(shown), 0),
        interpolation="nearest",
    )
    axes.axhline(1, color="black", linewidth=0.6)
    axes.set_yticks(np.arange(len(shown)) + 0.5)
    axes.set_yticklabels([NO_BIAS, *(names[n - 1] for n in columns)], fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    return image


def _lines(axes: Axes, utterance: Utterance, attention: np.ndarray) -> None:
    """Draw what all names get together, and the one that gets the most."""
    times = (np.arange(len(attention)) + 0.5) * utterance.frame_seconds
    names = 1.0 - attention[:, 0]
    axes.fill_between(times, names, step="mid", color="#D9D9D9", label="all names")
    axes.plot(
        times,
        attention[:, 1:].max(axis=1),
        color=VERMILION,
        drawstyle="steps-mid",
        label="the first of them",
    )
    axes.plot(times, attention[:, 0], color=BLACK, linestyle="--", label=NO_BIAS)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("attention")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, fontsize=6.5)


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this picture."""
    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots names",
        description="What an adapter attends to, of a list of names, along time.",
    )
    add_models(parser)
    add_utterance(parser)
    add_list(parser, adapter=True)
    parser.add_argument(
        "--number",
        type=int,
        default=15,
        metavar="N",
        help="names to show, those with the most attention (default: 15)",
    )
    parser.add_argument("--start", type=float, default=0.0, help="from here, in s")
    parser.add_argument("--end", type=float, help="to here, in s")
    add_output(parser)
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the command line asks for."""
    heard = hear(args)
    assert heard.attention is not None
    names = [entry.text for entry in heard.catalog]
    return draw(heard.shown, names, heard.attention, args.number, args.start, args.end)
