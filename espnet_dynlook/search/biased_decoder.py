"""The decoder for names: all techniques around one CTC beam search."""

from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.search.ctc_beam import CTCBeamSearch, Hypothesis
from espnet_dynlook.search.ctc_beam_state import CTCBeam
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.techniques import Techniques


class BiasedDecoder:
    """Decodes CTC posteriors with a list of names.

    Args:
        token_list: The model's tokens.
        beam_size: Hypotheses that are kept.
        lm: N-gram language model; None: none.
        techniques: Those that are on.
        phone_list: Outputs of the model's phone head; None: ``PHONE_TOKENS``.
        blank: Index of the blank, in both lists.
        options: Further options of ``CTCBeamSearch``.

    Attributes:
        search: The beam search.
        techniques: Those that are on.

    Raises:
        ValueError: a number is out of its range, or a technique lacks what it needs.
    """

    def __init__(
        self,
        token_list: Sequence[str],
        beam_size: int = 50,
        lm: NgramLM | None = None,
        techniques: Techniques = Techniques(),  # noqa: B008 (it is a frozen value)
        *,
        phone_list: Sequence[str] | None = None,
        blank: int = 0,
        **options: Any,
    ):
        self.techniques = techniques
        self.search = CTCBeamSearch(
            token_list,
            beam_size,
            lm,
            boosting=techniques.boosting,
            unigram=techniques.unigram,
            blank=blank,
            **options,
        )

    @property
    def needs_phones(self) -> bool:
        """Whether a technique that is on needs the posteriors of a phone head."""
        return False

    def __call__(
        self,
        log_probs: torch.Tensor,
        catalog: Catalog | None = None,
        phone_log_probs: torch.Tensor | None = None,
        nbest: int | None = None,
    ) -> list[Hypothesis]:
        """Decode an utterance.

        Args:
            log_probs: Log-probabilities (T, V).
            catalog: Names; None or without entries: none, and no technique acts.
            phone_log_probs: Those of the phone head (T', P).
            nbest: Return at most so many; None: all that the beam holds.

        Returns:
            Hypotheses, the best first; at least one.

        Raises:
            ValueError: the log-probabilities are not of that shape, or have NaN.
        """
        return self.search(log_probs, catalog, nbest)

    def begin(self, catalog: Catalog | None = None) -> CTCBeam:
        """Return what is known before the first frame of a stream."""
        return self.search.begin(catalog)
