"""A CTC beam search that goes on where it stopped: the state is a value."""

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.search.checks import check_catalog
from espnet_dynlook.search.ctc_beam_arrays import (
    ASK,
    BEFORE,
    CLOSE_LM,
    CLOSED,
    DONE,
    EMISSION,
    EMITTED,
    FRAME,
    GROW,
    GROW_SCRATCH,
    INSIDE,
    LM,
    NODE,
    OPEN,
    PARENT,
    PLAIN,
    SEPARATES,
    WORDS,
    Lattice,
)
from espnet_dynlook.search.ctc_beam_kernel import final_scores, run
from espnet_dynlook.search.ctc_beam_language import Language
from espnet_dynlook.search.ctc_beam_workspace import give_back, take_workspace
from espnet_dynlook.search.incremental import (
    Chain,
    Token,
    as_tensor,
    chained,
    checked_log_probs,
    silence_behind,
    tokens_of,
    without_first,
)
from espnet_dynlook.search.lattice import (
    compact,
    empty_lattice,
    rematched,
    shared,
    steps_from,
)
from espnet_dynlook.search.phrase_graph import PhraseGraph, kept_graph

if TYPE_CHECKING:
    from espnet_dynlook.search.ctc_beam import CTCBeamSearch

#: Frames after which a long utterance's arrays are made small again.
BLOCK = 256


@dataclass(frozen=True)
class Final:
    """A hypothesis as it stands if the utterance ends now.

    Attributes:
        tokens: Its tokens.
        score: What it is ranked by.
        parts: What the score is the sum of: ``ctc``, ``bias``, ``lm``,
            ``word_insertion``.
    """

    tokens: list[Token]
    score: float
    parts: dict[str, float]


@dataclass(frozen=True, eq=False)
class CTCBeam:
    """What a CTC beam search knows of an utterance so far; a ``Search``.

    Attributes:
        search: What it was told.
        graph: Of the catalog.
        lattice: Labellings and hypotheses that are not settled.
        match_scores: Of the hypotheses' open entries.
        lm_states: States of the language model, by number.
        open_word: Settled tokens of a word that is not complete.
        said: What is settled.
        frames: Number of the next frame.
        silence: Frames behind the last one whose best label is not blank.
    """

    search: "CTCBeamSearch"
    graph: PhraseGraph
    lattice: Lattice
    match_scores: np.ndarray
    lm_states: tuple[Hashable, ...] = ()
    open_word: tuple[int, ...] = ()
    said: Chain | None = None
    frames: int = 0
    silence: int = 0

    @classmethod
    def begin(cls, search: "CTCBeamSearch", catalog: Catalog | None) -> "CTCBeam":
        """Return what is known before the first frame."""
        lm, lattice = search.lm, empty_lattice()
        lattice.nodes[0, [LM, CLOSE_LM]] = search.settings.ngram.begin
        return cls(
            search,
            graph_for(search, catalog),
            lattice,
            np.zeros((0, 3)),
            () if lm is None or search.says else (lm.model.begin(),),
        )

    @property
    def tokens(self) -> list[Token]:
        """Tokens of the best hypothesis, if the utterance ends now."""
        return self.tokens_from(0)

    def tokens_from(self, first: int) -> list[Token]:
        """Return its tokens but for the first so many."""
        settled = 0 if self.said is None else self.said.length
        best = self._ranked[0][0]
        [rest] = self._emitted([best])
        return tokens_of(self.said, first) + rest[max(first - settled, 0) :]

    @property
    def score(self) -> float:
        """What the best hypothesis is worth if the utterance ends now, in nats."""
        return self._ranked[0][1]

    @cached_property
    def stable(self) -> int:
        """Tokens at the beginning that all hypotheses share: the others are gone."""
        parents = self.lattice.nodes[:, PARENT]
        last = shared(self.lattice.hyps[:, NODE], parents)
        settled = 0 if self.said is None else self.said.length
        return settled + len(steps_from(last, 0, parents))

    def step(self, frames: torch.Tensor) -> "CTCBeam":
        """Go on with log-probabilities (n, V).

        Raises:
            ValueError: they are no log-probabilities (n, V).
        """
        frames = as_tensor(frames, "log_probs")
        if frames.dim() == 2 and frames.shape[1] != len(self.search.token_list):
            raise ValueError(
                f"log_probs has {frames.shape[1]} labels for a token_list of "
                f"{len(self.search.token_list)}"
            )
        frames = checked_log_probs(frames)
        if not len(frames):
            return self
        rows = frames.cpu().contiguous().numpy()
        state = self
        for at in range(0, len(rows), BLOCK):
            state = state._follow(rows[at : at + BLOCK])
        said = rows.argmax(axis=1) != self.search.blank
        return replace(state, silence=silence_behind(said, self.silence))

    def beginning_at(self, frame: int) -> "CTCBeam":
        """Return what is known before a frame, of nothing."""
        begin = CTCBeam.begin(self.search, None)
        return replace(begin, graph=self.graph, frames=frame)

    def forgetting(self, first: int) -> "CTCBeam":
        """Return this without its first tokens, as far as all hypotheses agree."""
        return replace(self, said=without_first(self.said, first))

    def with_catalog(self, catalog: Catalog | None) -> "CTCBeam":
        """Return this with another list from now on.

        What is not settled yet is searched for its entries, but nothing that was said
        before gets their bias.
        """
        graph = graph_for(self.search, catalog)
        lattice, scores = rematched(
            self.lattice, graph.arrays, self.search.settings.kinds
        )
        lattice.nodes[:, CLOSED] = 0  # what words gain depends on the list
        return replace(self, graph=graph, lattice=lattice, match_scores=scores)

    def best(self, number: int) -> list[Final]:
        """Return the best hypotheses if the utterance ends now, the best first."""
        before = tokens_of(self.said)
        ranked = self._ranked[:number]
        found = []
        emissions = self._emitted([h for h, _, _ in ranked])
        for (h, score, bias), emitted in zip(ranked, emissions, strict=True):
            node = self.lattice.hyps[h, NODE]
            plain = float(self.lattice.hyp_scores[h, PLAIN])
            words = self.lattice.nodes[node, WORDS] + self.lattice.nodes[node, OPEN]
            lm = self.search.lm
            each = 0.0
            if lm is not None:
                each = lm.word_insertion * float(
                    len(before) + len(emitted) if lm.unit == "token" else words
                )
            parts = {
                "ctc": plain,
                "bias": bias - plain,
                "lm": score - bias - each,
                "word_insertion": each,
            }
            found.append(Final(before + emitted, score, parts))
        return found

    @cached_property
    def _ranked(self) -> list[tuple[int, float, float]]:
        """Hypotheses as they end: number, score, score of CTC with bias."""
        lattice, lm = self.lattice, self.search.lm
        extra = np.zeros(len(lattice.hyps))
        if lm is not None:
            known = Language(self)
            lattice = lattice._replace(
                nodes=lattice.nodes.copy(), lms=lattice.lms.copy()
            )
            if lm.unit == "word":
                known.close_words(lattice)
            nodes = lattice.nodes[lattice.hyps[:, NODE]]
            words = (nodes[:, OPEN] == 1) & (lm.unit == "word")
            states = np.where(words, nodes[:, CLOSE_LM], nodes[:, LM])
            extra += known.finish(states)
        found = final_scores(self.graph.arrays, lattice, self.match_scores)
        totals = found[:, 1] + extra
        order = np.argsort(-totals, kind="stable")
        return [(int(h), float(totals[h]), float(found[h, 0])) for h in order]

    def _emitted(self, hypotheses: Sequence[int]) -> list[list[Token]]:
        """Return the tokens of each hypothesis that are not settled."""
        emissions, probabilities = self.lattice.emissions, self.lattice.probabilities
        before = emissions[:, BEFORE]
        lasts = self.lattice.hyps[hypotheses, EMISSION]
        chains = [steps_from(last, 0, before) for last in lasts]
        # Most of what they emit is the same, and made once.
        links, places = np.unique(np.concatenate(chains), return_inverse=True)
        tokens = _tokens(emissions[links], probabilities[links])
        rest = iter(places.tolist())
        return [
            list(map(tokens.__getitem__, itertools.islice(rest, len(chain))))
            for chain in chains
        ]

    def _follow(self, rows: np.ndarray) -> "CTCBeam":
        """Go on with at most a block of frames."""
        settings, graph = self.search.settings, self.graph.arrays
        known = Language(self)
        settings = settings._replace(ngram=known.ngram)
        workspace = take_workspace(settings, rows.shape[1])
        frame = workspace.frame
        workspace.put(self.lattice, self.match_scores)
        at, why, asked = 0, ASK, False
        while why != DONE:
            at, why = run(
                *(rows, at, asked, self.frames, settings, graph),
                *(workspace.lattice, frame, workspace.scratch),
            )
            asked = why in (ASK, GROW_SCRATCH)
            if why == ASK:
                frame = known.answer(workspace.lattice, frame)
            elif why == GROW:
                workspace.widen_lattice()
            elif why == GROW_SCRATCH:
                workspace.widen_scratch()
        scores = workspace.match_scores()
        lattice, settled, probabilities = compact(workspace.lattice)
        give_back(workspace)
        said, open_word = self.said, list(self.open_word)
        for token in _tokens(settled, probabilities):
            said = chained(said, token)
            kind = settings.kinds[token.token]
            if kind != INSIDE:
                open_word.clear()
            if kind != SEPARATES:
                open_word.append(token.token)
        states: tuple[Hashable, ...] = ()
        if known.lm is not None and not self.search.says:
            numbers = lattice.nodes[:, [LM, CLOSE_LM]]
            used, numbers = np.unique(numbers, return_inverse=True)
            lattice.nodes[:, [LM, CLOSE_LM]] = numbers.reshape(-1, 2)
            states = tuple(known.states[n] for n in used)
        return replace(
            self,
            lattice=lattice,
            match_scores=scores,
            lm_states=states,
            open_word=tuple(open_word),
            said=said,
            frames=self.frames + len(rows),
        )


def graph_for(search: "CTCBeamSearch", catalog: Catalog | None) -> PhraseGraph:
    """Return the graph of a catalog that a search can follow.

    Raises:
        CatalogError: The catalog is strict, and these tokens cannot write some phrase.
        TypeError: It is no catalog.
        ValueError: The beam has no place for entries that are not complete.
    """
    check_catalog(catalog)
    graph = kept_graph(catalog, search.token_list)
    biases = search.unigram is not None or search.settings.boosting[:2].min() > 0
    if graph.size and biases and search.settings.beam == 1:
        raise ValueError(
            f"beam_size=1 cannot find names (the list has {graph.size}): a name that "
            "has begun needs a place beside the best text; give beam_size=2 or more, "
            "or no list"
        )
    return graph


def _tokens(emissions: np.ndarray, probabilities: np.ndarray) -> list[Token]:
    numbers, frames = emissions[:, EMITTED].tolist(), emissions[:, FRAME].tolist()
    return list(map(Token, numbers, frames, probabilities.tolist()))
