"""Which decoder techniques are on, with their weights; also as keys of a YAML file."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.grapheme_variants import GraphemeVariants
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.pronunciation_lookup import PronunciationLookup
from espnet_dynlook.search.unigram_boost import UnigramBoost


@dataclass(frozen=True)
class Techniques:
    """Decoder techniques for names, each None where it is off.

    After https://arxiv.org/abs/2210.09510.

    Attributes:
        boosting: 1, adaptive subword boosting, in the beam.
        unigram: 2, unigram boosting in a language model of words, in the beam.
        rescoring: 3, phonetic rescoring of what the beam found.
        lookup: 4, pronunciation lookup of doubtful words.
        variants: 5, grapheme variants of entries, for the others.
    """

    boosting: Boosting | None = field(default_factory=Boosting)
    unigram: UnigramBoost | None = None
    rescoring: PhoneticRescoring | None = None
    lookup: PronunciationLookup | None = None
    variants: GraphemeVariants | None = None

    @classmethod
    def from_mapping(cls, keys: Mapping[str, Any] | None) -> "Techniques":
        """Read what a YAML file says.

        A technique that is not there is as it is by default; one that is null or false
        is off; one that is true, or a mapping, is on, with the keys that are given.

        Raises:
            ValueError: a key is unknown or a value is none; it says which.
        """
        keys = {} if keys is None else keys
        if not isinstance(keys, Mapping):
            raise ValueError(
                f"techniques={keys!r} is no mapping, such as boosting: {{}}"
            )
        unknown = [str(key) for key in keys if key not in CLASSES]
        if unknown:
            raise ValueError(
                f"no technique is called {', '.join(unknown)}; there are "
                f"{', '.join(CLASSES)}"
            )
        return cls(**{name: _made(name, value) for name, value in keys.items()})


#: What each technique is made of, by its name.
CLASSES: dict[str, Any] = {
    "boosting": Boosting,
    "unigram": UnigramBoost,
    "rescoring": PhoneticRescoring,
    "lookup": PronunciationLookup,
    "variants": GraphemeVariants,
}


def _made(name: str, value: Any) -> Any:
    """Return a technique from its value in a YAML file."""
    if value is None or value is False:
        return None
    value = {} if value is True else value
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{name}={value!r}: write null (off), true, or keys such as weight: 1.0"
        )
    known = [field.name for field in dataclasses.fields(CLASSES[name])]
    unknown = [str(key) for key in value if key not in known]
    if unknown:
        raise ValueError(
            f"{name} has no key {', '.join(unknown)}; it has {', '.join(known)}"
        )
    try:
        return CLASSES[name](**value)
    except TypeError as error:  # such as a text where a number should be
        raise ValueError(f"{name}: {dict(value)}: {error}") from None
