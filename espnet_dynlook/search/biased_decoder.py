"""The decoder for names: all techniques around one CTC beam search."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.lexicon import in_cmu_dictionary
from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.biasing.pronunciations import Pronouncer
from espnet_dynlook.biasing.weight_levels import weight_levels
from espnet_dynlook.search import phonetic_rescoring, pronunciation_lookup
from espnet_dynlook.search.checks import check_catalog, check_whole
from espnet_dynlook.search.ctc_beam import CTCBeamSearch, Hypothesis
from espnet_dynlook.search.ctc_beam_state import CTCBeam
from espnet_dynlook.search.grapheme_variants import WidenedCatalog
from espnet_dynlook.search.incremental import checked_log_probs
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.pronunciation_lookup import Lookup
from espnet_dynlook.search.rewriting import distinct, rewritten
from espnet_dynlook.search.shares import unigram_share
from espnet_dynlook.search.spoken_units import SpokenUnits
from espnet_dynlook.search.techniques import Techniques

#: What the score of a hypothesis is the sum of.
PARTS = (
    "ctc",
    "boosting",
    "unigram",
    "lm",
    "word_insertion",
    phonetic_rescoring.PART,
    pronunciation_lookup.PART,
)


@dataclass(frozen=True, eq=False)
class Names:
    """A catalog as the techniques use it.

    Attributes:
        catalog: For the model's tokens.
        widened: With its variants; as it is if they are off.
        units: Knows how words are said.
        lookup: Looks words up by their sound; None: off.
        weights: Of all spellings of entries, by their words.
        token_ids: Of every segmentation of every entry.
        longest: Words of the longest variant.
    """

    catalog: Catalog
    widened: WidenedCatalog
    units: SpokenUnits
    lookup: Lookup | None
    weights: dict[tuple[str, ...], float]
    token_ids: list[list[list[int]]]
    longest: int


@dataclass(frozen=True)
class Stages:
    """Hypotheses on their way through the techniques, the best first.

    Attributes:
        beam: Of the search, variants of names as they are.
        written: With entries in place of their variants, and rescored.
        found: In the end: with doubtful words looked up.
    """

    beam: list[Hypothesis]
    written: list[Hypothesis]
    found: list[Hypothesis]


class BiasedDecoder:
    """Decodes CTC posteriors with a list of names.

    Boosting and the language model act in the beam, on the entries and on their
    variants. Variants in its hypotheses are then written as their entries; hypotheses
    are rescored by their phones; doubtful words are looked up by their sound. Without
    names no technique acts, and the hypotheses are those of the beam search.

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
        self.phone_list = PHONE_TOKENS if phone_list is None else tuple(phone_list)
        self.search = CTCBeamSearch(
            token_list,
            beam_size,
            lm,
            boosting=techniques.boosting,
            unigram=techniques.unigram,
            blank=blank,
            **options,
        )
        self._kept = functools.lru_cache(maxsize=8)(self._names)

    @property
    def needs_phones(self) -> bool:
        """Whether a technique that is on needs the posteriors of a phone head."""
        rescoring, lookup = self.techniques.rescoring, self.techniques.lookup
        return bool((rescoring and rescoring.weight) or (lookup and lookup.weight))

    def check_phones(self, model: Any) -> None:
        """Refuse a model without a phone head where a technique reads one.

        Raises:
            ValueError: says what to train, or what to switch off.
        """
        if self.needs_phones and getattr(model, "phones", None) is None:
            raise ValueError(
                "techniques: rescoring and lookup read phones, and this model has no "
                "phone head: train one with model_conf: phone_ctc_layer and "
                "phone_ctc_weight, or set these techniques to null"
            )

    def names(self, catalog: Catalog) -> Names:
        """Return what the techniques need of a catalog; the last few are kept."""
        catalog = catalog.for_tokens(self.search.token_list)
        return self._kept(catalog, catalog.pronouncer)

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
            catalog: Names; None or without entries: none.
            phone_log_probs: Those of the phone head (T', P); its frames may be others.
            nbest: Return at most so many; None: all that the beam holds.

        Returns:
            Hypotheses, the best first; at least one. ``parts`` has ``PARTS``.

        Raises:
            TypeError: ``log_probs`` is no tensor, or ``catalog`` no catalog.
            ValueError: what is given are no log-probabilities of that shape, those of
                the phones are missing, or names get a bias, and ``beam_size`` is 1.
            MissingPackage: what says how words are said is not installed.
        """
        check_catalog(catalog)
        if nbest is not None:
            check_whole("nbest", nbest, 1)
        names = None if catalog is None or not len(catalog) else self.names(catalog)
        if names is None or not len(names.catalog):
            return [_split(one, 0.0) for one in self.search(log_probs, None, nbest)]
        return self.stages(log_probs, names, phone_log_probs).found[:nbest]

    def stages(
        self,
        log_probs: torch.Tensor,
        names: Names,
        phone_log_probs: torch.Tensor | None = None,
    ) -> Stages:
        """Decode an utterance, with names; keep what is between the techniques.

        Args:
            log_probs: Log-probabilities (T, V).
            names: Of a list that has some.
            phone_log_probs: Those of the phone head (T', P).
        """
        log_probs = checked_log_probs(log_probs)
        beam = self.search(log_probs, names.widened.catalog)
        beam = [_split(one, self._unigram(one, names)) for one in beam]
        written = beam
        if names.widened.written:
            written = distinct([self.written(one, names) for one in beam])
        if not self.needs_phones:
            return Stages(beam, written, written)
        phones = self._checked(phone_log_probs)
        if self.techniques.rescoring is not None:
            written = self.techniques.rescoring(
                written, phones, names.units, self.search.blank
            )
        if names.lookup is None:
            return Stages(beam, written, written)
        found = names.lookup(written, log_probs, phones)
        return Stages(beam, written, found)

    def begin(self, catalog: Catalog | None = None) -> CTCBeam:
        """Return what is known before the first frame of a stream.

        Raises:
            ValueError: a technique is on that needs the whole utterance.
        """
        some = self.techniques
        on = {
            "rescoring": some.rescoring is not None and some.rescoring.weight > 0,
            "lookup": some.lookup is not None and some.lookup.weight > 0,
            "variants": some.variants is not None and some.variants.number > 0,
        }
        late = [name for name, is_on in on.items() if is_on]
        if late:
            raise ValueError(
                f"{', '.join(late)} of techniques need whole utterances: for streams "
                f"switch off with {', '.join(f'{name}: null' for name in late)}"
            )
        return self.search.begin(catalog)

    def _names(self, catalog: Catalog, pronouncer: Pronouncer) -> Names:
        """Make what the techniques need of a catalog.

        Args:
            catalog: For the model's tokens.
            pronouncer: The catalog's: equal catalogs may be said in other ways.
        """
        variants, lm = self.techniques.variants, self.search.lm
        widened = WidenedCatalog(catalog, {})
        more = None
        if variants is not None and variants.number:
            widened = variants.widen(catalog, self._is_word)
            more = variants.pronunciations
        between = self.search.words.between
        units = SpokenUnits(catalog, self.phone_list, between, more)
        lookup, token_ids = None, catalog.token_ids()
        if self.techniques.lookup is not None:
            lookup = Lookup(
                self.techniques.lookup,
                units,
                token_ids,
                self.search.words,
                lm,
                self.search.blank,
            )
        # As the beam has them: these say what of its bias is whose.
        levels = weight_levels(entry.weight for entry in catalog.entries)
        weights = {self._words(e.text): levels[e.weight] for e in catalog.entries}
        for text, entry in widened.written.items():
            weights[self._words(text)] = levels[catalog.entries[entry].weight]
        longest = max((len(self._words(text)) for text in widened.written), default=0)
        return Names(catalog, widened, units, lookup, weights, token_ids, longest)

    def _is_word(self, word: str) -> bool:
        """Tell whether a word is known otherwise than as a variant."""
        lm = self.search.lm
        of_words = lm is not None and lm.unit == "word" and lm.model.knows(word)
        return of_words or in_cmu_dictionary(word)

    def _words(self, text: str) -> tuple[str, ...]:
        """Return the words of a text; where nothing is between them, its letters."""
        return tuple(text.split() if self.search.words.between else text)

    def _unigram(self, one: Hypothesis, names: Names) -> float:
        """Return what unigram boosting gave a hypothesis, of both techniques' bias."""
        bias, unigram, lm = one.parts["bias"], self.search.unigram, self.search.lm
        if unigram is None or lm is None or bias == 0:
            return 0.0
        if self.techniques.boosting is None or self.techniques.boosting.weight == 0:
            return bias
        words = [word.text for word in one.words]
        share = unigram_share(words, names.weights, lm, unigram, len(names.catalog))
        return min(share, bias)

    def written(self, one: Hypothesis, names: Names) -> Hypothesis:
        """Return a hypothesis with entries in place of their other spellings."""
        between, written = self.search.words.between, names.widened.written
        at = len(one.words)
        while at > 0:  # from the end: what is before stays where it is
            at -= 1
            for end in range(min(len(one.words), at + names.longest), at, -1):
                text = between.join(word.text for word in one.words[at:end])
                if text in written:
                    tokens = names.token_ids[written[text]][0]
                    one = rewritten(one, at, end, tokens, self.search.words)
                    break
        return one

    def _checked(self, phone_log_probs: torch.Tensor | None) -> torch.Tensor:
        """Return the posteriors of the phones, if they can be that."""
        if phone_log_probs is None:
            raise ValueError(
                "rescoring and lookup of techniques need phone_log_probs, of a model "
                "with a phone head (phone_ctc_layer); or switch them off"
            )
        phone_log_probs = checked_log_probs(phone_log_probs, "phone_log_probs")
        if phone_log_probs.shape[1] != len(self.phone_list):
            raise ValueError(
                f"phone_log_probs has {phone_log_probs.shape[1]} labels for a "
                f"phone_list of {len(self.phone_list)}"
            )
        return phone_log_probs


def _split(one: Hypothesis, unigram: float) -> Hypothesis:
    """Return a hypothesis of the beam with the parts of all techniques."""
    parts = dict.fromkeys(PARTS, 0.0) | one.parts
    parts["unigram"] = unigram
    parts["boosting"] = parts.pop("bias") - unigram
    return replace(one, parts=parts)
