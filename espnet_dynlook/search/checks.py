"""What is asked of the numbers and lists that a search is given."""

import numbers
from typing import Any

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import MOST_WEIGHT


def check_whole(name: str, value: Any, least: int, of: str = "") -> None:
    """Refuse what is no whole number, or too small a one.

    Args:
        name: Of the argument, for messages.
        value: Its value.
        least: The smallest that may be.
        of: What the argument is a key of, for messages.

    Raises:
        ValueError: it is none; a bool is none, either.
    """
    said = f"{name}={value!r}" + (f" of {of}" if of else "")
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{said} must be a whole number, at least {least}")
    if value < least:
        raise ValueError(f"{said} must be at least {least}")


def check_weight(name: str, value: Any, of: str, least: float = 0.0) -> None:
    """Refuse what is no weight, or no number of nats that a score can have.

    Above ``MOST_WEIGHT``, what acoustics say is lost in the rounding of the sum.

    Args:
        name: Of the argument, for messages.
        value: Its value.
        of: What the argument is a key of, for messages.
        least: The smallest that may be.

    Raises:
        TypeError: it is no number.
        ValueError: it is out of the range.
    """
    if isinstance(value, bool) or not least <= value <= MOST_WEIGHT:
        raise ValueError(
            f"{name}={value} of {of} must be a number from {least:g} to {MOST_WEIGHT:g}"
        )


def check_catalog(catalog: Any) -> None:
    """Refuse what is no catalog.

    Raises:
        TypeError: it is a list of texts, or something else.
    """
    if catalog is not None and not isinstance(catalog, Catalog):
        raise TypeError(
            f"catalog={catalog!r:.60} is no Catalog: make one with "
            "Catalog(phrases, tokenizer), or give None"
        )


def check_catalogs(catalogs: Any, number: int) -> None:
    """Refuse what are no catalogs of so many utterances.

    Raises:
        TypeError: it is one catalog, or no list of them.
        ValueError: they are of another number.
    """
    if catalogs is None:
        return
    if isinstance(catalogs, Catalog | str) or not hasattr(catalogs, "__len__"):
        raise TypeError(
            f"catalogs={catalogs!r:.60} must be a list with a catalog (or None) for "
            f"each of {number} utterances, such as [catalog] * {number}"
        )
    if len(catalogs) != number:
        raise ValueError(
            f"catalogs has {len(catalogs)} lists for {number} utterances: give one, or "
            "None, for each"
        )
    for one in catalogs:
        check_catalog(one)


def check_lengths(lengths: Any, number: int, frames: int) -> list[int]:
    """Return the frames of utterances as ints.

    Args:
        lengths: As given.
        number: Of utterances.
        frames: Of the longest one.

    Raises:
        ValueError: they are of another number, or there is none such length.
    """
    found = [one.item() if hasattr(one, "item") else one for one in lengths]
    if len(found) != number:
        raise ValueError(f"lengths has {len(found)} numbers for {number} utterances")
    for one in found:
        whole = isinstance(one, numbers.Integral) and not isinstance(one, bool)
        if not whole or not 0 <= one <= frames:
            raise ValueError(
                f"lengths has {one!r}: an utterance has from 0 to {frames} frames, as "
                "many as log_probs"
            )
    return found
