"""Why a name was recognised in an utterance, or why not."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.phones import Pronunciation
from espnet_dynlook.search.biased_decoder import PARTS, BiasedDecoder, Names
from espnet_dynlook.search.checks import check_catalog
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.explain_facts import (
    PhoneFacts,
    TokenFacts,
    phone_facts,
    token_facts,
)
from espnet_dynlook.search.explain_reason import READABLE, inside_words, reason
from espnet_dynlook.search.greedy import best_path
from espnet_dynlook.search.incremental import checked_log_probs
from espnet_dynlook.search.phone_alignment import Way
from espnet_dynlook.search.spotting import Spotted, spot


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
        place: Where the tokens of the name or of a variant fit best, of all.
        spelling: What these write: the name, or a variant of it.
        plain: Where those of the name itself fit best, if a variant's are nearer; else
            None.
        heard: What the best path says in the frames of ``place``.
        tokens: The tokens there.
        phones: How it fits the phones; None: without phone head or pronunciation.
        unbiased: As ``place``, without the adapter; None: there is none.
        own: The best hypothesis with the name; None: no hypothesis has it.
        variant: Other spelling of the name that is written as it in ``own``; "": none.
        rival: The best one without, also one whose words lookup has replaced.
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
    spelling: str
    plain: Spotted | None
    heard: str
    tokens: tuple[TokenFacts, ...]
    phones: PhoneFacts | None
    unbiased: Spotted | None
    own: Hypothesis | None
    variant: str
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
            what = f" as {self.spelling!r}, a variant," if self.plain else ""
            lines.append(
                f"  fits best{what} from {self.time(place.start)} to "
                f"{self.time(place.end)}, {abs(place.margin):.1f} nats below the best "
                f"path there, which says {self.heard!r}"
            )
            if self.plain is not None:
                lines.append(
                    f"  as {self.name!r} itself: {abs(self.plain.margin):.1f} nats "
                    f"below, at {self.time(self.plain.start)}"
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
        name: As written in the list, or as the entry is spelled, in any case.
        log_probs: Of the utterance (T, V).
        catalog: The list, which has the name.
        phone_log_probs: Of the phone head (T', P); None: there is none.
        unbiased: Log-probabilities (T, V) without the adapter, where there is one.
        frame_seconds: Period of a frame (T), for times in seconds.

    Raises:
        ValueError: the list has no such entry, and why, if that is known; or
            ``unbiased`` is of another shape than ``log_probs``.
    """
    check_catalog(catalog)
    log_probs = checked_log_probs(log_probs)
    if unbiased is not None:
        unbiased = checked_log_probs(unbiased, "unbiased")
        if unbiased.shape != log_probs.shape:
            raise ValueError(
                f"unbiased has the shape {tuple(unbiased.shape)} and log_probs "
                f"{tuple(log_probs.shape)}: give frames of the same utterance, with "
                "and without the adapter"
            )
    # Not that of the names: an equal list may have other phrases that are unusable.
    catalog, blank = catalog.for_tokens(decoder.search.token_list), decoder.search.blank
    number = find_entry(catalog, name)
    names = decoder.names(catalog)
    entry = catalog.entries[number]
    stages = decoder.stages(log_probs, names, phone_log_probs)
    found = stages.found
    has = [_has(one, entry.text, decoder) for one in found]
    own = next((h for h, yes in zip(found, has, strict=True) if yes), None)
    # What lookup replaced is not among them any more.
    others = [*found, stages.written[0]] if own is found[0] else found
    others = [one for one in others if not _has(one, entry.text, decoder)]
    rival = max(others, key=lambda one: one.score, default=None)
    spellings = sorted(t for t, n in names.widened.written.items() if n == number)
    ways = names.widened.catalog.token_ids()[number]
    ids = names.token_ids[number]
    plain = _nearest(spot(log_probs, path, blank) for path in ids)
    place = _nearest(spot(log_probs, path, blank) for path in [*ids, *ways])
    spelling = entry.text
    if place is not None and list(place.labels) not in ids:
        spelling = decoder.search.words.text_of(place.labels)
    before = None
    if unbiased is not None and place is not None:
        before = spot(unbiased, place.labels, blank)
    tokens: tuple[TokenFacts, ...] = ()
    heard = ""
    if place is not None:
        tokens = tuple(token_facts(decoder, log_probs, place, entry.weight, unbiased))
        path = best_path(log_probs[place.start : place.end], blank)
        heard = decoder.search.words.text_of(path.tokens)
    said: tuple[Pronunciation, ...] = ()
    sounds: tuple[Way, ...] = ()
    unsaid = ""
    try:
        said, sounds = catalog.pronunciations(number), names.units.entry(number)
    except MissingPackage as error:  # what needs no phones is explained without them
        unsaid = str(error)
    variant = _variant(own, entry.text, spellings, stages.beam, names, decoder)
    inside = ""
    if not has[0] and decoder.search.words.between:
        inside = inside_words(entry.text, found[0], place, tokens)
    return Explanation(
        entry.text,
        entry.weight,
        entry.segmentations,
        said,
        unsaid,
        tuple(spellings),
        frame_seconds,
        found[0].text,
        has[0],
        place,
        spelling,
        plain if spelling != entry.text else None,
        heard,
        tokens,
        phone_facts(decoder, sounds, log_probs, phone_log_probs),
        before,
        own,
        variant,
        rival,
        reason(own, rival, has[0], place, tokens, heard, variant, inside),
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
    spelled = _spelled(catalog, name)
    texts = [entry.text for entry in catalog.entries]
    for alike in (spelled, spelled.casefold()):
        if alike in texts:
            return texts.index(alike)
        texts = [text.casefold() for text in texts]
    raise ValueError(f"{name!r} is none of the {len(catalog)} names of the list")


def _spelled(catalog: Catalog, name: str) -> str:
    """Return a name as the entries are spelled; as it is, if the tokens cannot."""
    try:
        return catalog.spell(name)[0]
    except ValueError:
        return name


def _nearest(places: Iterable[Spotted | None]) -> Spotted | None:
    """Return the nearest place, the first one of several."""
    found = (place for place in places if place is not None)
    return max(found, key=lambda place: place.margin, default=None)


def _variant(
    own: Hypothesis | None,
    name: str,
    spellings: list[str],
    beam: list[Hypothesis],
    names: Names,
    decoder: BiasedDecoder,
) -> str:
    """Return the spelling that is written as the name in a hypothesis; "": none."""
    if own is None or not spellings:
        return ""
    for one in beam:
        if decoder.written(one, names).text == own.text:
            if _has(one, name, decoder):
                return ""
            return next((t for t in spellings if _has(one, t, decoder)), "")
    return ""


def _has(one: Hypothesis, name: str, decoder: BiasedDecoder) -> bool:
    """Tell whether a text has a name, as whole words."""
    between = decoder.search.words.between
    words = [word.text for word in one.words]
    text = name.split() if between else list(name)
    return any(words[n : n + len(text)] == text for n in range(len(words)))
