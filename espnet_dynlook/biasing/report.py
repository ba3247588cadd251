"""What became of the phrases of a list, for the person who wrote it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from espnet_dynlook.biasing.entries import Entry, Phrase, Unusable
from espnet_dynlook.biasing.phones import Pronunciation
from espnet_dynlook.biasing.weight_levels import largest_change, weight_levels

if TYPE_CHECKING:
    from espnet_dynlook.biasing.catalog import Catalog


@dataclass(frozen=True)
class ReportedEntry:
    """An entry and where it comes from.

    Attributes:
        entry: What is searched for.
        places: The lines that became this entry.
        written: Their different texts.
        pronunciations: How it may be said; None if nobody asked.
        unpronounced: Why it has no pronunciation, where it has none.
        left_out: Marks of these texts that no token has, and that are left out.
    """

    entry: Entry
    places: tuple[str, ...]
    written: tuple[str, ...]
    pronunciations: tuple[Pronunciation, ...] | None = None
    unpronounced: str = ""
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        tokens = " | ".join(" ".join(tokens) for tokens in self.entry.segmentations)
        weight = "" if self.entry.weight == 1 else f", weight {self.entry.weight:g}"
        line = f"{', '.join(self.places)}: {' = '.join(map(repr, self.written))} -> "
        line += f"{self.entry.text!r}{weight}: {tokens}"
        if self.left_out:
            line += f"; without {' '.join(self.left_out)}, which no token has"
        if self.pronunciations:
            line += "; said " + " | ".join(map(" ".join, self.pronunciations))
        elif self.pronunciations is not None:
            line += f"; cannot be pronounced: {self.unpronounced}"
        return line


@dataclass(frozen=True)
class CatalogReport:
    """What a catalog has and what it has not.

    Attributes:
        entries: One an entry, in the catalog's order.
        unusable: Phrases that were left out.
        case: What the model's tokens want: ``upper``, ``lower`` or ``cased``.
        weights: What a search makes of them, if they are too many; else "".
    """

    entries: tuple[ReportedEntry, ...]
    unusable: tuple[Unusable, ...]
    case: str
    weights: str = ""

    def __str__(self) -> str:
        phrases = sum(len(one.places) for one in self.entries) + len(self.unusable)
        lines = [
            f"{phrases} phrases: {len(self.entries)} entries ({self.case}), "
            f"{len(self.unusable)} phrases cannot be used"
        ]
        lines += [self.weights] if self.weights else []
        lines += [f"not used: {one}" for one in self.unusable]
        lines += [str(one) for one in self.entries]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for a JSON file."""
        return asdict(self)


def describe(
    catalog: "Catalog",
    sources: Sequence[Sequence[Phrase]],
    said: Sequence[tuple[Pronunciation, ...]] | None,
) -> CatalogReport:
    """Make the report of a catalog.

    Args:
        catalog: What is reported.
        sources: The phrases that became each entry.
        said: The pronunciations of each entry; None: not asked for.
    """
    entries = []
    for i, (entry, phrases) in enumerate(zip(catalog.entries, sources, strict=True)):
        why = ""
        if said is not None and not said[i]:
            why = "; ".join(catalog.pronouncer.faults(entry.text))
        entries.append(
            ReportedEntry(
                entry,
                tuple(phrase.place for phrase in phrases),
                tuple(dict.fromkeys(phrase.written for phrase in phrases)),
                None if said is None else said[i],
                why,
                tuple(catalog.left_out(phrase.written for phrase in phrases)),
            )
        )
    weights = _weights(entry.weight for entry in catalog.entries)
    return CatalogReport(tuple(entries), catalog.unusable, catalog.case, weights)


def _weights(weights: Iterable[float]) -> str:
    """Say what a search makes of many weights; "" where they are as written."""
    levels = weight_levels(weights)
    change = largest_change(levels)
    if not change:
        return ""
    return (
        f"{len(levels)} different weights are searched as {len(set(levels.values()))}, "
        f"each at most {100 * change:.1f} % from what is written"
    )
