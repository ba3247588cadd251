"""Why a name won or lost in an utterance, in a line."""

import re
from collections.abc import Sequence

from espnet_dynlook.search.biased_decoder import PARTS
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.explain_facts import TokenFacts
from espnet_dynlook.search.pronunciation_lookup import PART as LOOKUP
from espnet_dynlook.search.spotting import Spotted

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


def reason(
    own: Hypothesis | None,
    rival: Hypothesis | None,
    recognised: bool,
    place: Spotted | None,
    tokens: Sequence[TokenFacts],
    heard: str,
    variant: str = "",
    inside: str = "",
) -> str:
    """Say why a name won or lost.

    Args:
        own: The best hypothesis with the name, if there is one.
        rival: The best one without, if there is one.
        recognised: Whether the name is in what was recognised.
        place: Where it fits best; None: nowhere.
        tokens: There.
        heard: What the best path says there.
        variant: The other spelling that is written as the name; "": none is.
        inside: What keeps it from being words of its own; see ``inside_words``.
    """
    if place is None:
        return "lost: the utterance is too short for its tokens"
    if own is not None and rival is not None:
        ahead = own.score - rival.score
        parts = {p: own.parts[p] - rival.parts[p] for p in PARTS}
        most = max(parts, key=lambda p: parts[p] if recognised else -parts[p])
        if inside:
            return f"lost: {inside}; as words of its own {-ahead:.2f} nats behind"
        verb = "won" if recognised else "lost"
        said = f" as {variant!r}, a variant of it," if variant else ""
        what = ", which lookup replaced" if recognised and own.parts[LOOKUP] else ""
        return (
            f"{verb}{said} by {abs(ahead):.2f} nats against {rival.text!r}{what}, "
            f"most of all by {READABLE[most]} ({parts[most]:+.2f})"
        )
    if own is not None:
        said = f" as {variant!r}, a variant of it" if variant else ""
        return f"won{said}: no hypothesis is without it"
    if inside:
        return f"lost: {inside}"
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


def inside_words(
    name: str, best: Hypothesis, place: Spotted | None, tokens: Sequence[TokenFacts]
) -> str:
    """Say which longer words a text has in which the letters of a name stand.

    A name is recognised only where it begins and ends at the boundaries of words.

    Args:
        name: As the entry is spelled; without it as whole words in ``best``.
        best: What was recognised, with a space between words.
        place: Where the name fits best; None: nowhere.
        tokens: There.

    Returns:
        The words, and the boundary that is missing; "": there are none.
    """
    if place is None:
        return ""
    lost = -place.margin > sum(one.boost for one in tokens)
    for at in re.finditer(f"(?={re.escape(name)})", best.text):
        first, end = at.start(), at.start() + len(name)
        begins = first == 0 or best.text[first - 1] == " "
        ends = end == len(best.text) or best.text[end] == " "
        number = best.text.count(" ", 0, first)
        words = best.words[number : number + name.count(" ") + 1]
        # Pieces that begin words may fit elsewhere, or nowhere.
        overlaps = words[0].start < place.end and place.start < words[-1].end
        if overlaps or lost:
            missing = [
                w for w, is_one in (("begin", begins), ("end", ends)) if not is_one
            ]
            within = " ".join(word.text for word in words)
            return (
                f"in {within!r} it does not {' or '.join(missing)} at a word boundary"
            )
    return ""
