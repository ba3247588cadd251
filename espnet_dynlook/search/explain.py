"""Why a name was recognised in an utterance, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.phones import Pronunciation
from espnet_dynlook.search.biased_decoder import PARTS, BiasedDecoder
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.explain_facts import (
    PhoneFacts,
    TokenFacts,
    phone_facts,
    token_facts,
)
from espnet_dynlook.search.greedy import best_path
from espnet_dynlook.search.phone_alignment import Way
from espnet_dynlook.search.spotting import Spotted, spot

#: Names of the parts of a score for readers.
READABLE = {
    "ctc": "CTC",
    "boosting": "1 boosting",
    "unigram": "2 unigram",
    "lm": "language model",
    "word_insertion": "word insertion",
    "rescoring": "3 rescoring",
    "lookup": "4 lookup",
}


@dataclass(frozen=True)
class Explanation:
    """What became of a name in an utterance.

    Attributes:
        name: The entry's text.
        weight: Its weight.
        segmentations: How it was tokenised.
        pronunciations: How it may be said, the likeliest first.
        unsaid: Why nobody can say how: the package that is missing; "": none is.
        spellings: Its grapheme variants that are followed.
        frame_seconds: Period of a frame; None: times are in frames.
        text: What was recognised.
        recognised: Whether the name is in it.
        place: Where the name's tokens fit best, of all segmentations.
        heard: What the best path says in these frames.
        tokens: The tokens there.
        phones: How it fits the phones; None: without phone head or pronunciation.
        unbiased: As ``place``, without the adapter; None: there is none.
        own: The best hypothesis with the name; None: no hypothesis has it.
        rival: The best one without.
        reason: Why the name won or lost.
    """

    name: str
    weight: float
    segmentations: tuple[tuple[str, ...], ...]
    pronunciations: tuple[Pronunciation, ...]
    unsaid: str
    spellings: tuple[str, ...]
    frame_seconds: float | None
    text: str
    recognised: bool
    place: Spotted | None
    heard: str
    tokens: tuple[TokenFacts, ...]
    phones: PhoneFacts | None
    unbiased: Spotted | None
    own: Hypothesis | None
    rival: Hypothesis | None
    reason: str

    def time(self, frame: int) -> str:
        """Say when a frame is."""
        if self.frame_seconds is None:
            return f"frame {frame}"
        return f"{frame * self.frame_seconds:.2f} s"

    @property
    def differences(self) -> dict[str, float]:
        """What each part gives the name against its best rival, in nats."""
        if self.own is None or self.rival is None:
            return {}
        return {p: self.own.parts[p] - self.rival.parts[p] for p in PARTS}

    def __str__(self) -> str:
        lines = [f"{self.name!r}: {self.reason}", f"  recognised: {self.text!r}"]
        weight = "" if self.weight == 1 else f" (weight {self.weight:g})"
        ways = " | ".join(" ".join(tokens) for tokens in self.segmentations)
        lines.append(f"  tokens{weight}: {ways}")
        said = " | ".join(map(" ".join, self.pronunciations))
        lines.append(f"  said: {said or self.unsaid or 'nobody knows how'}")
        if self.spellings:
            lines.append(f"  also spelled: {', '.join(self.spellings)}")
        if self.place is not None:
            place = self.place
            lines.append(
                f"  fits best from {self.time(place.start)} to {self.time(place.end)}, "
                f"{abs(place.margin):.1f} nats below the best path there, which says "
                f"{self.heard!r}"
            )
            if self.unbiased is not None:
                lines.append(
                    f"  without the adapter: {abs(self.unbiased.margin):.1f} nats "
                    f"below, at {self.time(self.unbiased.start)}"
                )
            lines += [self._token(one) for one in self.tokens]
        if self.phones is not None:
            one = self.phones
            lines.append(
                f"  phones: {' '.join(one.said)} fits best at "
                f"{self.time(one.place.start)}, {abs(one.place.margin):.1f} nats below "
                f"the best path, {' '.join(one.heard) or 'silence'}"
            )
        if self.own is not None and self.rival is not None:
            lines.append(f"  against {self.rival.text!r}, in nats:")
            lines += [
                f"    {READABLE[part]:<15}{value:+8.2f}"
                for part, value in self.differences.items()
                if abs(value) >= 0.005
            ]
            total = self.own.score - self.rival.score
            lines.append(f"    {'together':<15}{total:+8.2f}")
        return "\n".join(lines)

    def _token(self, one: TokenFacts) -> str:
        line = f"    {one.token:<12}{self.time(one.frame):>12}"
        line += f"  log p {one.log_prob:6.2f}, rank {one.rank}"
        if one.unbiased is not None:
            line += f" (without the adapter {one.unbiased:.2f})"
        if one.log_prob < one.best_log_prob:
            line += f"; best {one.best} {one.best_log_prob:.2f}"
        if one.boost > 0:
            line += f"; boost {one.boost:.2f}"
        return line + (f"; pruned: {one.pruned}" if one.pruned else "")


def explain(
    decoder: BiasedDecoder,
    name: str,
    log_probs: torch.Tensor,
    catalog: Catalog,
    phone_log_probs: torch.Tensor | None = None,
    *,
    unbiased: torch.Tensor | None = None,
    frame_seconds: float | None = None,
) -> Explanation:
    """Say what became of a name.

    Args:
        decoder: With the techniques that are to be explained.
        name: As written in the list, or as the entry is spelled.
        log_probs: Of the utterance (T, V).
        catalog: The list, which has the name.
        phone_log_probs: Of the phone head (T', P); None: there is none.
        unbiased: Log-probabilities (T, V) without the adapter, where there is one.
        frame_seconds: Period of a frame (T), for times in seconds.

    Raises:
        ValueError: the list has no such entry; it says why, if that is known.
    """
    # Not that of the names: an equal list may have other phrases that are unusable.
    catalog, blank = catalog.for_tokens(decoder.search.token_list), decoder.search.blank
    number = find_entry(catalog, name)
    names = decoder.names(catalog)
    entry = catalog.entries[number]
    ids = names.token_ids[number]
    found = decoder(log_probs, catalog, phone_log_probs)
    has = [_has(one, entry.text, decoder) for one in found]
    own = next((h for h, yes in zip(found, has, strict=True) if yes), None)
    rival = next((h for h, yes in zip(found, has, strict=True) if not yes), None)
    places = [spot(log_probs, path, blank) for path in ids]
    place = max((p for p in places if p is not None), key=_margin, default=None)
    before = None
    if unbiased is not None and place is not None:
        before = spot(unbiased, place.labels, blank)
    tokens: tuple[TokenFacts, ...] = ()
    heard = ""
    if place is not None:
        tokens = tuple(token_facts(decoder, log_probs, place, entry.weight, unbiased))
        path = best_path(log_probs[place.start : place.end], blank)
        heard = decoder.search.words.text_of(path.tokens)
    widened = names.widened.written
    said: tuple[Pronunciation, ...] = ()
    ways: tuple[Way, ...] = ()
    unsaid = ""
    try:
        said, ways = catalog.pronunciations(number), names.units.entry(number)
    except MissingPackage as error:  # what needs no phones is explained without them
        unsaid = str(error)
    return Explanation(
        entry.text,
        entry.weight,
        entry.segmentations,
        said,
        unsaid,
        tuple(sorted(text for text, owner in widened.items() if owner == number)),
        frame_seconds,
        found[0].text,
        has[0],
        place,
        heard,
        tokens,
        phone_facts(decoder, ways, log_probs, phone_log_probs),
        before,
        own,
        rival,
        _reason(own, rival, has[0], place, tokens, heard),
    )


def find_entry(catalog: Catalog, name: str) -> int:
    """Return the number of the entry that a name became.

    Raises:
        ValueError: there is none; it says why, if that is known.
    """
    reported = catalog.report().entries
    for number, one in enumerate(reported):
        if name == one.entry.text or name in one.written:
            return number
    for fault in catalog.unusable:
        if fault.written == name:
            raise ValueError(f"{name!r} cannot be used: {fault.reason} ({fault.place})")
    raise ValueError(f"{name!r} is none of the {len(catalog)} names of the list")


def _margin(place: Spotted) -> float:
    return place.margin


def _has(one: Hypothesis, name: str, decoder: BiasedDecoder) -> bool:
    """Tell whether a text has a name, as whole words."""
    between = decoder.search.words.between
    words = [word.text for word in one.words]
    text = name.split() if between else list(name)
    return any(words[n : n + len(text)] == text for n in range(len(words)))


def _reason(
    own: Hypothesis | None,
    rival: Hypothesis | None,
    recognised: bool,
    place: Spotted | None,
    tokens: Sequence[TokenFacts],
    heard: str,
) -> str:
    """Say in a line why the name won or lost."""
    if place is None:
        return "lost: the utterance is too short for its tokens"
    if own is not None and rival is not None:
        ahead = own.score - rival.score
        parts = {p: own.parts[p] - rival.parts[p] for p in PARTS}
        most = max(parts, key=lambda p: parts[p] if recognised else -parts[p])
        verb = "won" if recognised else "lost"
        return (
            f"{verb} by {abs(ahead):.2f} nats against {rival.text!r}, most of all by "
            f"{READABLE[most]} ({parts[most]:+.2f})"
        )
    if own is not None:
        return "won: no hypothesis is without it"
    pruned = [one for one in tokens if one.pruned]
    if pruned:
        one = pruned[0]
        return (
            f"lost: {one.token} is of rank {one.rank} where it fits best "
            f"({one.pruned}), so that no hypothesis has the name"
        )
    boosted = sum(one.boost for one in tokens)
    return (
        f"lost: {abs(place.margin):.1f} nats below {heard!r}, of which boosting gives "
        f"back {boosted:.1f}; no hypothesis that is kept has the name"
    )
