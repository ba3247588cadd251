"""What the CTC beam search holds, as arrays that compiled code can work on."""

import math
from typing import NamedTuple

import numpy as np

from espnet_dynlook.search.compiled import bare

NEVER = -math.inf
#: A term of a sum that is so many nats below another one changes no digit of it.
TOO_SMALL = 45.0

# Columns of labellings (integers). Parents stand before children.
PARENT, TOKEN, OPEN, WORDS, LM, CLOSED, CLOSE_LM, FIRST, MATCHES = range(9)
WORD, LENGTH = 9, 10  # of the open word: hash of its letters, how many
PLACE = 11  # among the hypotheses, if it is one
NODE_INTS = 12
# Columns of labellings (numbers): language model so far, what the end of the open word
# adds to it, and how much more that is for a word of the catalog.
LM_SCORE, CLOSE, GAIN = range(3)
NODE_FLOATS = 3
# Columns of hypotheses: labelling, last emission, where its matches' scores begin.
NODE, EMISSION, SCORES = range(3)
# Log-probabilities of paths that end with a blank or with the last token: as the model
# says, and with the bias of entries that are complete; the sums of both.
PLAIN_BLANK, PLAIN_LABEL, BLANK, LABEL, PLAIN, EVERY = range(6)
# The same of an open entry.
ENTRY_BLANK, ENTRY_LABEL, ENTRY_EVERY = range(3)
# Columns of emissions.
FRAME, EMITTED, BEFORE = range(3)
# How many there are of each; of match scores, and in which half of them they are.
NODES, EMISSIONS, POOL, HYPOTHESES, TOKENS, COMMON, MATCHED, HALF = range(8)
COUNTS = 8
# What a token does to words.
INSIDE, BEGINS, SEPARATES = range(3)
# Why the kernel stopped.
DONE, GROW, GROW_SCRATCH, ASK = range(4)
# What a language model is asked about, and whether compiled code can ask it.
ASK_WORDS, ASK_TOKENS, SAY_WORDS, SAY_TOKENS = range(1, 5)


class Ngram(NamedTuple):
    """An n-gram model that compiled code can ask; see ``search.ngram_arrays``.

    Attributes:
        children: Table of (node, word, node of the n-gram one word longer).
        scores: Of each node, in nats: log-probability of its last word, back-off.
        links: Of each node: where it backs off to; the state behind it.
        vocabulary: Table of (hash of a word's letters, 0, word).
        tokens: Of each token: hash of its letters, what the hash before it is
            multiplied by, its number in a model of tokens, how many letters.
        numbers: Weight, word insertion, penalty of unknown words and of each of their
            letters, and how far above ``<unk>`` a word of the catalog is at least;
            minus infinity: nowhere.
        unknown: The word ``<unk>``; -1: the model has none.
        begin: The state before the first word.
        end: The word behind the last one; -1: the model has none.
    """

    children: np.ndarray
    scores: np.ndarray
    links: np.ndarray
    vocabulary: np.ndarray
    tokens: np.ndarray
    numbers: np.ndarray
    unknown: int
    begin: int
    end: int


class Settings(NamedTuple):
    """What a search was told.

    Attributes:
        beam: Hypotheses that are kept.
        candidates: Tokens of a frame that may follow any of them.
        blank: Index of the blank.
        pruning: Least log-probability of a token; least one of a blank that leaves no
            room for tokens; how much worse than the best a hypothesis may be.
        boosting: Slope, cap, number of tokens, floor, least log-probability of the best
            label and most of the blank, of ``search.boosting``.
        kinds: What each token does to words (V,).
        language: 0: no language model; else what it is asked, such as ``ASK_WORDS``.
        ngram: The model, where compiled code asks it.
    """

    beam: int
    candidates: int
    blank: int
    pruning: np.ndarray
    boosting: np.ndarray
    kinds: np.ndarray
    language: int
    ngram: Ngram


class Graph(NamedTuple):
    """Entries of a catalog, as paths of tokens; see ``search.phrase_graph``.

    Attributes:
        arcs: Table of (node, token, node behind it).
        weights: Of each node's entries.
        ends: Whether an entry ends in each node.
        roots: The first so many nodes are before entries, one for each weight.
        starts: Where the nodes behind each token as an entry's first one begin in
            ``firsts``; (tokens + 1), for tokens up to the largest that begins one.
        firsts: These nodes, by token and then by root.
        masks: Of each node, 64 bits of the tokens (modulo 64) that arcs have: most
            tokens are turned away without a look at the table.
    """

    arcs: np.ndarray
    weights: np.ndarray
    ends: np.ndarray
    roots: int
    starts: np.ndarray
    firsts: np.ndarray
    masks: np.ndarray


class Lattice(NamedTuple):
    """Labellings, emissions, and the hypotheses that are made of them.

    Attributes:
        counts: How many there are of each.
        nodes: Labellings, parents before children.
        lms: What the language model says of them.
        table: Finds a labelling by its parent and its last token.
        pool: Nodes of the phrase graph that the open entries of labellings are in.
        emissions: The frame and the token of each, and the emission before it.
        probabilities: Of the emissions.
        hyps: The hypotheses.
        hyp_scores: Their log-probabilities.
    """

    counts: np.ndarray
    nodes: np.ndarray
    lms: np.ndarray
    table: np.ndarray
    pool: np.ndarray
    emissions: np.ndarray
    probabilities: np.ndarray
    hyps: np.ndarray
    hyp_scores: np.ndarray


class Frame(NamedTuple):
    """What is worked out once a frame.

    Attributes:
        tokens: Those for all hypotheses, then those that only entries need.
        boosts: What each gets as an entry's next token; -1: nothing.
        token_lm: What a language model of tokens says (H, tokens); else empty.
        next_lm: Its states behind them.
    """

    tokens: np.ndarray
    boosts: np.ndarray
    token_lm: np.ndarray
    next_lm: np.ndarray


@bare
def add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    if b < a - TOO_SMALL or b == NEVER:
        return a
    return a + math.log1p(math.exp(b - a))


@bare
def sum_up(scores, at):
    """Fill in the sums of a row of scores."""
    plain = add(scores[at, PLAIN_BLANK], scores[at, PLAIN_LABEL])
    blank, label = scores[at, BLANK], scores[at, LABEL]
    scores[at, PLAIN] = scores[at, EVERY] = plain
    if blank != scores[at, PLAIN_BLANK] or label != scores[at, PLAIN_LABEL]:
        scores[at, EVERY] = add(blank, label)


@bare
def put(values: np.ndarray, row: int, numbers: tuple) -> None:
    """Write a row; a slice would do, but takes seconds to compile."""
    for n in range(len(numbers)):
        values[row, n] = numbers[n]


@bare
def slot_of(first: int, second: int, size: int) -> int:
    """Return where to look first for a pair in a table of 2 ** n places."""
    mixed = (first * 2654435761) ^ (second * 40503 + 0x9E3779B9)
    return (mixed ^ (mixed >> 15)) & (size - 1)


@bare
def find_arc(arcs: np.ndarray, masks: np.ndarray, node: int, token: int) -> int:
    """Return the phrase graph's node behind a token, -1 if there is none."""
    if not (masks[node] >> (token & 63)) & 1:
        return -1
    return find_pair(arcs, node, token)


@bare
def begun(graph: Graph, token: int) -> tuple[int, int]:
    """Return where the entries that a token begins are in ``Graph.firsts``."""
    if token + 1 >= len(graph.starts):
        return 0, 0
    return graph.starts[token], graph.starts[token + 1]


@bare
def find_pair(table: np.ndarray, first: int, second: int) -> int:
    """Return the third number of the row that begins with two, -1 if there is none."""
    slot = slot_of(first, second, len(table))
    while table[slot, 2] >= 0:
        if table[slot, 0] == first and table[slot, 1] == second:
            return table[slot, 2]
        slot = (slot + 1) & (len(table) - 1)
    return -1


@bare
def find_node(table: np.ndarray, nodes: np.ndarray, parent: int, token: int) -> int:
    """Return the labelling one token longer, -1 if it is not known."""
    slot = slot_of(parent, token, len(table))
    while table[slot] >= 0:
        found = table[slot]
        if nodes[found, PARENT] == parent and nodes[found, TOKEN] == token:
            return found
        slot = (slot + 1) & (len(table) - 1)
    return -1


@bare
def enter_node(table: np.ndarray, nodes: np.ndarray, node: int) -> None:
    """Make a labelling known."""
    slot = slot_of(nodes[node, PARENT], nodes[node, TOKEN], len(table))
    while table[slot] >= 0:
        slot = (slot + 1) & (len(table) - 1)
    table[slot] = node
