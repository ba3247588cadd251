"""What each of two techniques in the beam gave a hypothesis."""

from collections.abc import Mapping, Sequence

from espnet_dynlook.search.ngram import UNKNOWN, NgramLM
from espnet_dynlook.search.unigram_boost import UnigramBoost


def unigram_share(
    words: Sequence[str],
    entries: Mapping[tuple[str, ...], float],
    lm: NgramLM,
    unigram: UnigramBoost,
    size: int,
) -> float:
    """Return what unigram boosting gives a text.

    Every word of an entry gets its gain; entries do not overlap, and those are taken
    that give the most. The search keeps the sum of both techniques alone, in which the
    paths of all alignments are added up: this is the part of it that depends on the
    text, and the rest is adaptive boosting.

    Args:
        words: Of the hypothesis.
        entries: Weights of the entries, by their words.
        lm: Language model of words.
        unigram: The technique.
        size: Number of entries.
    """
    gains = []
    state = lm.model.begin()
    for word in words:
        score, after = lm.score(state, word)
        unknown = lm.model.score(state, UNKNOWN)[0]
        gains.append(lm.weight * unigram.gain(score, unknown, size))
        state = after
    longest = max(map(len, entries), default=0)
    best = [0.0]
    for end in range(1, len(words) + 1):
        best.append(best[-1])
        for start in range(max(0, end - longest), end):
            weight = entries.get(tuple(words[start:end]))
            if weight is not None:
                value = best[start] + weight * sum(gains[start:end])
                best[end] = max(best[end], value)
    return best[-1]
