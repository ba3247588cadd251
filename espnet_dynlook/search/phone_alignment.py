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
    if not all(ways and all(ways) for ways in words):
        raise ValueError(f"words={list(words)} have one that cannot be said")
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
    # A way's states: its phones with blanks between them, 2 n - 1 for n phones; behind
    # all of them, the blanks between words.
    firsts = 2 * starts - np.arange(len(starts))
    frames = np.flatnonzero(states < firsts[-1])
    numbers = np.searchsorted(firsts, states[frames], side="right") - 1
    spoken = (states[frames] - firsts[numbers]) % 2 == 0
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
    fit = [n for n, one in enumerate(labels) if frames_needed(one) <= frames]
    found = [-math.inf] * len(labels)
    if frames == 0:
        return [0.0 if not one else -math.inf for one in labels]
    if fit:
        rows = log_probs.detach().double().cpu()
        loss = torch.nn.functional.ctc_loss(
            rows[:, None].expand(-1, len(fit), -1).contiguous(),
            torch.tensor([label for n in fit for label in labels[n]], dtype=torch.long),
            torch.full((len(fit),), frames),
            torch.tensor([len(labels[n]) for n in fit]),
            blank=blank,
            reduction="none",
        )
        for n, value in zip(fit, loss.tolist(), strict=True):
            found[n] = -value
    return found
