# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Names in ESPnet's beam search, whose hypotheses grow by tokens and not by frames.

Shallow fusion with a graph of phrases, as in Zhao et al., "Shallow-Fusion End-to-End
Contextual Biasing", Interspeech 2019; whole entries only, and what overlaps is our own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.search.ctc_beam_arrays import BEGINS, SEPARATES
from espnet_dynlook.search.phrase_graph import PhraseGraph, kept_graph
from espnet_dynlook.search.token_words import TokenWords

BatchScorerInterface = espnet_nets("scorer_interface").BatchScorerInterface


@dataclass(frozen=True)
class BiasState:
    """What the tokens of a hypothesis have of the entries.

    Attributes:
        settled: Bonus of the best set of complete entries that do not overlap, up to
            the last beginning of a word.
        open: Nodes of entries that have begun, and what each has with its bonus.
        fresh: Whether the next token begins a word, whatever it is.
        length: Of the tokens that are in it, the first of which is ``<sos>``.
    """

    settled: float = 0.0
    open: tuple[tuple[int, float], ...] = ()
    fresh: bool = True
    length: int = 1

    @property
    def bonus(self) -> float:
        """What the hypothesis is ranked with: entries that are open count."""
        return max([self.settled, *(value for _, value in self.open)])


class BiasingScorer(BatchScorerInterface):  # type: ignore[misc, valid-type]
    """Scores the tokens that continue entries of a catalog.

    Every token of an entry gets ``bonus`` times the entry's weight as soon as it comes,
    before the search prunes anything, its preselection for CTC (``pre_beam``) included.
    An entry that is left before it is complete, or that does not end where a word ends,
    gives back all that it got. Of entries that overlap, those count whose sum is the
    largest. So the sum over a hypothesis that has ended is the bonus of the whole
    entries in it, and the order of the list never matters.

    A full scorer, not a partial one: those see only what preselection leaves.

    Args:
        token_list: The model's tokens.
        eos: Index of ``<sos/eos>``.
        catalog: Names; None: none, until ``take``.
        bonus: Of each token, in nats.

    Raises:
        ValueError: ``bonus`` is no finite number of 0 or more.
    """

    def __init__(
        self,
        token_list: Sequence[str],
        eos: int,
        catalog: Catalog | None = None,
        bonus: float = 1.5,
    ):
        if not (math.isfinite(bonus) and bonus >= 0):
            raise ValueError(f"bonus={bonus} nats a token must be 0 or more")
        self.token_list = tuple(token_list)
        self.eos = eos
        self.bonus = bonus
        kinds = TokenWords(self.token_list).kinds.copy()
        kinds[eos] = SEPARATES  # words end there
        self._kinds = kinds
        self._first = kinds == BEGINS
        self._between = kinds == SEPARATES
        self.take(catalog)

    def take(self, catalog: Catalog | None) -> None:
        """Use another list from the next utterance on.

        Raises:
            CatalogError: it is strict, and these tokens cannot write some phrase.
        """
        self.graph: PhraseGraph = kept_graph(catalog, self.token_list)
        arcs = self.graph.arrays.arcs
        arcs = arcs[arcs[:, 0] >= 0]
        arcs = arcs[np.argsort(arcs[:, 0], kind="stable")]
        self._next = arcs[:, 1:]
        nodes = np.arange(len(self.graph.arrays.ends) + 1)
        self._from = np.searchsorted(arcs[:, 0], nodes)
        roots = range(self.graph.arrays.roots)
        self._beginnings = [self._after(node, 0.0) for node in roots]

    def init_state(self, x: torch.Tensor) -> BiasState:
        """Return the state of a hypothesis without tokens."""
        return BiasState()

    def score(
        self, y: torch.Tensor, state: BiasState, x: torch.Tensor
    ) -> tuple[torch.Tensor, BiasState]:
        """Score all tokens that may follow a hypothesis.

        Args:
            y: Its tokens (L,), the first of which is ``<sos>``.
            state: Of the hypothesis, or of a shorter one that it begins with.
            x: Encoder's output; only its type and device matter.

        Returns:
            Scores (V,), and the state of the hypothesis.
        """
        state = self.advanced(state, y.tolist())
        scores = torch.as_tensor(self._scores(state), device=x.device)
        return scores.to(x.dtype), state

    def batch_score(
        self, ys: torch.Tensor, states: list[BiasState], xs: torch.Tensor
    ) -> tuple[torch.Tensor, list[BiasState]]:
        """Score all tokens that may follow each of several hypotheses.

        Args:
            ys: Their tokens (B, L).
            states: Of each.
            xs: Encoder's output; only its type and device matter.

        Returns:
            Scores (B, V), and the states of the hypotheses.
        """
        pairs = zip(ys.tolist(), states, strict=True)
        new = [self.advanced(state, tokens) for tokens, state in pairs]
        scores = np.stack([self._scores(state) for state in new])
        return torch.as_tensor(scores, device=xs.device).to(xs.dtype), new

    def advanced(self, state: BiasState, tokens: Sequence[int]) -> BiasState:
        """Return the state of tokens, given that of their beginning."""
        for token in tokens[state.length :]:
            state = self._step(state, token)
        return state

    def _step(self, state: BiasState, token: int) -> BiasState:
        kind = self._kinds[token]
        begins = kind == BEGINS or (state.fresh and kind != SEPARATES)
        settled = state.settled
        if begins or kind == SEPARATES:
            settled = self._settled(state)
        found: dict[int, float] = {}
        candidates = [self._after(node, value) for node, value in state.open]
        if begins:
            candidates += [
                (tokens, nodes, values + settled)
                for tokens, nodes, values in self._beginnings
            ]
        for tokens, nodes, values in candidates:
            for at in np.flatnonzero(tokens == token):
                node, value = int(nodes[at]), float(values[at])
                found[node] = max(value, found.get(node, value))
        return BiasState(
            settled, tuple(sorted(found.items())), kind == SEPARATES, state.length + 1
        )

    def _settled(self, state: BiasState) -> float:
        """Return the bonus of a hypothesis if its last word ends there."""
        ends = self.graph.arrays.ends
        complete = (value for node, value in state.open if ends[node])
        return max([state.settled, *complete])

    def _after(self, node: int, value: float) -> Any:
        """Return the tokens that may follow a node, the nodes behind, their bonus."""
        some = self._next[self._from[node] : self._from[node + 1]]
        weights = self.graph.arrays.weights[some[:, 1]]
        return some[:, 0], some[:, 1], value + self.bonus * weights

    def _scores(self, state: BiasState) -> np.ndarray:
        """Return how much each token (V,) changes the bonus of a hypothesis."""
        settled = self._settled(state)
        bonus = np.full(len(self._kinds), state.settled)
        bonus[self._first | self._between] = settled
        if state.fresh:
            bonus[:] = settled
        for node, value in state.open:
            tokens, _, values = self._after(node, value)
            np.maximum.at(bonus, tokens, values)
        for tokens, _, values in self._beginnings:
            may = self._first[tokens] | (state.fresh & ~self._between[tokens])
            np.maximum.at(bonus, tokens[may], values[may] + settled)
        return bonus - state.bonus
