"""Put a function in the place of one that ESPnet calls, for a while."""

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def substitute(module: Any, **replacements: Any) -> Iterator[None]:
    """Rebind names of a module (or object) inside a ``with`` block.

    ESPnet's trainer and programs are long functions that call each other by the names
    in their module; this changes one call without a copy of the function.

    Args:
        module: Whose names to rebind.
        replacements: Name and what it stands for inside the block.
    """
    before = {name: getattr(module, name) for name in replacements}
    try:
        for name, value in replacements.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
