"""Which words of a hypothesis sound like entries of a list."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.search.near_sounds import NearWays
from espnet_dynlook.search.phone_alignment import Way, align_words
from espnet_dynlook.search.spoken_units import SpokenUnits, Unit


@dataclass(frozen=True)
class Sound:
    """A pronunciation of an entry, where it was heard.

    Attributes:
        way: Its phones.
        matched: How many of them count as heard: all, if it was heard exactly.
    """

    way: Way
    matched: float


class WordSounds:
    """Compares words with the pronunciations of a catalog.

    Args:
        units: Knows how words are said, and the catalog.
        span: At most so many units are compared with an entry.
        distance: Nats a phone by which an entry may be below what was heard; 0: it has
            to be heard exactly.
        blank: Index of the blank.
    """

    def __init__(self, units: SpokenUnits, span: int, distance: float, blank: int = 0):
        self.units, self.span, self.distance = units, span, distance
        self.blank = blank

    @functools.cached_property
    def sounds(self) -> dict[Way, list[int]]:
        """Entries of a weight above 0 by each of their pronunciations."""
        found: dict[Way, list[int]] = {}
        self.units.catalog.all_pronunciations()  # at once: much faster
        for number in filter(self._counts, range(len(self.units.catalog))):
            for way in self.units.entry(number):
                found.setdefault(way, []).append(number)
        return found

    @functools.cached_property
    def _ways(self) -> tuple[list[Way], NearWays]:
        """The pronunciations, and what finds those that are near."""
        ways = list(self.sounds)
        return ways, NearWays(ways, self.blank)

    def _counts(self, entry: int) -> bool:
        """Tell whether an entry takes part."""
        return self.units.catalog.entries[entry].weight > 0

    def __call__(
        self,
        units: Sequence[Unit],
        doubtful: Sequence[bool],
        phone_log_probs: torch.Tensor,
    ) -> list[tuple[int, int, dict[int, Sound]]]:
        """Return which units sound like entries.

        Args:
            units: Of a hypothesis.
            doubtful: Which of them may be replaced.
            phone_log_probs: (T', P).

        Returns:
            The first unit, the one after the last, and the sound by entry. Nothing
            where there is a word that nobody can pronounce, or too few frames: the
            boundaries of words are unknown then.
        """
        free = [unit.entry is None or not self._counts(unit.entry) for unit in units]
        if not any(a and b for a, b in zip(free, doubtful, strict=True)):
            return []
        if not all(unit.ways for unit in units):
            return []
        said = align_words(phone_log_probs, [unit.ways for unit in units], self.blank)
        if said is None:
            return []
        words, frames = [], []  # what may be replaced, and where it was heard
        for a in range(len(units)):
            for b in range(a + 1, min(a + self.span, len(units)) + 1):
                if not free[b - 1]:
                    break
                if any(doubtful[a:b]):
                    after = said[a - 1].end if a else 0
                    before = said[b].start if b < len(said) else len(phone_log_probs)
                    words.append((a, b))
                    frames.append((after, before))
        near = self._near(phone_log_probs, frames) if self.distance else {}
        heard = heard_phones(phone_log_probs, self.blank)
        found = []
        for number, ((a, b), (after, before)) in enumerate(
            zip(words, frames, strict=True)
        ):
            exact = {
                tuple(phone for phone, frame in heard if after <= frame < before),
                tuple(phone for word in said[a:b] for phone in word.way),
            }
            entries = near.get(number, {}) | {
                entry: Sound(way, len(way))
                for way in sorted(exact)
                for entry in self.sounds.get(way, ())
            }
            if entries:
                found.append((a, b, entries))
        return found

    def _near(
        self, phone_log_probs: torch.Tensor, frames: Sequence[tuple[int, int]]
    ) -> dict[int, dict[int, Sound]]:
        """Return the entries that are near to what was heard, by number of the span."""
        ways, near_ways = self._ways
        found: dict[int, dict[int, Sound]] = {}
        for one in near_ways(phone_log_probs, frames, self.distance):
            way = ways[one.way]
            new = Sound(way, len(way) - one.lost / self.distance)
            entries = found.setdefault(one.span, {})
            for entry in self.sounds[way]:
                if entry not in entries or new.matched > entries[entry].matched:
                    entries[entry] = new
        return found


def heard_phones(log_probs: torch.Tensor, blank: int = 0) -> list[tuple[int, int]]:
    """Return the phones of the best path (T, P), with the first frame of each."""
    found, last = [], blank
    for frame, label in enumerate(log_probs.argmax(dim=1).tolist()):
        if label != blank and label != last:
            found.append((label, frame))
        last = label
    return found
