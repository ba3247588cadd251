"""Lists of names by utterance, in the format of the public LibriSpeech benchmark.

Four columns, a tab between: utterance, its text, the phrases of the list that are in
the text and all phrases of the list, both as JSON lists (fbai-speech, is21_deep_bias).
"""

import functools
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_dynlook.metrics.biasing import PhraseFinder

SHOWN_FAULTS = 20
COLUMNS = 4


class ListError(ValueError):
    """Faults of a file of lists, each with its place; ``faults`` has them all."""

    def __init__(self, faults: list[str]):
        self.faults = faults
        more = len(faults) - SHOWN_FAULTS
        shown = faults[:SHOWN_FAULTS] + ([f"and {more} more"] if more > 0 else [])
        super().__init__("\n".join(shown))


@dataclass(frozen=True)
class BiasingList:
    """The list of one utterance.

    Attributes:
        text: What is said.
        true: Phrases of the list that are said.
        phrases: All phrases of the list.
    """

    text: str
    true: tuple[str, ...]
    phrases: tuple[str, ...]


def read_lists(path: str | Path) -> dict[str, BiasingList]:
    """Read a file of lists, also one packed with gzip (``.gz``).

    Raises:
        ListError: Lines that are not as said above; every one is named.
    """
    path = Path(path)
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    faults: list[str] = []
    found: dict[str, BiasingList] = {}
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            utt, one = _read_line(line.decode("utf-8"))
            if utt in found:
                raise ValueError(f"utterance {utt} is there twice")
            found[utt] = one
        except UnicodeDecodeError as error:
            faults.append(f"{path}:{number}: not UTF-8 (byte {line[error.start]:#04x})")
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
    if not raw.strip():
        faults.append(f"{path}: no list in it")
    if faults:
        raise ListError(faults)
    return found


def _read_line(line: str) -> tuple[str, BiasingList]:
    """Read one line; ValueError says what is wrong."""
    columns = line.split("\t")
    if len(columns) != COLUMNS:
        raise ValueError(
            f"{len(columns)} columns, expected {COLUMNS} with tabs between: utterance, "
            "text, phrases in it, all phrases"
        )
    utt, text = columns[0].strip(), " ".join(columns[1].split())
    if not utt:
        raise ValueError("the utterance is empty")
    true, phrases = (
        _read_phrases(column, f"column {number}")
        for number, column in enumerate(columns[2:], 3)
    )
    missing = sorted(set(true) - set(phrases))
    if missing:
        raise ValueError(f"{missing[0]!r} of column 3 is not in column 4")
    words = text.split()
    for phrase in true:
        if not PhraseFinder([phrase])(words):
            raise ValueError(f"{phrase!r} of column 3 is not in the text")
    return utt, BiasingList(text, true, phrases)


def _read_phrases(column: str, name: str) -> tuple[str, ...]:
    """Read a JSON list of phrases."""
    try:
        phrases = json.loads(column)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from None
    if not isinstance(phrases, list):
        raise ValueError(f"{name} is no JSON list: {column[:40]!r}")
    for phrase in phrases:
        if not isinstance(phrase, str) or not phrase.strip():
            raise ValueError(f"{name}: {phrase!r} is no phrase")
    return tuple(" ".join(phrase.split()) for phrase in phrases)


def spelled(
    lists: Mapping[str, BiasingList], spelling: Callable[[str], str]
) -> dict[str, BiasingList]:
    """Return lists with all texts and phrases in another spelling.

    Lists are compared with transcripts and with what is recognised letter by letter, so
    all must be spelled alike. Phrases that become equal are one; those of which nothing
    is left are none.

    Args:
        lists: By utterance.
        spelling: Such as ``Spelling`` of a model's tokens.
    """
    spell = functools.cache(spelling)  # lists share their phrases

    def several(phrases: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, map(spell, phrases))))

    return {
        utt: BiasingList(spelling(one.text), several(one.true), several(one.phrases))
        for utt, one in lists.items()
    }


def format_lists(lists: Mapping[str, BiasingList]) -> str:
    """Return the content of a file of lists."""
    return "".join(_lines(lists))


def _lines(lists: Mapping[str, BiasingList]) -> Iterator[str]:
    for utt, one in lists.items():
        columns = (
            json.dumps(list(c), ensure_ascii=False) for c in (one.true, one.phrases)
        )
        yield "\t".join([utt, one.text, *columns]) + "\n"
