"""Slow and plain versions of what the phones decide: every path is looked at."""

import itertools
import math
from collections.abc import Iterator, Sequence

from espnet_dynlook.search.phone_alignment import SaidWord, Way

#: Log-probabilities of an utterance (T, P).
Rows = Sequence[Sequence[float]]


def paths(labels: Sequence[int], frames: int) -> Iterator[list[int]]:
    """Yield every CTC path of labels: the place in them of each frame, -1 a blank."""
    for path in itertools.product(range(-1, len(labels)), repeat=frames):
        said = [place for place, _ in itertools.groupby(path) if place >= 0]
        repeats = any(
            a >= 0 and b >= 0 and a != b and labels[a] == labels[b]
            for a, b in itertools.pairwise(path)
        )
        if said == list(range(len(labels))) and not repeats:
            yield list(path)


def value(path: Sequence[int], labels: Sequence[int], rows: Rows, blank: int) -> float:
    """Return the log-probability of one path."""
    pairs = zip(path, rows, strict=True)
    return sum(row[blank if place < 0 else labels[place]] for place, row in pairs)


def naive_ctc_score(rows: Rows, labels: Sequence[int], blank: int = 0) -> float:
    """Return log P(labels | rows): the sum over all paths."""
    some = [value(p, labels, rows, blank) for p in paths(labels, len(rows))]
    return math.log(sum(map(math.exp, some))) if some else -math.inf


def naive_alignment(
    rows: Rows, words: Sequence[Sequence[Way]], blank: int = 0
) -> list[SaidWord] | None:
    """Return what ``align_words`` does: the best path of all pronunciations."""
    best: tuple[float, list[SaidWord]] | None = None
    for ways in itertools.product(*words):
        labels = [phone for way in ways for phone in way]
        for path in paths(labels, len(rows)):
            total = value(path, labels, rows, blank)
            if best is None or total > best[0]:
                best = total, _spans(path, ways)
    return None if best is None else best[1]


def _spans(path: Sequence[int], ways: Sequence[Way]) -> list[SaidWord]:
    found, first = [], 0
    for way in ways:
        own = range(first, first + len(way))
        frames = [frame for frame, place in enumerate(path) if place in own]
        found.append(SaidWord(way, frames[0], frames[-1] + 1))
        first += len(way)
    return found


def naive_rescoring(
    scores: Sequence[float],
    texts: Sequence[Sequence[Sequence[Way]]],
    rows: Rows,
    weight: float,
    blank: int = 0,
) -> list[float]:
    """Return what ``PhoneticRescoring`` makes of scores, in the order given.

    Args:
        scores: Of the hypotheses, the best first.
        texts: Of each, the ways in which each of its words may be said.
        rows: Of the phones.
        weight: Of the technique.
        blank: Index of the blank.
    """
    sounds: list[float | None] = []
    for words in texts:
        said = naive_alignment(rows, words, blank) if all(words) else None
        if said is None:
            sounds.append(None)
        else:
            labels = [phone for word in said for phone in word.way]
            sounds.append(naive_ctc_score(rows, labels, blank))
    first = next((sound for sound in sounds if sound is not None), 0.0)
    return [
        score + (0.0 if sound is None else weight * (sound - first))
        for score, sound in zip(scores, sounds, strict=True)
    ]


def naive_lookup(
    words: Sequence[Sequence[Way]],
    doubtful: Sequence[bool],
    entries: Sequence[Sequence[Way]],
    rows: Rows,
    span: int,
    blank: int = 0,
    weights: Sequence[float] | None = None,
) -> list[tuple[int, int, list[int]]]:
    """Return where words sound like entries, and like which, as ``Lookup`` sees it.

    Args:
        words: The ways in which each word may be said.
        doubtful: Which of them may be replaced.
        entries: The ways in which each entry may be said.
        rows: Of the phones.
        span: At most so many words become one entry.
        blank: Index of the blank.
        weights: Of the entries, which take no part where theirs is 0; None: 1 each.
    """
    said = naive_alignment(rows, words, blank)
    if said is None:
        return []
    weights = [1.0] * len(entries) if weights is None else weights
    best = [list(row).index(max(row)) for row in rows]
    found = []
    for start, end in itertools.combinations(range(len(words) + 1), 2):
        if end - start > span or not any(doubtful[start:end]):
            continue
        after = said[start - 1].end if start else 0
        before = said[end].start if end < len(words) else len(rows)
        heard = tuple(
            best[frame]
            for frame in range(after, before)
            if best[frame] != blank and (frame == 0 or best[frame] != best[frame - 1])
        )
        own = tuple(phone for word in said[start:end] for phone in word.way)
        alike = [
            n
            for n, (ways, weight) in enumerate(zip(entries, weights, strict=True))
            if weight > 0 and {heard, own} & set(ways)
        ]
        if alike:
            found.append((start, end, alike))
    return found


def naive_share(
    rows: Rows,
    old: Sequence[int],
    new: Sequence[int],
    phones: int,
    weights: tuple[float, float],
    blank: int = 0,
) -> float:
    """Return what a hypothesis gets for a replacement, as ``Lookup`` sees it.

    Args:
        rows: Of the tokens, in the frames of the span.
        old: Tokens that stand there.
        new: Tokens of the entry.
        phones: How many the entry has.
        weights: Of the technique, and of the entry.
        blank: Index of the blank.
    """
    lost = naive_ctc_score(rows, old, blank) - naive_ctc_score(rows, new, blank)
    return math.prod(weights) * phones - lost


def naive_near(
    rows: Rows,
    ways: Sequence[Way],
    spans: Sequence[tuple[int, int]],
    distance: float,
    blank: int = 0,
) -> dict[tuple[int, int], float]:
    """Return what ``NearWays`` finds: nats lost, by span and way.

    Args:
        rows: Of the phones.
        ways: Pronunciations.
        spans: First frames, and those after the last.
        distance: At most so many nats may be lost for each phone.
        blank: Index of the blank.
    """
    found = {}
    for number, (start, end) in enumerate(spans):
        some = rows[start:end]
        for which, way in enumerate(ways):
            whole = [value(path, way, some, blank) for path in paths(way, len(some))]
            lost = sum(map(max, some)) - max(whole, default=-math.inf)
            if lost <= distance * len(way) + 1e-9:
                found[number, which] = lost
    return found
