# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Searches that listen to names: what each is made of, and what it goes with."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.biasing_scorer import BiasingScorer
from espnet_dynlook.search.effects import check_effects
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import Techniques

#: ESPnet's searches that ask their scorers about every token.
_SCORED = (
    espnet_nets("beam_search").BeamSearch,
    espnet_nets("batch_beam_search").BatchBeamSearch,
)
_NAME = "biasing"


@dataclass(frozen=True)
class CTCDecoding:
    """Options of the CTC beam search beside the size of its beam.

    Attributes:
        techniques: For names.
        word_ngram: File of an n-gram of words; None: none.
        word_ngram_weight: Of its log-probabilities.
        token_ngram: File of an n-gram of tokens, in place of words; None: none.
        token_ngram_weight: Of its log-probabilities.
        word_insertion: Added for every word (or token, with an n-gram of those), in
            nats.
        word_unknown: Added for every word that the n-gram of words does not know, in
            nats.
        word_unknown_length: Added for each character of such a word, in nats.
    """

    techniques: Techniques = Techniques()  # noqa: RUF009 (it is a frozen value)
    word_ngram: str | Path | None = None
    word_ngram_weight: float = 0.5
    token_ngram: str | Path | None = None
    token_ngram_weight: float = 0.9
    word_insertion: float = 0.0
    word_unknown: float = NgramLM.unknown
    word_unknown_length: float = NgramLM.unknown_length

    def build(self, model: Any, beam_size: int) -> BiasedDecoder:
        """Return the decoder of a model.

        Args:
            model: ESPnet's ASR model.
            beam_size: Hypotheses that are kept.

        Raises:
            ValueError: the options do not go together, or not with this model.
        """
        if getattr(model, "ctc", None) is None:
            raise ValueError(
                "decoding ctc_beam needs a CTC head, and this model has none "
                "(ctc_weight: 0): use decoding espnet"
            )
        lm = self.language_model()
        check_effects(self.techniques, lm)
        decoder = BiasedDecoder(
            model.token_list,
            beam_size,
            lm,
            self.techniques,
            blank=model.blank_id,
        )
        decoder.check_phones(model)
        return decoder

    def language_model(self) -> NgramLM | None:
        """Return the n-gram; None: there is none.

        Raises:
            ValueError: it cannot be read, or options do not go together.
        """
        if self.word_ngram and self.token_ngram:
            raise ValueError(
                f"one n-gram at a time: {self.word_ngram} is of words, "
                f"{self.token_ngram} of tokens"
            )
        if self.word_ngram:
            return NgramLM(
                load_ngram(self.word_ngram),
                self.word_ngram_weight,
                self.word_insertion,
                self.word_unknown,
                unknown_length=self.word_unknown_length,
            )
        if self.token_ngram:
            return NgramLM(
                load_ngram(self.token_ngram),
                self.token_ngram_weight,
                self.word_insertion,
                unit="token",
            )
        if self.word_insertion:
            raise ValueError(
                f"word_insertion={self.word_insertion} goes with an n-gram, and there "
                "is none"
            )
        return None


@dataclass(frozen=True)
class ESPnetBias:
    """Names in ESPnet's own beam search.

    Attributes:
        bonus: Of each token of a name, in nats; 0: its search does not listen to them.

    Raises:
        ValueError: ``bonus`` is below 0.
    """

    bonus: float = 1.5

    def __post_init__(self) -> None:
        if not self.bonus >= 0:
            raise ValueError(f"biasing_bonus={self.bonus} nats must be 0 or more")

    def acts_on(self, search: Any) -> bool:
        """Tell whether this search, or None, can have names, and shall."""
        return bool(self.bonus) and type(search) in _SCORED

    def check(self, search: Any) -> None:
        """Refuse a search that cannot have names, or shall not.

        Raises:
            ValueError: says what could be done.
        """
        if not self.bonus:
            raise ValueError(
                "names do nothing with biasing_bonus=0 and without an adapter: raise "
                "it, or give the files of an adapter"
            )
        if type(search) not in _SCORED:
            raise ValueError(
                f"{type(search).__name__} takes no names: of ESPnet's searches, only "
                "that of models with an attention decoder or CTC, whole utterances at "
                "once, does. Give the files of an adapter, or use decoding ctc_beam, "
                "where the model has a CTC head"
            )

    @contextlib.contextmanager
    def biased_by(self, search: Any, catalog: Catalog) -> Iterator[None]:
        """Let a search have names inside a ``with`` block.

        Args:
            search: That ``acts_on`` is true of.
            catalog: Not without entries.
        """
        scorer = BiasingScorer(search.token_list, search.eos, catalog, self.bonus)
        # Full scorers come before what ESPnet preselects for its partial ones.
        search.scorers[_NAME] = search.full_scorers[_NAME] = scorer
        search.weights[_NAME] = 1.0
        try:
            yield
        finally:
            for table in (search.scorers, search.full_scorers, search.weights):
                del table[_NAME]
