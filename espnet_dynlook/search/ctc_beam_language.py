"""What a CTC beam search asks of its language model."""

import math
from typing import TYPE_CHECKING

import numpy as np

from espnet_dynlook.search.ctc_beam_arrays import (
    ASK_TOKENS,
    ASK_WORDS,
    BEGINS,
    CLOSE,
    CLOSE_LM,
    CLOSED,
    GAIN,
    HYPOTHESES,
    LM,
    NODE,
    OPEN,
    PARENT,
    SAY_TOKENS,
    SAY_WORDS,
    TOKEN,
    TOKENS,
    Frame,
    Lattice,
    Ngram,
)
from espnet_dynlook.search.ngram import END, UNKNOWN, ArpaModel, NgramLM
from espnet_dynlook.search.ngram_arrays import (
    NO_NGRAM,
    close_words,
    finals,
    ngram_for_tokens,
)
from espnet_dynlook.search.token_words import TokenWords
from espnet_dynlook.search.unigram_boost import UnigramBoost

if TYPE_CHECKING:
    from espnet_dynlook.search.ctc_beam_state import CTCBeam


def language_of(lm: NgramLM | None, words: TokenWords) -> tuple[int, Ngram]:
    """Return what a search asks of its language model, and the model as arrays.

    Only a plain ``ArpaModel`` has those; others are asked by ``Language``.
    """
    if lm is None:
        return 0, NO_NGRAM
    of_words = lm.unit == "word"
    if not isinstance(lm.model, ArpaModel):
        return ASK_WORDS if of_words else ASK_TOKENS, NO_NGRAM
    penalties = (lm.unknown, lm.unknown_length)
    numbers = (lm.weight, lm.word_insertion, *penalties, -math.inf)
    ngram = ngram_for_tokens(
        lm.model.trie, words.pieces, words.token_list, numbers, UNKNOWN, END
    )
    return SAY_WORDS if of_words else SAY_TOKENS, ngram


def lifted(ngram: Ngram, unigram: UnigramBoost | None, entries: int) -> Ngram:
    """Return arrays of a model in which words of a catalog have their least score."""
    if unigram is None or not entries:
        return ngram
    numbers = ngram.numbers.copy()
    numbers[4] = unigram.lift(entries)
    return ngram._replace(numbers=numbers)


class Language:
    """Answers what the compiled loop asks of the language model.

    Args:
        beam: What is known where it begins.

    Attributes:
        ngram: The model as arrays, for this catalog.
        states: Of the model, by number; none where it is asked by compiled code.
    """

    def __init__(self, beam: "CTCBeam"):
        self.lm = beam.search.lm
        self.unigram = beam.search.unigram
        self.token_list = beam.search.token_list
        self.words = beam.search.words
        self.entries = beam.graph.size
        self.says = beam.search.says
        self.ngram = lifted(
            beam.search.settings.ngram, beam.search.unigram, self.entries
        )
        # Labellings are renumbered only after this was asked for the last time.
        self._words = {0: self.words.text(beam.open_word)}
        self.states = list(beam.lm_states)
        self._numbers = {state: n for n, state in enumerate(self.states)}
        self._said: dict[tuple[int, str], tuple[float, float, int]] = {}

    def answer(self, lattice: Lattice, frame: Frame) -> Frame:
        """Return the frame with what it needs to go on; fill in the lattice."""
        assert self.lm is not None
        if self.lm.unit == "word":
            self.close_words(lattice)
            return frame
        held, count = lattice.counts[HYPOTHESES], lattice.counts[TOKENS]
        scores = np.empty((held, count))
        following = np.empty((held, count), dtype=np.int64)
        names = [self.token_list[token] for token in frame.tokens[:count]]
        for h in range(held):
            state = int(lattice.nodes[lattice.hyps[h, NODE], LM])
            for q, name in enumerate(names):
                scores[h, q], _, following[h, q] = self.say(state, name)
        return frame._replace(token_lm=scores, next_lm=following)

    def finish(self, states: np.ndarray) -> np.ndarray:
        """Return what the end of the utterance adds behind each of some states."""
        assert self.lm is not None
        if not self.says:
            return np.array([self.lm.finish(self.states[n]) for n in states])
        if not self.lm.end:
            return np.zeros(len(states))
        return self.lm.weight * finals(self.ngram, states)

    def close_words(self, lattice: Lattice) -> None:
        """Fill in what the end of each hypothesis's open word adds."""
        if self.says:
            close_words(self.ngram, lattice)
            return
        nodes = lattice.hyps[: lattice.counts[HYPOTHESES], NODE]
        of_them = lattice.nodes[nodes]
        nodes = nodes[(of_them[:, OPEN] == 1) & (of_them[:, CLOSED] == 0)]
        said = [
            self.say(state, self.word(lattice, node))
            for node, state in zip(
                nodes.tolist(), lattice.nodes[nodes, LM].tolist(), strict=True
            )
        ]
        if said:
            scores, gains, following = zip(*said, strict=True)
            lattice.lms[nodes, CLOSE] = scores
            lattice.lms[nodes, GAIN] = gains
            lattice.nodes[nodes, CLOSE_LM] = following
            lattice.nodes[nodes, CLOSED] = 1

    def word(self, lattice: Lattice, node: int) -> str:
        """Return the open word of a labelling."""
        get, kinds, known = lattice.nodes.item, self.words.kinds, self._words
        walked: list[tuple[int, int]] = []
        text = ""
        while node not in known:
            token, parent = get(node, TOKEN), get(node, PARENT)
            walked.append((node, token))
            if kinds[token] == BEGINS or not get(parent, OPEN):
                break
            node = parent
        else:
            text = known[node]
        for node, token in reversed(walked):
            text += self.words.pieces[token]
            known[node] = text
        return text

    def say(self, state: int, word: str) -> tuple[float, float, int]:
        """Return weighted score and gain of a word behind a state, and the next one."""
        key = (state, word)
        if key not in self._said:
            lm = self.lm
            assert lm is not None
            score, after = lm.score(self.states[state], word)
            gain = 0.0
            if self.unigram is not None and self.entries:
                unknown = lm.model.score(self.states[state], UNKNOWN)[0]
                gain = lm.weight * self.unigram.gain(score, unknown, self.entries)
            number = self._numbers.setdefault(after, len(self.states))
            if number == len(self.states):
                self.states.append(after)
            weighted = lm.weight * score + lm.word_insertion
            self._said[key] = (weighted, gain, number)
        return self._said[key]
