"""Lines of a list of names: what may stand on them, and what is wrong with them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_dynlook.biasing.phones import Pronunciation, parse_phones

SHOWN_FAULTS = 20
#: In a warning.
SHOWN_AT_ONCE = 5
#: Of entries and of techniques: what is in millions drowns what was heard, and sums of
#: much larger numbers lose it.
MOST_WEIGHT = 1e6


@dataclass(frozen=True)
class Unusable:
    """A phrase that cannot be used.

    Attributes:
        place: ``names.txt:3`` or ``phrase 3``.
        written: What stands there.
        reason: What is wrong with it, and how to put it right.
    """

    place: str
    written: str
    reason: str

    @property
    def number(self) -> int:
        """The number of the line or of the phrase."""
        return int(self.place.replace(":", " ").split()[-1])

    def __str__(self) -> str:
        return f"{self.place}: {self.written!r}: {self.reason}"


def in_one_line(faults: Sequence[Unusable]) -> str:
    """Name the first phrases that cannot be used, and say how many more there are."""
    shown = [str(fault) for fault in faults[:SHOWN_AT_ONCE]]
    if len(faults) > SHOWN_AT_ONCE:
        shown.append(f"and {len(faults) - SHOWN_AT_ONCE} more")
    return "; ".join(shown)


class CatalogError(ValueError):
    """Phrases that cannot be used; ``faults`` has them all."""

    def __init__(self, faults: Sequence[Unusable]):
        self.faults = list(faults)
        lines = [str(fault) for fault in self.faults[:SHOWN_FAULTS]]
        if len(self.faults) > SHOWN_FAULTS:
            lines.append(f"and {len(self.faults) - SHOWN_FAULTS} more")
        super().__init__(
            f"{len(self.faults)} phrases of the catalog cannot be used:\n"
            + "\n".join(lines)
        )


@dataclass(frozen=True)
class Phrase:
    """A phrase as it was given.

    Attributes:
        place: Where it stands, for messages.
        written: Its text there.
        weight: Strength of its bias; 1 is that of every phrase without one.
        pronunciations: Those given with it; empty: to be looked up.
    """

    place: str
    written: str
    weight: float = 1.0
    pronunciations: tuple[Pronunciation, ...] = ()


@dataclass(frozen=True, order=True)
class Entry:
    """A phrase as it is searched for.

    Attributes:
        text: In the model's spelling, words apart by single spaces.
        weight: The largest of those given for it.
        segmentations: Its tokens, the tokenizer's own segmentation first.
        given: Pronunciations that came with the list, the likeliest first, with the
            stress they had there.
    """

    text: str
    weight: float
    segmentations: tuple[tuple[str, ...], ...]
    given: tuple[Pronunciation, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokenizer's own segmentation."""
        return self.segmentations[0]

    @property
    def words(self) -> list[str]:
        """The words of the phrase."""
        return self.text.split()


def parse_weight(value: Any) -> float:
    """Return a weight.

    Raises:
        ValueError: It is no number from 0 to ``MOST_WEIGHT``.
    """
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"the weight {value!r} is no number; leave it out for weight 1"
        ) from None
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"the weight {value} must be 0 or more, and finite")
    if weight > MOST_WEIGHT:
        raise ValueError(
            f"the weight {value} must be at most {MOST_WEIGHT:g}: 1 is that of every "
            "phrase without one, and 10 is much"
        )
    return weight


def check_list(phrases: Any) -> None:
    """Refuse what can be iterated over but is no list of phrases.

    Raises:
        TypeError: It is no list, one text, or a mapping, whose weights would be lost.
    """
    if not isinstance(phrases, Iterable):
        raise TypeError(
            f"phrases={phrases!r} is no list; give a list of texts, or [] for no names"
        )
    if isinstance(phrases, str | Path):
        raise TypeError(
            f"phrases={str(phrases)!r} is one text; give a list of them, or a file to "
            "Catalog.from_file"
        )
    if isinstance(phrases, Mapping):
        raise TypeError(
            f"phrases={dict(phrases)!r} is a mapping; give a list of (text, weight), "
            "such as [*weights.items()]"
        )


def read_phrases(phrases: Iterable[Any]) -> tuple[list[Phrase], list[Unusable]]:
    """Read phrases of a list: a text, or (text, weight) or (text, weight, said).

    ``said`` is one pronunciation or a list of them, each a string of phones or a list
    of phones. A weight of None is 1. Texts of nothing but white space are left out, as
    blank lines of a file are.

    Raises:
        TypeError: It is no list.
    """
    check_list(phrases)
    found: list[Phrase] = []
    unusable: list[Unusable] = []
    for number, item in enumerate(phrases, 1):
        place = f"phrase {number}"
        parts = (item,) if isinstance(item, str) else item
        try:
            if not isinstance(parts, tuple | list) or not 1 <= len(parts) <= 3:
                raise ValueError("not a text or (text, weight, pronunciations)")
            text, weight, said = (*parts, None, None)[:3]
            if not isinstance(text, str):
                raise ValueError(f"{text!r} is no text")
            if text.strip():
                found.append(
                    Phrase(
                        place,
                        text.strip(),
                        1.0 if weight is None else parse_weight(weight),
                        tuple(map(parse_phones, _several(said))),
                    )
                )
        except ValueError as error:
            unusable.append(Unusable(place, str(item), str(error)))
    return found, unusable


def _several(said: Any) -> list[Any]:
    """Return a list of pronunciations, whichever way one or several were given."""
    if said is None:
        return []
    if isinstance(said, str) or not isinstance(said, Iterable):
        return [said]
    said = list(said)
    # A list of phones: no part of it has a space, and every part could be a phone.
    if said and all(isinstance(part, str) and " " not in part for part in said):
        try:
            return [parse_phones(said)]
        except ValueError:
            pass
    return said


def read_phrase_file(path: str | Path) -> tuple[list[Phrase], list[Unusable]]:
    """Read a UTF-8 file of phrases, one a line.

    After the phrase there may stand, each after a tab, a weight (or nothing) and any
    number of pronunciations. Blank lines and lines that begin with ``#`` are skipped.
    """
    path = Path(path)
    found: list[Phrase] = []
    unusable: list[Unusable] = []
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        place = f"{path}:{number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            shown = raw.decode("utf-8", "replace")
            reason = f"not UTF-8 (byte {raw[error.start]:#04x})"
            unusable.append(Unusable(place, shown, reason))
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text, *rest = (part.strip() for part in line.split("\t"))
        try:
            if not text:
                raise ValueError("no phrase before the first tab")
            weight = parse_weight(rest[0]) if rest and rest[0] else 1.0
            said = tuple(parse_phones(part) for part in rest[1:] if part)
        except ValueError as error:
            unusable.append(Unusable(place, line.strip(), str(error)))
            continue
        found.append(Phrase(place, text, weight, said))
    return found, unusable


def merged_pronunciations(
    lists: Iterable[Sequence[Pronunciation]],
) -> tuple[Pronunciation, ...]:
    """Return the pronunciations of equal phrases, the likeliest first.

    One list stays in its order; of several, each has the best of its places, then the
    alphabet decides, so that the order of the phrases never matters.
    """
    places: dict[Pronunciation, int] = {}
    for said in lists:
        for place, one in enumerate(said):
            places[one] = min(place, places.get(one, place))
    return tuple(sorted(places, key=lambda one: (places[one], one)))
