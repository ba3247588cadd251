"""Slow and plain versions of what the biasing files do fast."""

from collections.abc import Iterable

from espnet_dynlook.biasing.spelling import is_special


def segmentations(text: str, token_list: Iterable[str]) -> set[tuple[str, ...]]:
    """Return every segmentation of a text into tokens that are no special ones."""
    if not text:
        return {()}
    begin = [t for t in token_list if not is_special(t) and text.startswith(t)]
    return {
        (token, *rest)
        for token in begin
        for rest in segmentations(text[len(token) :], token_list)
    }
