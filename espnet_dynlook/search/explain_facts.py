"""What the posteriors say of a name in an utterance, token by token, and its phones."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.biasing.phones import Pronunciation
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.phone_alignment import Way
from espnet_dynlook.search.spotting import Spotted, spot
from espnet_dynlook.search.word_sounds import heard_phones


@dataclass(frozen=True)
class TokenFacts:
    """A token of the name, in the frame where it fits best.

    Attributes:
        token: As written in the token list.
        frame: The frame.
        log_prob: Its log-probability there.
        rank: Its place among the frame's tokens but for the blank, from 1.
        best: The frame's best label.
        best_log_prob: Its log-probability.
        boost: What adaptive boosting gives it there, in nats.
        pruned: Why the search does not follow it there; "": it does.
        unbiased: Its log-probability without the adapter; None: there is none.
    """

    token: str
    frame: int
    log_prob: float
    rank: int
    best: str
    best_log_prob: float
    boost: float
    pruned: str
    unbiased: float | None = None


@dataclass(frozen=True)
class PhoneFacts:
    """How the name fits the phones.

    Attributes:
        said: The pronunciation that fits best.
        place: Where.
        heard: The best phone path through these frames.
    """

    said: Pronunciation
    place: Spotted
    heard: Pronunciation


def token_facts(
    decoder: BiasedDecoder,
    log_probs: torch.Tensor,
    place: Spotted,
    weight: float,
    unbiased: torch.Tensor | None,
) -> list[TokenFacts]:
    """Return what the search does with each token of a name.

    Args:
        decoder: That is explained.
        log_probs: Of the utterance (T, V).
        place: Where the tokens are.
        weight: Of the entry.
        unbiased: Log-probabilities (T, V) without the adapter, if there is one.
    """
    settings, boosting = decoder.search.settings, decoder.techniques.boosting
    names = decoder.search.token_list
    least, sure, _ = settings.pruning.tolist()
    top, floor = int(settings.boosting[2]), float(settings.boosting[3])
    found = []
    for at, (token, frame) in enumerate(zip(place.labels, place.frames, strict=True)):
        row = log_probs[frame]
        value, best = float(row[token]), int(row.argmax())
        others = row.clone()
        others[settings.blank] = -torch.inf
        rank = 1 + int((others > row[token]).sum())
        highest, silent = float(row[best]), float(row[settings.blank])
        common = rank <= settings.candidates and (value >= least or value == highest)
        named = rank <= top and value >= floor
        pruned = ""
        if not named and not (common and silent < sure):
            if value < floor:
                pruned = f"below {floor:g}, the floor"
            elif silent >= sure and rank > top:
                pruned = f"blank, and not one of the best {top}"
            else:
                pruned = f"below {least:g}, and not one of the best {top}"
        boost = 0.0
        if named and boosting is not None:
            silence = at == 0 and silent >= settings.boosting[5]
            boost = 0.0 if silence else weight * boosting.boost(highest, value)
        earlier = None if unbiased is None else float(unbiased[frame, token])
        found.append(
            TokenFacts(
                names[token],
                frame,
                value,
                rank,
                names[best],
                highest,
                boost,
                pruned,
                earlier,
            )
        )
    return found


def phone_facts(
    decoder: BiasedDecoder,
    ways: Sequence[Way],
    log_probs: torch.Tensor,
    phone_log_probs: torch.Tensor | None,
) -> PhoneFacts | None:
    """Return how a name fits the phones; frames are those of the tokens."""
    if phone_log_probs is None or not ways:
        return None
    blank = decoder.search.blank
    found = [(spot(phone_log_probs, way, blank), way) for way in ways]
    fits = [(place, way) for place, way in found if place is not None]
    if not fits:
        return None
    place, way = max(fits, key=lambda one: one[0].margin)
    heard = heard_phones(phone_log_probs[place.start : place.end], blank)
    ratio = len(log_probs) / max(len(phone_log_probs), 1)
    at = tuple(round(frame * ratio) for frame in place.frames)
    scaled = Spotted(
        place.labels,
        at,
        round(place.start * ratio),
        round(place.end * ratio),
        place.score,
        place.best,
    )
    names = decoder.phone_list
    return PhoneFacts(
        tuple(names[p] for p in way), scaled, tuple(names[p] for p, _ in heard)
    )
