"""An n-gram model as arrays, so that compiled code can ask it.

N-grams are the nodes of a trie, node 0 being the empty one; a state is the node of the
words that count. A labelling's open word is known by a hash of its letters, which grows
with every token, so that no text has to be made.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from espnet_dynlook.search.compiled import bare, compiled
from espnet_dynlook.search.ctc_beam_arrays import (
    CLOSE,
    CLOSE_LM,
    CLOSED,
    GAIN,
    HYPOTHESES,
    LENGTH,
    LM,
    NODE,
    OPEN,
    TOKENS,
    WORD,
    Ngram,
    find_pair,
    slot_of,
)

#: Odd, and of both halves of 64 bits: letters are spread over all of them.
_SPREAD = 0x9E3779B97F4A7C15
_BASE = 0x100000001B3
_BITS = (1 << 64) - 1
#: Of a word where not even <unk> is known, in nats: a probability of 10 ** -100.
_IMPOSSIBLE = -100.0 * float(np.log(10.0))

NO_NGRAM = Ngram(
    np.full((2, 3), -1, dtype=np.int64),
    np.zeros((1, 2)),
    np.zeros((1, 2), dtype=np.int64),
    np.full((2, 3), -1, dtype=np.int64),
    np.zeros((1, 4), dtype=np.int64),
    np.zeros(5),
    -1,
    0,
    -1,
)


class Trie(NamedTuple):
    """What of a model does not depend on a search.

    Attributes:
        children: Table of (node, word, node of the n-gram one word longer).
        scores: Of each node, in nats: log-probability of its last word, back-off.
        links: Of each node: where it backs off to; the state behind it.
        words: Number of every word.
        vocabulary: See ``Ngram``.
        begin: The state before the first word.
    """

    children: np.ndarray
    scores: np.ndarray
    links: np.ndarray
    words: dict[str, int]
    vocabulary: np.ndarray
    begin: int


def make_trie(
    ngrams: Mapping[tuple[str, ...], tuple[float, float]],
    order: int,
    begin: tuple[str, ...],
) -> Trie:
    """Make a trie.

    Args:
        ngrams: Log-probability and back-off of each, in nats.
        order: Words of the longest.
        begin: The state before the first word.
    """
    unigrams = (gram[0] for gram in ngrams if len(gram) == 1)
    words = {word: number for number, word in enumerate(unigrams)}
    nodes: dict[tuple[str, ...], int] = {(): 0}
    # What an n-gram continues is a node, should the file not have it.
    for gram in sorted(ngrams, key=len):
        for size in range(1, len(gram) + 1):
            nodes.setdefault(gram[:size], len(nodes))
    scores = np.zeros((len(nodes), 2))
    links = np.zeros((len(nodes), 2), dtype=np.int64)
    pairs = []
    for gram, values in ngrams.items():
        scores[nodes[gram]] = values
        if gram[-1] in words:
            pairs.append((nodes[gram[:-1]], words[gram[-1]], nodes[gram]))
    for gram, node in nodes.items():
        tails = (gram[first:] for first in range(1, len(gram) + 1))
        links[node, 0] = next((nodes[tail] for tail in tails if tail in nodes), 0)
        tails = (
            gram[first:] for first in range(max(0, len(gram) + 1 - order), len(gram))
        )
        links[node, 1] = next((nodes[tail] for tail in tails if tail in ngrams), 0)
    hashes = [(_as_int(_hash(word)), 0, number) for word, number in words.items()]
    return Trie(
        _table(pairs), scores, links, words, _table(hashes), nodes.get(begin, 0)
    )


def ngram_for_tokens(
    trie: Trie,
    pieces: Sequence[str],
    tokens: Sequence[str],
    numbers: Sequence[float],
    unknown: str,
    end: str,
) -> Ngram:
    """Return arrays for a search.

    Args:
        trie: The model.
        pieces: What each token adds to a word.
        tokens: The tokens, as words of a model of tokens.
        numbers: See ``Ngram.numbers``.
        unknown: The word that stands for all that are not known.
        end: The word that ends an utterance.
    """
    known = trie.words
    of_tokens = [
        (
            _as_int(_hash(piece)),
            _as_int(pow(_BASE, len(piece), 1 << 64)),
            number,
            len(piece),
        )
        for piece, number in zip(
            pieces, (known.get(token, -1) for token in tokens), strict=True
        )
    ]
    return Ngram(
        trie.children,
        trie.scores,
        trie.links,
        trie.vocabulary,
        np.array(of_tokens, dtype=np.int64),
        np.array(numbers, dtype=np.float64),
        known.get(unknown, -1),
        trie.begin,
        known.get(end, -1),
    )


def _hash(text: str) -> int:
    found = 0
    for letter in text:
        found = (found * _BASE + (ord(letter) + 1) * _SPREAD) & _BITS
    return found


def _as_int(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


def _table(rows: Sequence[tuple[int, int, int]]) -> np.ndarray:
    size = 1 << max(1, (2 * len(rows)).bit_length())
    return _entered(np.array(rows, dtype=np.int64).reshape(-1, 3), size)


@compiled
def _entered(rows, size):
    """Return a table that finds rows (first, second, value) by their first two."""
    table = np.full((size, 3), -1, dtype=np.int64)
    for n in range(len(rows)):
        slot = slot_of(rows[n, 0], rows[n, 1], size)
        while table[slot, 2] >= 0:
            slot = (slot + 1) & (size - 1)
        for column in range(3):
            table[slot, column] = rows[n, column]
    return table


@bare
def grown_word(ngram, before, token):
    """Return the hash of an open word with one more token; 0 is that of no letters."""
    return before * ngram.tokens[token, 1] + ngram.tokens[token, 0]


@bare
def say_word(ngram, state, word):
    """Return the log-probability of a word, -1 being none that is known; the state."""
    word = ngram.unknown if word < 0 else word
    total = 0.0
    while True:
        found = find_pair(ngram.children, state, word) if word >= 0 else -1
        if found >= 0:
            return total + ngram.scores[found, 0], ngram.links[found, 1]
        if state == 0:
            return total + _IMPOSSIBLE, 0
        total += ngram.scores[state, 1]
        state = ngram.links[state, 0]


@bare
def weighted_word(ngram, state, word, length):
    """Return weighted score, gain if an entry has the word, and the next state."""
    weight, insertion, penalty, each, lift = ngram.numbers
    score, after = say_word(ngram, state, word)
    if word < 0:
        score += penalty + each * length
    gain = 0.0
    if lift > -np.inf:
        unknown, _ = say_word(ngram, state, -1)
        gain = weight * max(0.0, unknown + lift - score)
    return weight * score + insertion, gain, after


@bare
def close_words(ngram, lattice):
    """Fill in what the end of each hypothesis's open word adds."""
    nodes, lms = lattice.nodes, lattice.lms
    for h in range(lattice.counts[HYPOTHESES]):
        node = lattice.hyps[h, NODE]
        if nodes[node, OPEN] == 1 and nodes[node, CLOSED] == 0:
            word = find_pair(ngram.vocabulary, nodes[node, WORD], 0)
            score, gain, after = weighted_word(
                ngram, nodes[node, LM], word, nodes[node, LENGTH]
            )
            lms[node, CLOSE], lms[node, GAIN] = score, gain
            nodes[node, CLOSE_LM], nodes[node, CLOSED] = after, 1


@compiled
def finals(ngram, states):
    """Return the log-probability of the end behind each state."""
    found = np.empty(len(states))
    for n in range(len(states)):
        found[n], _ = say_word(ngram, states[n], ngram.end)
    return found


@bare
def say_tokens(ngram, lattice, frame):
    """Fill in what a model of tokens says of a frame's behind each hypothesis."""
    for h in range(lattice.counts[HYPOTHESES]):
        state = lattice.nodes[lattice.hyps[h, NODE], LM]
        for q in range(lattice.counts[TOKENS]):
            word = ngram.tokens[frame.tokens[q], 2]
            score, _, after = weighted_word(ngram, state, word, 0)
            frame.token_lm[h, q], frame.next_lm[h, q] = score, after
