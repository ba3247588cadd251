"""Compiles functions, and keeps what was compiled while none of their files changes.

``numba.njit(cache=True)`` looks for changes in the file of the function itself. What it
calls, and the constants that it reads, may stand in another file: after a change there
numba would go on with the code that it kept.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable)


def sources() -> str:
    """Return a digest of the files beside this one that have compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content = path.read_bytes()
        if b"\n@compiled\n" in content:
            digest.update(content)
    return digest.hexdigest()


SOURCES = sources()


class _Cache(FunctionCache):
    """Numba's cache, whose key has all files that a function may depend on."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        return (*super()._index_key(sig, codegen), SOURCES)


def compiled(function: F) -> F:
    """Compile a function when it is first called; what was compiled is kept on disk.

    It may call compiled functions of this folder, and read constants of their files.
    """
    dispatcher: Any = numba.njit(function)
    dispatcher._cache = _Cache(function)  # as enable_caching() does, with its own
    return dispatcher
