"""Where words that may be said in several ways are in the phones of an utterance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet_dynlook.search.alignment import frames_needed
from espnet_dynlook.search.compiled import compiled

#: Phones of one way to say a word, as rows of the phone head.
Way = tuple[int, ...]


@dataclass(frozen=True)
class SaidWord:
    """A word (or a phrase) in the phones.

    Attributes:
        way: How it was said there, of the ways that it may be said.
        start: First frame of its first phone.
        end: Frame after its last phone's last.
    """

    way: Way
    start: int
    end: int


def align_words(
    log_probs: torch.Tensor, words: Sequence[Sequence[Way]], blank: int = 0
) -> list[SaidWord] | None:
    """Find the most probable CTC path of words, and with it how each was said.

    All combinations of the words' pronunciations are searched at once (Viterbi), in
    time that grows with the sum of the pronunciations and not with their product.

    Args:
        log_probs: Of the phones (T, P).
        words: The ways in which each may be said, none of them empty.
        blank: Index of the blank.

    Returns:
        A span for every word; None: there are too few frames.

    Raises:
        ValueError: a word has no way, or a way no phone.
    """
    _check(words)
    if not words:
        return []
    ways = [way for word in words for way in word]
    ends = np.cumsum([0] + [len(word) for word in words])
    phones = np.array([phone for way in ways for phone in way], dtype=np.int64)
    starts = np.cumsum([0] + [len(way) for way in ways])
    rows = log_probs.detach().cpu().numpy().astype(np.float64)
    states = _viterbi(rows, phones, starts, ends, blank)
    if not len(states):
        return None
    numbers = _ways_of(states, starts)
    frames = np.flatnonzero(numbers >= 0)
    numbers = numbers[frames]
    spoken = (states[frames] - (2 * starts[numbers] - numbers)) % 2 == 0
    frames, numbers = frames[spoken], numbers[spoken]
    # The path goes through the ways in their order.
    said, first = np.unique(numbers, return_index=True)
    beyond = np.append(first[1:], len(numbers))
    return [
        SaidWord(ways[number], start, end + 1)
        for number, start, end in zip(
            said.tolist(),
            frames[first].tolist(),
            frames[beyond - 1].tolist(),
            strict=True,
        )
    ]


def _check(words: Sequence[Sequence[Way]]) -> None:
    if not all(ways and all(ways) for ways in words):
        raise ValueError(f"words={list(words)} have one that cannot be said")


def said_ways(
    log_probs: torch.Tensor, texts: Sequence[Sequence[Sequence[Way]]], blank: int = 0
) -> list[list[Way] | None]:
    """Return how the words of each text were said: the ways of ``align_words``.

    One call for all of the hypotheses of an utterance, of which most words are alike.

    Args:
        log_probs: Of the phones (T, P).
        texts: The ways in which each word of each may be said, none of them empty.
        blank: Index of the blank.

    Returns:
        A way for every word of each text; None: there are too few frames for it.

    Raises:
        ValueError: as ``align_words``.
    """
    words = [ways for text in texts for ways in text]
    _check(words)
    ways = [way for word in words for way in word]
    found = _said_ways(
        log_probs.detach().cpu().numpy().astype(np.float64),
        np.array([phone for way in ways for phone in way], dtype=np.int64),
        np.cumsum([0] + [len(way) for way in ways]),
        np.cumsum([0] + [len(word) for word in words]),
        np.cumsum([0] + [len(text) for text in texts]),
        blank,
    )
    numbers = iter(found.tolist())
    said = [[next(numbers) for _ in text] for text in texts]
    return [
        None if any(number < 0 for number in one) else [ways[n] for n in one]
        for one in said
    ]


@compiled
def _said_ways(rows, phones, starts, ends, texts, blank):
    """Return the number of the way of every word; -1: its text has no path.

    Args:
        rows: Log-probabilities (T, P).
        phones: Of all ways, one behind another.
        starts: Where each way begins in them, and where the last one ends.
        ends: Where each word begins in the ways, and where the last one ends.
        texts: Where each text begins in the words, and where the last one ends.
        blank: Index of the blank.
    """
    found = np.full(texts[-1], -1, dtype=np.int64)
    for text in range(len(texts) - 1):
        word, beyond = texts[text], texts[text + 1]
        if word == beyond:
            continue
        first = ends[word]
        own = starts[first : ends[beyond] + 1] - starts[first]
        path = _viterbi(
            rows,
            phones[starts[first] : starts[ends[beyond]]],
            own,
            ends[word : beyond + 1] - first,
            blank,
        )
        for way in _ways_of(path, own):
            if way < 0:
                continue
            while ends[word + 1] <= first + way:
                word += 1
            found[word] = first + way
    return found


@compiled
def _ways_of(path, starts):
    """Return the way of each frame's state; -1: it is between words.

    A way's states are its phones with blanks between them, 2 n - 1 for n phones; behind
    all of them are the blanks between words. The path goes through the ways in order.

    Args:
        path: The state of every frame.
        starts: Where each way begins in the phones, and where the last one ends.
    """
    found = np.full(len(path), -1, dtype=np.int64)
    between = 2 * starts[-1] - (len(starts) - 1)
    way = 0
    for t in range(len(path)):
        if path[t] < between:
            while path[t] >= 2 * starts[way + 1] - (way + 1):
                way += 1
            found[t] = way
    return found


@compiled
def _viterbi(rows, phones, starts, ends, blank):
    """Return the state of every frame on the best path; nothing: there is none.

    Args:
        rows: Log-probabilities (T, P).
        phones: Of all ways, one behind another.
        starts: Where each way begins in them, and where the last one ends.
        ends: Where each word begins in the ways, and where the last one ends.
        blank: Index of the blank.
    """
    words, ways = len(ends) - 1, len(starts) - 1
    between = 2 * len(phones) - ways  # the first of the blanks between words
    size = between + words + 1
    labels = np.full(size, blank, dtype=np.int64)
    for way in range(ways):
        for n in range(starts[way], starts[way + 1]):
            labels[2 * n - way] = phones[n]
    best = np.full(size, -math.inf)
    came = np.full((len(rows), size), -1, dtype=np.int32)
    for t in range(len(rows)):
        old = best.copy()
        for state in range(size):
            came[t, state] = state  # it stays
        for word in range(words + 1):
            gap = between + word
            if t == 0 and word == 0:
                old[gap] = 0.0
            if word > 0:
                for way in range(ends[word - 1], ends[word]):
                    last = 2 * (starts[way + 1] - 1) - way
                    if old[last] > best[gap]:
                        best[gap], came[t, gap] = old[last], last
            if word == words:
                continue
            for way in range(ends[word], ends[word + 1]):
                first = 2 * starts[way] - way
                if old[gap] > best[first]:
                    best[first], came[t, first] = old[gap], gap
                if word > 0:
                    for before in range(ends[word - 1], ends[word]):
                        last = 2 * (starts[before + 1] - 1) - before
                        differ = labels[last] != labels[first]
                        if differ and old[last] > best[first]:
                            best[first], came[t, first] = old[last], last
                for n in range(starts[way] + 1, starts[way + 1]):
                    state = 2 * n - way
                    if old[state - 2] > best[state - 1]:
                        best[state - 1], came[t, state - 1] = old[state - 2], state - 2
                    if old[state - 1] > best[state]:
                        best[state], came[t, state] = old[state - 1], state - 1
                    differ = labels[state] != labels[state - 2]
                    if differ and old[state - 2] > best[state]:
                        best[state], came[t, state] = old[state - 2], state - 2
        if t == 0:
            best[between] = 0.0
        for state in range(size):
            best[state] += rows[t, labels[state]]
    at = size - 1
    for way in range(ends[words - 1], ends[words]):
        last = 2 * (starts[way + 1] - 1) - way
        if best[last] > best[at]:
            at = last
    path = np.empty(len(rows), dtype=np.int64)
    if not len(rows) or best[at] == -math.inf:
        return path[:0]
    for t in range(len(rows) - 1, -1, -1):
        path[t] = at
        at = came[t, at]
    return path


#: Nats. What is lost to underflow among probabilities that sum to 1 is at most 1e-308
#: of all there is, which is nothing beside a sequence that is likelier than this.
LEAST = -600.0


def ctc_scores(
    log_probs: torch.Tensor, labels: Sequence[Sequence[int]], blank: int = 0
) -> list[float]:
    """Return log P(labels | log_probs) of sequences, summed over their CTC paths.

    Args:
        log_probs: Of one utterance, or of a part of it (T, V).
        labels: Sequences of labels, which may be empty.
        blank: Index of the blank.

    Returns:
        One a sequence, in nats; -inf where there are too few frames for it.
    """
    frames = len(log_probs)
    if frames == 0:
        return [0.0 if not one else -math.inf for one in labels]
    found = [-math.inf] * len(labels)
    fit = [n for n, one in enumerate(labels) if frames_needed(one) <= frames]
    rows = log_probs.detach().double().cpu()
    if fit:
        values = _forward(
            np.exp(rows.numpy()),
            np.array([label for n in fit for label in labels[n]], dtype=np.int64),
            np.cumsum([0] + [len(labels[n]) for n in fit]),
            blank,
        )
        for n, value in zip(fit, values.tolist(), strict=True):
            found[n] = value
    rest = [n for n in fit if not found[n] >= LEAST]
    for n, value in zip(
        rest, _exact(rows, [labels[n] for n in rest], blank), strict=True
    ):
        found[n] = value
    return found


@compiled
def _forward(probs, labels, starts, blank):
    """Return log P of label sequences, with probabilities and not with logarithms.

    Args:
        probs: Probabilities (T, V).
        labels: Of all sequences, one behind another.
        starts: Where each begins in them, and where the last one ends.
        blank: Index of the blank.
    """
    found = np.empty(len(starts) - 1)
    for n in range(len(found)):
        base, size = starts[n], starts[n + 1] - starts[n]
        states = 2 * size + 1  # labels, with blanks around them
        mass = np.zeros(states)
        mass[0] = 1.0  # before the first frame
        total = 0.0
        for t in range(len(probs)):
            # States that can have been reached, and from which the end can be.
            first, beyond = (
                max(0, states - 2 * (len(probs) - t)),
                min(2 * t + 2, states),
            )
            row, whole = probs[t], 0.0
            silent = row[blank]
            for state in range(beyond - 1, first - 1, -1):
                own = mass[state]
                if state > 0:
                    own += mass[state - 1]
                if state % 2 == 0:
                    own *= silent
                else:
                    label = labels[base + state // 2]
                    if state > 2 and label != labels[base + state // 2 - 1]:
                        own += mass[state - 2]
                    own *= row[label]
                mass[state] = own
                whole += own
            if whole == 0.0:
                total = -np.inf
                break
            total += np.log(whole)
            for state in range(first, beyond):
                mass[state] /= whole
        last = mass[states - 1]
        if size:
            last += mass[states - 2]
        found[n] = total + np.log(last) if last > 0.0 else -np.inf
    return found


def _exact(
    rows: torch.Tensor, labels: Sequence[Sequence[int]], blank: int
) -> list[float]:
    """Return log P of label sequences that have enough frames, with logarithms."""
    if not labels:
        return []
    loss = torch.nn.functional.ctc_loss(
        rows[:, None].expand(-1, len(labels), -1).contiguous(),
        torch.tensor([label for one in labels for label in one], dtype=torch.long),
        torch.full((len(labels),), len(rows)),
        torch.tensor([len(one) for one in labels]),
        blank=blank,
        reduction="none",
    )
    return [-value for value in loss.tolist()]
