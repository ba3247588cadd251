"""What the options of a lookahead may be, whoever gives them: a file or Python.

ESPnet's parser and the check of a configuration know types; a constructor that is
called from Python has to see for itself that ``True`` is no number of frames.
"""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard


def is_whole(value: Any) -> TypeGuard[int]:
    """Say whether a value is a whole number; ``True`` and 2.0 are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Say whether a value is a finite number; ``True`` is none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Say whether a value is a list or the like; text is none."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_layers(value: Any) -> bool:
    return value is None or (is_list(value) and all(map(is_whole, value)))


def _is_numbers(value: Any) -> bool:
    return is_list(value) and all(map(is_number, value))


#: Argument of ``DynamicLookahead`` -> key in a configuration, test, what it must be.
_OPTIONS = {
    "share_wait": ("share_wait", _is_flag, "true or false"),
    "layers": (
        "lookahead_layers",
        _is_layers,
        "a list of layers, counted from 1, like [1, 3]; leave it out for all",
    ),
    "hidden": ("scheduler_hidden", is_whole, "a whole number from 1, like 64"),
    "detach": ("scheduler_detach", _is_flag, "true or false"),
    "noise": ("scheduler_noise", is_number, "0 (none) or a number above, like 1"),
    "tau": (
        "scheduler_tau",
        _is_numbers,
        "two temperatures above 0, the first at the beginning and not lower, like "
        "[1.0, 0.2]",
    ),
    "anneal": (
        "scheduler_anneal",
        is_number,
        "a number from 0 (rounded from the beginning) to 1, the whole training, like "
        "0.8",
    ),
    "lr_factor": ("scheduler_lr_factor", is_number, "a number above 0, like 3"),
    "steps": ("scheduler_steps", is_whole, "a whole number of batches, or 0"),
}


def check_types(**options: Any) -> None:
    """Refuse options of a learned lookahead that are of another type.

    What their ranges are is for ``DynamicLookahead`` to say.

    Args:
        options: By the names of its arguments; one that is not listed here is left to
            whom it goes to.

    Raises:
        ValueError: names the key of the configuration, the value, and what to write.
    """
    for name, value in options.items():
        if name in _OPTIONS:
            key, fits, wanted = _OPTIONS[name]
            if not fits(value):
                raise ValueError(f"{key}={value!r} must be {wanted}")
