"""The list of names of a request, in a model's tokens."""

import copy
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from espnet_dynlook.biasing.entries import (
    CatalogError,
    Entry,
    Phrase,
    Unusable,
    merged_pronunciations,
    read_phrase_file,
    read_phrases,
)
from espnet_dynlook.biasing.phones import Pronunciation, without_stress
from espnet_dynlook.biasing.pronunciations import Pronouncer, default_pronouncer
from espnet_dynlook.biasing.report import CatalogReport, describe
from espnet_dynlook.biasing.segmentations import Splitter
from espnet_dynlook.biasing.spelling import Spelling, is_all_marks, is_special
from espnet_dynlook.biasing.tokenizers import (
    SPACE,
    Tokenizer,
    has_subwords,
    known_tokens,
    token_scores,
)


class Catalog:
    """Phrases to be recognised, as the tokens of a model.

    Equal phrases become one entry, of the largest of their weights and all of their
    pronunciations; entries stand in the order of their texts. So neither the order of
    the list nor its duplicates ever change a result. A list without any phrase makes a
    catalog without entries, which changes nothing where it is used.

    Args:
        phrases: Texts, or (text, weight), or (text, weight, pronunciations); a weight
            multiplies the phrase's bias.
        tokenizer: With ``text2tokens`` and ``tokens2text``: ESPnet's, or one of
            ``biasing.tokenizers``.
        token_list: The model's tokens, where the tokenizer does not know them; without
            any, spelling follows the model only after ``for_tokens``.
        segmentations: At most so many a phrase: the tokenizer's own, then the best of
            the others. Characters and words have only one.
        strict: Raise if a phrase cannot be used; else it is left out, as a whole, and
            ``report()`` says why.
        pronouncer: Knows how words are said; None: CMUdict and g2p_en's network, loaded
            when a pronunciation is first asked for.

    Attributes:
        entries: What can be used.
        unusable: What cannot, with the reasons.
        token_list: The model's tokens; None if nobody has said.
        case: ``upper``, ``lower`` or ``cased``: what the tokens want.

    Raises:
        CatalogError: ``strict``, and some phrase cannot be used.
        ValueError: ``segmentations`` is less than 1.
    """

    _bound: "Catalog | None"

    def __init__(
        self,
        phrases: Iterable[Any],
        tokenizer: Tokenizer,
        token_list: Sequence[str] | None = None,
        *,
        segmentations: int = 4,
        strict: bool = False,
        pronouncer: Pronouncer | None = None,
    ):
        if segmentations < 1:
            raise ValueError(f"segmentations={segmentations} must be 1 or more")
        if not callable(getattr(tokenizer, "text2tokens", None)):
            raise TypeError(
                f"tokenizer={tokenizer!r} has no text2tokens; make one with "
                "biasing.tokenizers.build_tokenizer"
            )
        self._set(
            read_phrases(phrases),
            tokenizer,
            token_list,
            segmentations,
            strict,
            pronouncer,
        )

    @classmethod
    def from_file(
        cls, path: str | Path, tokenizer: Tokenizer, *arguments: Any, **options: Any
    ) -> "Catalog":
        """Read a file: one phrase a line, then a weight and pronunciations after tabs.

        Lines that begin with ``#`` and blank lines are skipped. Further arguments are
        those of the class.
        """
        catalog = cls([], tokenizer, *arguments, **options)
        return catalog._again(read_phrase_file(path), catalog.token_list)

    def for_tokens(self, token_list: Sequence[str]) -> "Catalog":
        """Return the catalog for a model with these tokens: itself, if it is that.

        The last one made is kept, so that it costs nothing in the next request.

        Raises:
            CatalogError: ``strict``, and these tokens cannot write some phrase.
        """
        if self.token_list is not None and self.token_list == tuple(token_list):
            return self
        if self._bound is None or self._bound.token_list != tuple(token_list):
            self._bound = self._again(self._phrases, token_list)
        return self._bound

    def with_segmentations(
        self, more: Mapping[int, Sequence[tuple[str, ...]]]
    ) -> "Catalog":
        """Return the catalog, for these tokens, with further ways to write entries.

        Args:
            more: Tokens by the number of the entry, such as those of other spellings.
        """
        new = copy.copy(self)
        new.__dict__.pop("fingerprint", None)
        new.entries = tuple(
            replace(entry, segmentations=(*entry.segmentations, *more.get(n, ())))
            for n, entry in enumerate(self.entries)
        )
        return new

    def _again(
        self,
        phrases: tuple[list[Phrase], list[Unusable]],
        token_list: Sequence[str] | None,
    ) -> "Catalog":
        new = Catalog.__new__(type(self))
        new._set(
            phrases,
            self._tokenizer,
            token_list,
            self._segmentations,
            self._strict,
            self._pronouncer,
        )
        return new

    def _set(
        self,
        phrases: tuple[list[Phrase], list[Unusable]],
        tokenizer: Tokenizer,
        token_list: Sequence[str] | None,
        segmentations: int,
        strict: bool,
        pronouncer: Pronouncer | None,
    ) -> None:
        self._phrases = phrases
        self._bound = None
        self._tokenizer = tokenizer
        self._segmentations = segmentations
        self._strict = strict
        self._pronouncer = pronouncer
        tokens = known_tokens(tokenizer) if token_list is None else tuple(token_list)
        self.token_list = tokens
        self._known = None if tokens is None else frozenset(tokens)
        self._no_text = frozenset(filter(is_special, tokens or ())) - {SPACE}
        self._spelling = Spelling(tokens)
        self.case = self._spelling.case
        self._splitter = None
        if segmentations > 1 and tokens is not None and has_subwords(tokens):
            self._splitter = Splitter(tokens, token_scores(tokenizer))

        given, faults = phrases
        self.unusable: tuple[Unusable, ...] = ()
        merged: dict[str, list[Phrase]] = {}
        found: dict[str, tuple[str, ...]] = {}
        unusable = list(faults)
        for phrase in given:
            try:
                text, own = self.spell(phrase.written)
            except ValueError as error:
                unusable.append(Unusable(phrase.place, phrase.written, str(error)))
                continue
            merged.setdefault(text, []).append(phrase)
            found[text] = own
        unusable.sort(key=lambda one: one.number)
        if unusable and strict:
            raise CatalogError(unusable)
        self.unusable = tuple(unusable)
        texts = sorted(merged)
        self._sources = [merged[text] for text in texts]
        self.entries = tuple(
            Entry(
                text,
                max(phrase.weight for phrase in merged[text]),
                self._all_segmentations(found[text]),
                merged_pronunciations(phrase.pronunciations for phrase in merged[text]),
            )
            for text in texts
        )
        self._said: dict[int, tuple[Pronunciation, ...]] = {}

    def spell(self, phrase: str) -> tuple[str, tuple[str, ...]]:
        """Return a phrase as the tokenizer writes it, and its own segmentation.

        Raises:
            ValueError: It cannot be written, in words for the report.
        """
        text = self._spelling(phrase)
        if is_all_marks(text):
            raise ValueError("nothing in it can be recognised")
        unknown = self._spelling.unknown(text)
        if unknown:
            raise ValueError(f"no token has {_characters(unknown)}")
        tokens = tuple(self._tokenizer.text2tokens(text))
        if not tokens:
            raise ValueError("nothing in it can be recognised")
        if self._known is not None and not self._known.issuperset(tokens):
            missing = [t for t in dict.fromkeys(tokens) if t not in self._known]
            raise ValueError(f"no token is {', '.join(map(repr, missing))}")
        special = self._no_text.intersection(tokens)
        if special:
            raise ValueError(f"{', '.join(sorted(special))} is no text")
        back = " ".join(self._tokenizer.tokens2text(tokens).split())
        if back != text:  # the tokenizer has a spelling of its own
            again = tuple(self._tokenizer.text2tokens(back))
            if not back or again != tokens:
                raise ValueError(f"the tokenizer makes {back!r} of it")
        return back, tokens

    def left_out(self, phrases: Iterable[str]) -> list[str]:
        """Return the marks of phrases that no token has, and that are left out."""
        found = (mark for one in phrases for mark in self._spelling.left_out(one))
        return sorted(set(found))

    def _all_segmentations(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return a phrase's segmentations, the tokenizer's own first."""
        if self._splitter is None:
            return (own,)
        text = self._tokenizer.tokens2text(own)
        others = [
            tokens
            for tokens in self._splitter(own, self._segmentations + 1)
            if tokens != own and self._tokenizer.tokens2text(tokens) == text
        ]
        return (own, *others[: self._segmentations - 1])

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Catalog):
            return NotImplemented
        # Made once a catalog, and shorter than its entries.
        return self is other or self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"Catalog({len(self)} entries, {len(self.unusable)} unusable)"

    @functools.cached_property
    def fingerprint(self) -> str:
        """What caches of anything made from the catalog are named by.

        Equal catalogs have equal ones, in every process and on every machine.
        """
        content = [[e.text, e.weight, e.segmentations, e.given] for e in self.entries]
        text = json.dumps([self.token_list, content])
        return hashlib.sha256(text.encode()).hexdigest()

    def token_ids(
        self, token_list: Sequence[str] | None = None
    ) -> list[list[list[int]]]:
        """Return the ids of every segmentation of every entry.

        Args:
            token_list: The model's tokens, if the catalog does not know them.

        Raises:
            ValueError: A token of an entry is not in the list: use ``for_tokens``.
        """
        tokens = self.token_list if token_list is None else token_list
        if tokens is None:
            raise ValueError("the catalog knows no token list: use for_tokens first")
        ids = {token: i for i, token in enumerate(tokens)}
        try:
            return [
                [[ids[token] for token in s] for s in entry.segmentations]
                for entry in self.entries
            ]
        except KeyError as error:
            raise ValueError(
                f"token {error.args[0]!r} of the catalog is not in the token list: "
                "make the catalog for this model with for_tokens"
            ) from None

    @property
    def tokenizer(self) -> Tokenizer:
        """What splits phrases into tokens."""
        return self._tokenizer

    @property
    def pronouncer(self) -> Pronouncer:
        """What knows how words are said."""
        return self._pronouncer or default_pronouncer()

    def pronunciations(self, index: int) -> tuple[Pronunciation, ...]:
        """Return how an entry may be said, most likely first; may be empty.

        Those given with the phrase stand in place of those that could be looked up.
        """
        if index not in self._said:
            entry = self.entries[index]
            if entry.given:
                said = entry.given
                if self._pronouncer is None or not self._pronouncer.stress:
                    said = tuple(dict.fromkeys(map(without_stress, said)))
            else:
                said = self.pronouncer.phrase(entry.text)
            self._said[index] = said
        return self._said[index]

    def all_pronunciations(self) -> list[tuple[Pronunciation, ...]]:
        """Return how every entry may be said; much faster than one after another."""
        words = {w for e in self.entries if not e.given for w in e.words}
        if words:
            self.pronouncer.prepare(words)
        return [self.pronunciations(i) for i in range(len(self))]

    def report(self, pronunciations: bool = False) -> CatalogReport:
        """Say what each phrase became, and what cannot be used and why.

        Args:
            pronunciations: Look up and show how each entry is said.
        """
        said = self.all_pronunciations() if pronunciations else None
        return describe(self, self._sources, said)


def _characters(characters: Sequence[str]) -> str:
    """Name characters so that they can be found: quoted, with their code points."""
    return ", ".join(f"{c!r} (U+{ord(c):04X})" for c in characters)
