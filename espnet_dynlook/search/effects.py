"""Which techniques can act, and keys of them that would do nothing and say nothing."""

import dataclasses
from typing import Any

from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.ngram_vocabulary import unigram_fault
from espnet_dynlook.search.techniques import Techniques


def acting(techniques: Techniques, lm: NgramLM | None) -> list[str]:
    """Return the techniques that can change a result, by their names.

    Args:
        techniques: Those that are on.
        lm: N-gram of the search; None: none.
    """
    some = techniques
    words = lm is not None and lm.unit == "word" and lm.weight > 0
    boosting = some.boosting
    acts = {
        "boosting": boosting is not None
        and min(boosting.weight, boosting.slope, boosting.cap) > 0,
        "unigram": some.unigram is not None and words,
        "rescoring": some.rescoring is not None and some.rescoring.weight > 0,
        "lookup": some.lookup is not None and some.lookup.weight > 0,
        "variants": some.variants is not None and some.variants.number > 0,
    }
    return [name for name, can in acts.items() if can]


def check_effects(techniques: Techniques, lm: NgramLM | None) -> None:
    """Refuse keys of techniques that would have no effect.

    A weight of 0 (or ``number: 0``) switches a technique off, and is none of these; the
    other keys of what is off are.

    Args:
        techniques: Those that are on.
        lm: N-gram of the search; None: none.

    Raises:
        ValueError: says which keys, and what to write.
    """
    faults = [
        *_of_boosting(techniques.boosting),
        *_of_unigram(techniques.unigram, lm),
        *_of_lookup(techniques.lookup, lm),
    ]
    variants = techniques.variants
    if variants is not None and variants.number == 0:
        faults += _idle(variants, "variants", {"number": 0})
    if faults:
        raise ValueError("techniques: " + "; ".join(faults))


def _of_boosting(boosting: Any) -> list[str]:
    if boosting is None:
        return []
    nothing = {
        name: getattr(boosting, name)
        for name in ("weight", "slope", "cap")
        if getattr(boosting, name) == 0
    }
    if nothing and "weight" not in nothing:
        given = _written(nothing)
        return [f"boosting gives nothing with {given}: raise it, or boosting: null"]
    return _idle(boosting, "boosting", nothing) if nothing else []


def _of_unigram(unigram: Any, lm: NgramLM | None) -> list[str]:
    if unigram is not None and lm is not None and lm.unit == "word" and not lm.weight:
        return [
            "unigram changes what the n-gram of words says, and its weight is 0: raise "
            "it, or write unigram: null"
        ]
    fault = unigram_fault(lm) if unigram is not None else ""
    return [fault] if fault else []


def _of_lookup(lookup: Any, lm: NgramLM | None) -> list[str]:
    if lookup is None:
        return []
    if lookup.weight == 0:
        return _idle(lookup, "lookup", {"weight": 0})
    if lookup.counts is None and lookup.rare != type(lookup).rare:
        return [f"rare={lookup.rare} of lookup has no effect without counts: FILE"]
    words = lm is not None and lm.unit == "word"
    if lookup.confidence == 0 and lookup.counts is None and not words:
        return [
            "lookup doubts no word with confidence=0, without counts and without an "
            "n-gram of words: raise confidence, give counts, or write lookup: null"
        ]
    return []


def _idle(technique: Any, name: str, off: dict[str, Any]) -> list[str]:
    """Say which keys are set of a technique that is off."""
    idle = {
        field.name: getattr(technique, field.name)
        for field in dataclasses.fields(technique)
        if field.name not in off and getattr(technique, field.name) != field.default
    }
    if not idle:
        return []
    return [
        f"{_written(idle)} of {name} has no effect with {_written(off)}: raise that, "
        f"or write {name}: null"
    ]


def _written(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
