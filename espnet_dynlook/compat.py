"""What differs between the supported ESPnet versions, and what importing them takes.

Every other file asks here; features are detected, versions are never compared.
"""

import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


def espnet_nets(module: str) -> Any:
    """Return ESPnet's ``nets`` module of that name, wherever this version has it.

    Args:
        module: Dotted name below ``nets``, such as
            ``pytorch_backend.transformer.attention``.

    Raises:
        ModuleNotFoundError: ESPnet has no such module, or is not installed.
    """
    name = "espnet2.legacy.nets"
    if importlib.util.find_spec("espnet2.legacy") is None:
        name = "espnet.nets"  # ESPnet 202511 and before
    with espnet_imports():
        return importlib.import_module(f"{name}.{module}")


def accepts_keyword(function: Callable[..., Any], keyword: str) -> bool:
    """Say whether a function or class can be called with that keyword."""
    return keyword in inspect.signature(function).parameters


class _OfflineG2p(ModuleType):
    """Stands for ``g2p_en`` until one of its names is used, then becomes it.

    Importing g2p_en loads NLTK and inflect (seconds) and calls ``nltk.download``: a
    recogniser must not open connections behind its user's back, and offline the call
    stalls. ``importlib.util.LazyLoader`` would not do, since torch looks at the dunder
    names of every module, which loads it.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        import nltk

        nltk.download = lambda *args, **kwargs: False
        del sys.modules["g2p_en"]
        real = importlib.import_module("g2p_en")
        self.__dict__.update(real.__dict__)
        return getattr(real, name)


def _without_typeguard(target: Any = None, **options: Any) -> Any:
    return target if target is not None else (lambda function: function)


@contextlib.contextmanager
def espnet_imports() -> Iterator[None]:
    """Import ESPnet inside this: no network, and in a third of the time.

    * ``g2p_en``, which ESPnet 202511 imports with every task, is loaded at its first
      use and cannot download (see above).
    * ESPnet's ``@typechecked`` recompiles hundreds of functions at import, ten seconds
      in every command. What it protects against, a wrong type in a configuration, is
      found by ``espnet_dynlook.config`` before anything is built.
    * What it prints then ("Failed to import Flash Attention") goes to standard error:
      standard output is for what a command was asked for.
    """
    if "g2p_en" not in sys.modules:
        spec = importlib.util.find_spec("g2p_en")
        if spec is not None:
            sys.modules["g2p_en"] = _OfflineG2p("g2p_en")
            sys.modules["g2p_en"].__spec__ = spec
    import typeguard

    typechecked = typeguard.typechecked
    typeguard.typechecked = _without_typeguard
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        typeguard.typechecked = typechecked
