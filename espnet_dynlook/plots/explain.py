"""Picture: why a name was recognised in an utterance, or why not.

``python -m espnet_dynlook.plots explain "KATHLEEN" --asr_model_file
exp/asr_x/valid.loss.ave.pth --audio speech.flac --catalog names.txt --techniques
techniques.yaml --output why.pdf`` also prints the explanation as text.
"""

import argparse
import dataclasses
import textwrap
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from espnet_dynlook.plots.names_reading import Heard, add_list, hear
from espnet_dynlook.plots.options import add_models, add_utterance
from espnet_dynlook.plots.speech import (
    draw_spectrogram,
    draw_words,
    words_between,
    words_fit,
)
from espnet_dynlook.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    PlotError,
    add_output,
    new_figure,
    panel_title,
    style,
)
from espnet_dynlook.plots.utterance import Utterance, Word
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.explain import READABLE, Explanation, explain
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import Techniques

#: Nats below the best label that are drawn white.
DEEPEST = 10.0
#: Shown beside the name's frames, in seconds.
AROUND = 0.6


def draw(
    utterance: Utterance,
    found: Explanation,
    log_probs: torch.Tensor,
    token_list: list[str],
) -> Figure:
    """Draw a name's tokens over the utterance, and what each technique gave it.

    Args:
        utterance: With the words that were recognised.
        found: What became of the name.
        log_probs: Of the utterance (T, V).
        token_list: The model's tokens.

    Raises:
        PlotError: the name's tokens are nowhere in it.
    """
    place = found.place
    if place is None:
        raise PlotError(f"{found.name!r} {found.reason}: there is nothing to draw")
    period = utterance.frame_seconds
    start = max(place.start * period - AROUND, 0.0)
    last = min(place.end * period + AROUND, utterance.seconds)
    words = words_between(utterance, start, last)
    width = 5.6
    flat = words_fit(words, 0.75 * width / (last - start))
    rows = len(found.tokens)
    parts = {p: v for p, v in found.differences.items() if abs(v) >= 0.005}
    heights = [0.25 if flat else 0.6, 0.7, 0.2 * rows + 0.1]
    heights += [0.2 * (len(parts) + 1) + 0.2] if parts else []
    title = textwrap.wrap(f"{found.name}: {found.reason}", 88)
    with style():
        figure = new_figure(width, sum(heights) + 1.2 + 0.15 * len(title))
        figure.suptitle("\n".join(title), x=0.02, ha="left", fontsize=8)
        grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        axes = [figure.add_subplot(grid[0])]
        axes += [figure.add_subplot(grid[n], sharex=axes[0]) for n in (1, 2)]
        draw_words(axes[0], words, flat)
        draw_spectrogram(axes[1], utterance)
        image = _tokens(axes[2], found, log_probs, token_list, period)
        bar = figure.colorbar(image, ax=axes[2], fraction=0.04, pad=0.01, aspect=10)
        bar.set_label("below the best\n(nats)")
        for one in axes[1:]:
            for word in words:
                one.axvline(word.start, color="black", linewidth=0.35, alpha=0.45)
        axes[0].tick_params(labelbottom=False)
        axes[1].tick_params(labelbottom=False)
        axes[2].set_xlabel("time (s)")
        axes[0].set_xlim(start, last)
        if parts:
            _parts(figure.add_subplot(grid[3]), found, parts)
    return figure


def _tokens(
    axes: Axes,
    found: Explanation,
    log_probs: torch.Tensor,
    token_list: list[str],
    period: float,
) -> Any:
    """Draw how far each token of the name is below the best label of each frame."""
    ids = [token_list.index(one.token) for one in found.tokens]
    rows = log_probs.double().numpy()
    below = (rows.max(axis=1, keepdims=True) - rows[:, ids]).T
    image = axes.imshow(
        np.minimum(below, DEEPEST),
        aspect="auto",
        cmap="Greys_r",
        vmin=0.0,
        vmax=DEEPEST,
        extent=(0, len(rows) * period, len(ids), 0),
        interpolation="nearest",
    )
    for n, one in enumerate(found.tokens):
        kept = not one.pruned
        axes.plot(
            (one.frame + 0.5) * period,
            n + 0.5,
            marker="o" if kept else "X",
            markerfacecolor="none" if kept else VERMILION,
            markeredgecolor=ORANGE if kept else VERMILION,
            markeredgewidth=1.2,
            markersize=7,
        )
        note = f"rank {one.rank}"
        note += f", boost {one.boost:.1f}" if one.boost > 0 else ""
        note += ", pruned" if one.pruned else ""
        axes.annotate(
            note,
            ((one.frame + 0.5) * period, n + 0.5),
            xytext=(6, 0),
            textcoords="offset points",
            fontsize=6,
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
        )
    axes.set_yticks(np.arange(len(ids)) + 0.5)
    axes.set_yticklabels([one.token for one in found.tokens], fontsize=7)
    axes.tick_params(axis="y", length=0)
    return image


def _parts(axes: Axes, found: Explanation, parts: dict[str, float]) -> None:
    """Draw what each part of the score gives the name against its rival."""
    assert found.own is not None and found.rival is not None
    total = found.own.score - found.rival.score
    rows = [*((READABLE[p], v) for p, v in parts.items()), ("together", total)]
    for n, (name, value) in enumerate(rows):
        together = name == "together"
        axes.barh(
            n,
            value,
            color=GREY if together else BLUE if value > 0 else VERMILION,
            hatch="" if together or value > 0 else "///",
            edgecolor="white",
            linewidth=0.0,
        )
        axes.annotate(
            f"{value:+.2f}",
            (value, n),
            xytext=(3 if value >= 0 else -3, 0),
            textcoords="offset points",
            ha="left" if value >= 0 else "right",
            va="center",
            fontsize=6.5,
        )
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("nats for the name")
    panel_title(axes, textwrap.shorten(f"against “{found.rival.text}”", 80))


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this picture."""
    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots explain",
        description="Why a name was recognised in an utterance, or why not.",
    )
    parser.add_argument("entry", metavar="NAME", help="a name of the list, as written")
    add_models(parser)
    add_utterance(parser)
    add_list(parser, adapter=False)
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--techniques",
        metavar="YAML",
        help="decoder techniques and their weights; without: boosting alone",
    )
    group.add_argument(
        "--beam_size", type=int, default=50, metavar="N", help="(default: 50)"
    )
    group.add_argument(
        "--word_ngram", metavar="FILE", help="language model of words: ARPA or KenLM's"
    )
    group.add_argument(
        "--word_ngram_weight",
        type=float,
        default=0.5,
        metavar="W",
        help="(default: .5)",
    )
    group.add_argument(
        "--word_insertion",
        type=float,
        default=0.0,
        metavar="NATS",
        help="for each word (default: 0)",
    )
    group.add_argument(
        "--word_unknown",
        type=float,
        default=NgramLM.unknown,
        metavar="NATS",
        help=f"for each word that it does not know (default: {NgramLM.unknown:g})",
    )
    group.add_argument(
        "--word_unknown_length",
        type=float,
        default=NgramLM.unknown_length,
        metavar="NATS",
        help="for each character of such a word (default: 0)",
    )
    add_output(parser)
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the command line asks for, and print the explanation."""
    heard = hear(args)
    found, shown = explained(args, heard)
    print(found)
    return draw(shown, found, heard.log_probs, list(_tokens_of(heard)))


def explained(args: argparse.Namespace, heard: Heard) -> tuple[Explanation, Utterance]:
    """Decode what was heard; return the explanation, and the utterance with its words.

    Raises:
        PlotError: a file or a value is wrong.
    """
    try:
        keys = None
        if args.techniques is not None:
            with open(args.techniques, encoding="utf-8") as file:
                keys = yaml.safe_load(file)
        lm = None
        if args.word_ngram is not None:
            lm = NgramLM(
                load_ngram(args.word_ngram),
                args.word_ngram_weight,
                args.word_insertion,
                args.word_unknown,
                unknown_length=args.word_unknown_length,
            )
        decoder = BiasedDecoder(
            _tokens_of(heard), args.beam_size, lm, Techniques.from_mapping(keys)
        )
        found = explain(
            decoder,
            args.entry,
            heard.log_probs,
            heard.catalog,
            heard.phones,
            unbiased=heard.unbiased,
            frame_seconds=heard.shown.frame_seconds,
        )
    except (OSError, ValueError, ImportError, yaml.YAMLError) as error:
        raise PlotError(str(error)) from error
    shown = heard.shown
    if args.text is None and args.words is None:
        best = decoder(heard.log_probs, heard.catalog, heard.phones, 1)[0]
        period = shown.frame_seconds
        words = tuple(
            Word(word.start * period, word.end * period, word.text)
            for word in best.words
        )
        shown = dataclasses.replace(shown, words=words, words_from="recognised")
    return found, shown


def _tokens_of(heard: Heard) -> tuple[str, ...]:
    assert heard.catalog.token_list is not None
    return heard.catalog.token_list
