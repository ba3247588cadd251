"""CTC prefix beam search with language models and names.

Hannun et al., https://arxiv.org/abs/1408.2873, sums over the paths of a labelling; the
bias of entries is that of ``search.boosting`` and ``search.unigram_boost``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.checks import check_catalogs, check_lengths, check_whole
from espnet_dynlook.search.ctc_beam_arrays import SAY_TOKENS, SAY_WORDS, Settings
from espnet_dynlook.search.ctc_beam_language import language_of
from espnet_dynlook.search.ctc_beam_state import CTCBeam, Final
from espnet_dynlook.search.incremental import as_tensor
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.ngram_vocabulary import check_vocabulary, unigram_fault
from espnet_dynlook.search.token_words import TokenWords, WordSpan
from espnet_dynlook.search.unigram_boost import UnigramBoost


@dataclass(frozen=True)
class Hypothesis:
    """A text that the search found.

    Attributes:
        text: Its words.
        tokens: Their numbers.
        score: What it is ranked by, in nats.
        parts: What the score is the sum of: ``ctc``, ``bias`` (of both techniques),
            ``lm``, ``word_insertion``.
        frames: The frame that emitted each token, on the most probable path.
        words: With their frames.
    """

    text: str
    tokens: list[int]
    score: float
    parts: dict[str, float]
    frames: list[int]
    words: list[WordSpan]


class CTCBeamSearch:
    """Finds the most probable texts in CTC posteriors.

    Args:
        token_list: The model's tokens.
        beam_size: Hypotheses that are kept.
        lm: N-gram language model; None: none.
        boosting: Adaptive subword boosting of the catalog's entries; None: off.
        unigram: Unigram boosting of the catalog's words in ``lm``; None: off.
        token_threshold: Least log-probability of tokens; the best label of a frame and
            what an entry needs (``Boosting.top``, ``Boosting.floor``) always stay.
        candidates: Most tokens of a frame.
        beam_threshold: How much worse than the best a hypothesis may be, in nats.
        blank_threshold: Probability of the blank from which a frame has no new token,
            but for entries.
        blank: Index of the blank.

    Attributes:
        settings: For compiled code.
        says: Whether that asks the language model itself.

    Raises:
        ValueError: a number is out of its range; the language model's words are in
            another case than the tokens; or unigram boosting has no language model of
            words, or one without ``<unk>``.
    """

    def __init__(
        self,
        token_list: Sequence[str],
        beam_size: int = 50,
        lm: NgramLM | None = None,
        *,
        boosting: Boosting | None = Boosting(),  # noqa: B008 (it is a frozen value)
        unigram: UnigramBoost | None = None,
        token_threshold: float = -5.0,
        candidates: int = 40,
        beam_threshold: float = 10.0,
        blank_threshold: float = 0.999,
        blank: int = 0,
    ):
        check_whole("beam_size", beam_size, 1)
        check_whole("candidates", candidates, 1)
        if not token_threshold <= 0:
            raise ValueError(
                f"token_threshold={token_threshold} is a log-probability: 0 or less"
            )
        if not beam_threshold > 0:
            raise ValueError(f"beam_threshold={beam_threshold} must be above 0 nats")
        if not 0 < blank_threshold <= 1:
            raise ValueError(
                f"blank_threshold={blank_threshold} is a probability above 0"
            )
        check_whole("blank", blank, 0)
        if blank >= len(token_list):
            raise ValueError(f"blank={blank} is none of {len(token_list)} tokens")
        if unigram is not None and (lm is None or lm.unit != "word"):
            raise ValueError(
                "unigram boosting changes what a language model of words says: give "
                "lm=NgramLM(load_ngram(...)), of unit word"
            )
        self.token_list = tuple(token_list)
        self.words = TokenWords(self.token_list)
        if lm is not None:
            check_vocabulary(lm, self.words)
        if unigram is not None and unigram_fault(lm):
            raise ValueError(unigram_fault(lm))
        self.lm = lm
        self.unigram = unigram
        language, ngram = language_of(lm, self.words)
        self.says = language in (SAY_WORDS, SAY_TOKENS)
        self.blank = blank
        followed = Boosting(weight=0.0) if boosting is None else boosting
        never = -math.log(blank_threshold) == 0  # of 1: no blank is so sure
        self.settings = Settings(
            beam_size,
            min(candidates, len(self.token_list)),
            blank,
            np.array(
                [
                    token_threshold,
                    math.inf if never else math.log(blank_threshold),
                    beam_threshold,
                ]
            ),
            np.array(followed.numbers()),
            self.words.kinds,
            language,
            ngram,
        )

    def begin(self, catalog: Catalog | None = None) -> CTCBeam:
        """Return what is known before the first frame, to go on with ``step``."""
        return CTCBeam.begin(self, catalog)

    def __call__(
        self,
        log_probs: torch.Tensor,
        catalog: Catalog | None = None,
        nbest: int | None = None,
    ) -> list[Hypothesis]:
        """Search an utterance.

        Args:
            log_probs: Log-probabilities (T, V), a tensor or an array; T may be 0.
            catalog: Names; None or without entries: none.
            nbest: Return at most so many; None: all that the beam holds.

        Returns:
            Hypotheses, the best first; at least one.

        Raises:
            TypeError: ``log_probs`` is no tensor, or ``catalog`` no catalog.
            ValueError: ``log_probs`` is no (T, V) of log-probabilities; ``nbest`` is
                below 1; or names get a bias, and ``beam_size`` is 1.
            CatalogError: The catalog is strict and has phrases that these tokens
                cannot write.
        """
        return self.results(self.begin(catalog).step(log_probs), nbest)

    def batch(
        self,
        log_probs: torch.Tensor,
        lengths: Sequence[int],
        catalogs: Sequence[Catalog | None] | None = None,
        nbest: int | None = None,
    ) -> list[list[Hypothesis]]:
        """Search utterances, each with its own catalog.

        Args:
            log_probs: Log-probabilities (B, T, V), a tensor or an array.
            lengths: Frames of each.
            catalogs: Of each; None: none at all.
            nbest: Return at most so many of each.

        Raises:
            TypeError: ``catalogs`` is no list of catalogs.
            ValueError: there are not as many lengths or catalogs as utterances, or an
                utterance cannot have that length; and as for a single one.
        """
        log_probs = as_tensor(log_probs, "log_probs")
        if log_probs.dim() != 3:
            raise ValueError(
                f"log_probs has shape {tuple(log_probs.shape)} and must be (B, T, V)"
            )
        frames = check_lengths(lengths, len(log_probs), log_probs.shape[1])
        check_catalogs(catalogs, len(log_probs))
        if catalogs is None:
            catalogs = [None] * len(log_probs)
        return [
            self(one[:length], catalog, nbest)
            for one, length, catalog in zip(log_probs, frames, catalogs, strict=True)
        ]

    def results(self, state: CTCBeam, nbest: int | None = None) -> list[Hypothesis]:
        """Return the hypotheses of a state, if its utterance ends there.

        Raises:
            ValueError: ``nbest`` is below 1.
        """
        if nbest is not None:
            check_whole("nbest", nbest, 1)
        number = self.settings.beam if nbest is None else nbest
        return [self._hypothesis(one) for one in state.best(number)]

    def _hypothesis(self, one: Final) -> Hypothesis:
        words = self.words.spans(one.tokens)
        return Hypothesis(
            self.words.between.join(word.text for word in words),
            [token.token for token in one.tokens],
            one.score,
            one.parts,
            [token.frame for token in one.tokens],
            words,
        )
