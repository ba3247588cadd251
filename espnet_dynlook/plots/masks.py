"""Picture: what each layer attends to, over the spectrogram and the words.

``python -m espnet_dynlook.plots masks --asr_model_file exp/asr_x/valid.loss.ave.pth
--audio speech.flac --output masks.pdf``; two models are drawn side by side.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from espnet_dynlook.plots.speech import (
    draw_spectrogram,
    draw_words,
    words_between,
    words_fit,
)
from espnet_dynlook.plots.style import (
    BLUE,
    ORANGE,
    VERMILION,
    PlotError,
    add_output,
    new_figure,
    panel_title,
    style,
)
from espnet_dynlook.plots.utterance import (
    Utterance,
    Word,
    equal_layers,
    inside,
    layers_name,
    square,
)

VIEWS = ("matrix", "band")
WORDS_FROM = {
    "": "",
    "recognised": "words: what it recognises, where it does",
    "aligned": "words: the transcript, aligned by its CTC",
    "given": "words: as given",
}
# Grey levels of the three differ, so that they are told apart in print.
WAITED, SHARED, PAST = BLUE, ORANGE, "#D9D9D9"


def colours(
    waited: np.ndarray, seen: np.ndarray, past: np.ndarray | None = None
) -> np.ndarray:
    """Return the colours of a mask.

    Args:
        waited: (M, N), weight of what was waited for.
        seen: (M, N), weight in attention; more than ``waited`` where waits are shared.
        past: (M, N), true where a frame sees the present and the past.

    Returns:
        (M, N, 3), white where nothing is seen, darker with the weight.
    """
    image = np.ones((*waited.shape, 3))
    shared = np.clip(seen - waited, 0.0, 1.0)
    for weight, colour in ((shared, SHARED), (waited, WAITED)):
        image -= weight[:, :, None] * (1.0 - np.array(to_rgb(colour)))
    if past is not None:
        image[past] = to_rgb(PAST)
    return np.clip(image, 0.0, 1.0)


def draw(
    utterances: Sequence[Utterance],
    view: str = "matrix",
    start: float = 0.0,
    end: float | None = None,
) -> Figure:
    """Draw one utterance as seen by one or several systems, a column each.

    Args:
        utterances: Of the systems; the same audio.
        view: ``matrix``: row = the frame that attends, column = what it sees, as far
            as the mask of attention. ``band``: over time, how far ahead each frame
            sees, in ms.
        start: Seconds; what lies before is cut off.
        end: Seconds; None: to the end of the utterance.

    Raises:
        PlotError: the view is unknown, or nothing is left between start and end.
    """
    if view not in VIEWS:
        raise PlotError(f"view={view!r} must be one of {', '.join(VIEWS)}")
    length = max(u.seconds for u in utterances)
    last = length if end is None else min(end, length)
    if not 0 <= start < last:
        raise PlotError(
            f"nothing is between {start:g} s and {last:g} s: the utterance has "
            f"{length:.2f} s; choose --start below --end, inside of it"
        )
    groups = [equal_layers(u.seen, u.num_layers) for u in utterances]
    most = max(len(g) for g in groups)
    each = {"matrix": max(1.0, min(2.6, 9.0 / most)), "band": 0.75}[view]
    width = min(3.4 + 0.9 * (last - start), 7.2 if len(utterances) == 1 else 5.2)
    words = [words_between(u, start, last) for u in utterances]
    flat = all(words_fit(w, 0.85 * width / (last - start)) for w in words)
    words_height = 0.25 if flat else 0.6
    furthest = max(_furthest_ms(u) for u in utterances)
    with style():
        height = words_height + 0.95 + each * most + 1.0 + 0.6
        figure = new_figure(width * len(utterances), height)
        grid = figure.add_gridspec(1, len(utterances))
        latency_axes = []
        for column, (utterance, layers) in enumerate(
            zip(utterances, groups, strict=True)
        ):
            # Matrices grow into the room that another column needs, bands leave it.
            each_here = each if view == "band" else each * most / len(layers)
            spare = each * (most - len(layers)) if view == "band" else 0.0
            heights = [words_height, 0.95, *([each_here] * len(layers)), 1.0]
            heights += [spare] if spare else []
            part = grid[column].subgridspec(len(heights), 1, height_ratios=heights)
            axes = [figure.add_subplot(part[0])]
            for row in range(1, len(layers) + 3):
                axes.append(figure.add_subplot(part[row], sharex=axes[0]))
            _column(axes, utterance, layers, view, words[column], flat)
            axes[0].set_xlim(start, last)
            for one in axes[2:-1]:
                if view == "matrix":
                    one.set_ylim(last, start)
                elif one.images:
                    one.set_ylim(0, furthest)
            latency_axes.append(axes[-1])
        _level(latency_axes, utterances, start, last)
        figure.legend(
            handles=_legend(utterances, view), loc="outside lower center", ncols=4
        )
    return figure


def _column(
    axes: list[Axes],
    utterance: Utterance,
    layers: list[tuple[int, int]],
    view: str,
    words: list[Word],
    flat: bool,
) -> None:
    axes[0].set_title(utterance.name, loc="left", pad=3, fontweight="bold")
    if words:
        source = WORDS_FROM[utterance.words_from]
        axes[0].set_title(source, loc="right", pad=3, fontsize=7)
    draw_spectrogram(axes[1], utterance)
    draw_words(axes[0], words, flat)
    for one, (first, last) in zip(axes[2:-1], layers, strict=True):
        (_matrix if view == "matrix" else _band)(one, utterance, first)
        panel_title(one, layers_name(first, last))
    _latency(axes[-1], utterance)
    for one in axes[1:]:
        for word in words:
            one.axvline(word.start, color="black", linewidth=0.35, alpha=0.45)
    for one in axes[:-1]:
        one.tick_params(labelbottom=False)


def _parts(utterance: Utterance, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a layer waited for and what it saw, (T, R) each."""
    assert utterance.bands is not None and utterance.seen is not None
    return inside(utterance.bands[layer - 1]), inside(utterance.seen[layer - 1])


def _matrix(axes: Axes, utterance: Utterance, layer: int) -> None:
    frames, length = utterance.num_frames, utterance.seconds
    if utterance.bands is None:
        waited = seen = square(None, frames)
    else:
        waited, seen = (square(x, frames) for x in _parts(utterance, layer))
    axes.imshow(
        colours(waited, seen, np.tril(np.ones((frames, frames), dtype=bool))),
        aspect="auto",
        extent=(0, length, length, 0),
        interpolation="nearest",
    )
    axes.set_ylabel("frame at (s)")


def _band(axes: Axes, utterance: Utterance, layer: int) -> None:
    axes.set_ylabel("sees ahead\n(ms)")
    if utterance.bands is None or utterance.bands[layer - 1].shape[1] == 0:
        whole = utterance.bands is None
        text = "everything, to the end" if whole else "nothing"
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
        axes.set_yticks([])
        return
    waited, seen = _parts(utterance, layer)
    top = 1000 * utterance.frame_seconds * waited.shape[1]
    axes.imshow(
        colours(waited.T, seen.T),
        origin="lower",
        aspect="auto",
        extent=(0, utterance.seconds, 0, top),
        interpolation="nearest",
    )


def _furthest_ms(utterance: Utterance) -> float:
    """Return how far ahead the bands can see, in ms."""
    most = max((band.shape[1] for band in utterance.bands or ()), default=0)
    return 1000 * utterance.frame_seconds * most


def _latency(axes: Axes, utterance: Utterance) -> None:
    edges = np.arange(utterance.num_frames + 1) * utterance.frame_seconds
    axes.stairs(utterance.latency_ms, edges, fill=True, color=VERMILION, alpha=0.25)
    axes.stairs(utterance.latency_ms, edges, color=VERMILION, linewidth=0.8)
    mean = float(utterance.latency_ms.mean())
    p90 = float(np.percentile(utterance.latency_ms, 90))
    axes.axhline(mean, color="black", linewidth=0.8, linestyle="--")
    axes.set_ylabel("wait (ms)")
    axes.set_xlabel("time (s)")
    panel_title(
        axes,
        f"wait of each frame; in all mean {mean:.0f} ms (dashed), p90 {p90:.0f} ms",
    )


def _level(
    axes: list[Axes], utterances: Sequence[Utterance], start: float, end: float
) -> None:
    """Give latencies one scale, unless some wait for the end and dwarf the others."""
    tops = []
    for utterance in utterances:
        first = int(start / utterance.frame_seconds)
        last = int(np.ceil(end / utterance.frame_seconds))
        shown = utterance.latency_ms[first:last]
        tops.append(1.08 * max(float(shown.max(initial=0.0)), 1.0))
    bounded = [t for t, u in zip(tops, utterances, strict=True) if u.bands is not None]
    for one, top, utterance in zip(axes, tops, utterances, strict=True):
        one.set_ylim(0, top if utterance.bands is None else max(bounded))


def _legend(utterances: Sequence[Utterance], view: str) -> list[Patch]:
    patches = [Patch(color=WAITED, label="future it waits for")]
    some = [b for u in utterances for b in u.bands or () if b.size]
    if any(((b > 0.01) & (b < 0.99)).any() for b in some):
        patches[0].set_label("future it waits for, weight 1")
        half = 1 - 0.5 * (1 - np.array(to_rgb(WAITED)))
        patches.append(Patch(color=tuple(half), label="weight 0.5"))
    if any(
        (s - b > 0.01).any()
        for u in utterances
        for b, s in zip(u.bands or (), u.seen or (), strict=True)
    ):
        patches.append(Patch(color=SHARED, label="future seen at no further delay"))
    if view == "matrix":
        patches.append(Patch(color=PAST, label="past and present"))
    return patches


def get_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    from espnet_dynlook.plots.options import add_models, add_utterance

    parser = argparse.ArgumentParser(
        prog="python -m espnet_dynlook.plots masks",
        description="Draw what each layer attends to, over spectrogram and words.",
    )
    add_models(parser)
    add_utterance(parser)
    add_output(parser)
    parser.add_argument(
        "--view",
        choices=VIEWS,
        default="matrix",
        help="matrix: who sees what, as in attention (default). band: over time, how "
        "far ahead each frame sees",
    )
    parser.add_argument(
        "--soft",
        action="store_true",
        help="draw the soft masks of training, not the rounded ones (lookahead: "
        "dynamic)",
    )
    parser.add_argument("--start", type=float, default=0.0, help="from here on (s)")
    parser.add_argument("--end", type=float, help="up to here (s)")
    return parser


def picture(args: argparse.Namespace) -> Figure:
    """Draw what the options ask for.

    Raises:
        PlotError: a file or a value is wrong.
    """
    from espnet_dynlook.plots.reading import read_utterances

    return draw(read_utterances(args), args.view, args.start, args.end)
