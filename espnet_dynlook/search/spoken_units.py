"""How the words of a hypothesis may be said: names as in their list, others looked up.

A name of several words is one unit, so that a pronunciation given for the whole of it
counts; every other word is a unit of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.phones import Pronunciation, without_stress
from espnet_dynlook.search.phone_alignment import Way

#: Adds pronunciations to those of an entry; see ``search.grapheme_variants``.
More = Callable[[Sequence[Pronunciation]], Sequence[Pronunciation]]


@dataclass(frozen=True)
class Unit:
    """Words of a hypothesis that are said together.

    Attributes:
        start: The first of them.
        end: The one after the last.
        ways: How they may be said; empty: nobody knows.
        entry: Number of the catalog's entry that they are; None: of none.
    """

    start: int
    end: int
    ways: tuple[Way, ...]
    entry: int | None = None


class SpokenUnits:
    """Knows the units of texts, for one catalog.

    Args:
        catalog: For the model's tokens.
        phone_list: Outputs of the phone head.
        more: Further pronunciations of entries; None: none.

    Attributes:
        catalog: As given.
        between: What the model writes between words.
    """

    def __init__(
        self,
        catalog: Catalog,
        phone_list: Sequence[str],
        between: str = " ",
        more: More | None = None,
    ):
        self.catalog = catalog
        self.between = between
        self._number = {phone: n for n, phone in enumerate(phone_list)}
        self._more = more
        self._entries = {entry.text: n for n, entry in enumerate(catalog.entries)}
        self._longest = max((len(e.words) for e in catalog.entries), default=0)
        if not between:  # every character is a word
            self._longest = max((len(e.text) for e in catalog.entries), default=0)
        self._words: dict[str, tuple[Way, ...]] = {}
        self._said: dict[int, tuple[Way, ...]] = {}

    def prepare(self, texts: Iterable[Sequence[str]]) -> None:
        """Look up the words of many texts at once."""
        words = {word for words in texts for word in words} - set(self._words)
        if words:
            self.catalog.pronouncer.prepare(words)

    def __call__(self, words: Sequence[str]) -> list[Unit]:
        """Return the units of a text; where entries overlap, the longest one first."""
        found: list[Unit] = []
        at = 0
        while at < len(words):
            for end in range(min(len(words), at + self._longest), at, -1):
                entry = self._entries.get(self.between.join(words[at:end]))
                if entry is not None:
                    found.append(Unit(at, end, self.entry(entry), entry))
                    at = end
                    break
            else:
                found.append(Unit(at, at + 1, self.word(words[at])))
                at += 1
        return found

    def entry(self, number: int) -> tuple[Way, ...]:
        """Return how an entry may be said, the likeliest first."""
        if number not in self._said:
            said: Sequence[Pronunciation] = self.catalog.pronunciations(number)
            if self._more is not None:
                said = self._more([without_stress(phones) for phones in said])
            self._said[number] = self._ways(said)
        return self._said[number]

    def word(self, word: str) -> tuple[Way, ...]:
        """Return how a word may be said, the likeliest first."""
        if word not in self._words:
            self._words[word] = self._ways(self.catalog.pronouncer.word(word))
        return self._words[word]

    def _ways(self, said: Sequence[Pronunciation]) -> tuple[Way, ...]:
        """Return pronunciations as numbers; those with a phone that is none are not."""
        found: dict[Way, None] = {}
        for phones in said:
            way = tuple(
                self._number.get(phone, self._number.get(plain, -1))
                for phone, plain in zip(phones, without_stress(phones), strict=True)
            )
            if way and min(way) >= 0:
                found[way] = None
        return tuple(found)
