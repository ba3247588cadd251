"""Panels that show the utterance itself: its words and its spectrogram."""

import numpy as np
from matplotlib.axes import Axes

from espnet_dynlook.plots.utterance import Utterance, Word

#: Inches that a character of a word takes.
CHARACTER = 0.06


def words_between(utterance: Utterance, start: float, end: float) -> list[Word]:
    """Return the words of which at least half is shown, cut to what is shown."""
    shown = []
    for word in utterance.words:
        low, high = max(word.start, start), min(word.end, end)
        if high > low and high - low >= 0.5 * (word.end - word.start):
            shown.append(Word(low, high, word.text))
    return shown


def words_fit(words: list[Word], inches_per_second: float) -> bool:
    """Say whether every word fits over its own time."""
    return all(
        (word.end - word.start) * inches_per_second > CHARACTER * len(word.text)
        for word in words
    )


def draw_words(axes: Axes, words: list[Word], flat: bool) -> None:
    """Write words over their time; slanting where they do not fit."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    for word in words:
        axes.text(
            (word.start + word.end) / 2,
            0.02,
            word.text,
            fontsize=7 if flat else 6,
            rotation=0 if flat else 50,
            rotation_mode="anchor",
            ha="center" if flat else "left",
            va="bottom",
        )


def draw_spectrogram(axes: Axes, utterance: Utterance) -> None:
    """Draw the features: darker is more."""
    features = utterance.features
    low, high = np.percentile(features, [5, 99.5])
    axes.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(0, len(features) * utterance.feature_seconds, 0, features.shape[1]),
        interpolation="nearest",
    )
    axes.set_ylabel("mel band" if utterance.log_mel else "feature")
