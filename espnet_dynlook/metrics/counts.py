"""Counts of utterances and of sets, which are added up before rates are taken."""

from typing import Any, Self


class Counts:
    """What dataclasses of counts share: they add up, field by field."""

    __dataclass_fields__: dict[str, Any]

    def __add__(self, other: Self) -> Self:
        """Pool two sets."""
        names = self.__dataclass_fields__
        return type(self)(*(getattr(self, n) + getattr(other, n) for n in names))
