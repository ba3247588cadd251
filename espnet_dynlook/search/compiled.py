"""Compiles functions, and keeps what was compiled while none of their files changes.

``numba.njit(cache=True)`` looks for changes in the file of the function itself. What it
calls, and the constants that it reads, may stand in another file: after a change there
numba would go on with the code that it kept.
"""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable)


def sources() -> str:
    """Return a digest of this file and of those beside it with compiled functions."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content = path.read_bytes()
        marks = (b"\n@compiled\n", b"\n@bare\n")
        if path.samefile(__file__) or any(mark in content for mark in marks):
            digest.update(content)
    return digest.hexdigest()


SOURCES = sources()


class _Cache(FunctionCache):
    """Numba's cache, whose key has all files that a function may depend on."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        return (*super()._index_key(sig, codegen), SOURCES)

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super()._load_overload(sig, target_context)
        except (AttributeError, EOFError, ImportError, pickle.UnpicklingError):
            # Kept by a version whose types had other names, or cut short.
            self.flush()
            return None


def compiled(function: F) -> F:
    """Compile a function when it is first called; what was compiled is kept on disk.

    It may call compiled functions of this folder, and read constants of their files.
    """
    return _kept(numba.njit(function), function)


def bare(function: F) -> F:
    """Compile, as ``compiled`` does, a function that makes no array and returns none.

    Numba counts who holds an array, with an atomic instruction wherever one gets a name
    or is handed on, and hands on every number of its description: together more than
    half of the time of inner loops whose steps are short. What only fills the arrays
    that it is given needs no counts, and is written out where it is called.
    """
    options: Any = {"_nrt": False, "forceinline": True}  # numba's own names for it
    return _kept(numba.njit(**options)(function), function)


def _kept(dispatcher: Any, function: Callable) -> Any:
    dispatcher._cache = _Cache(function)  # as enable_caching() does, with its own
    return dispatcher
