"""Further ways to put a phrase together from a model's tokens.

A network that has rarely seen a name spells it in other pieces than the tokenizer
would: sequences of all good segmentations have to lead to it.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence

from espnet_dynlook.biasing.spelling import is_special


class Splitter:
    """Finds the best segmentations of a text, by a k-best Viterbi search.

    The best are those of the highest probability where the tokens have probabilities
    (unigram models of sentencepiece), otherwise those of the fewest tokens; ties are
    settled by the alphabet, so that the result is the same everywhere.

    Args:
        token_list: Tokens; special ones are used only where the tokenizer's own
            segmentation has them.
        scores: Log-probability by token.
    """

    def __init__(
        self, token_list: Iterable[str], scores: Mapping[str, float] | None = None
    ):
        # In millionths: sums of whole numbers are equal whatever their order.
        self._cost = {
            token: 1 if scores is None else round(-1e6 * scores.get(token, -100.0))
            for token in token_list
            if not is_special(token)
        }
        self._longest = max(map(len, self._cost), default=0)

    def __call__(self, tokens: Sequence[str], number: int) -> list[tuple[str, ...]]:
        """Return up to ``number`` segmentations, the best first.

        Args:
            tokens: One segmentation, which says what is to be written.
            number: How many to return.
        """
        symbols: list[str] = []  # characters, and special tokens whole
        for token in tokens:
            symbols.extend([token] if is_special(token) else token)
        best: list[list[tuple[int, tuple[str, ...]]]] = [[(0, ())]]
        for end in range(1, len(symbols) + 1):
            found = []
            for start in range(max(0, end - self._longest), end):
                piece = "".join(symbols[start:end])
                cost = self._cost.get(piece)
                if cost is None or any(map(is_special, symbols[start:end])):
                    continue
                found += [(c + cost, (*path, piece)) for c, path in best[start]]
            if is_special(symbols[end - 1]):
                found += [(c, (*path, symbols[end - 1])) for c, path in best[end - 1]]
            best.append(heapq.nsmallest(number, found))
        return [path for _, path in best[-1]]
