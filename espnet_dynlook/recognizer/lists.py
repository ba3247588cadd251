"""Lists of names as people give them, made ready for streams and kept."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import check_list
from espnet_dynlook.biasing.tokenizers import Tokenizer, build_tokenizer
from espnet_dynlook.model.adapting import encode_catalog
from espnet_dynlook.search.incremental import Search
from espnet_dynlook.streaming.names import Names

#: Lists that are kept between requests.
KEPT = 32
SHOWN = 5


class NameLists:
    """Makes of lists of names what streams need; the same list again costs nothing.

    Args:
        token_list: The model's tokens.
        token_type: char, bpe or word.
        bpemodel: File of sentencepiece, for bpe; it is read now.
        plain: What the search knows before the first frame, without names.
        begin: What it knows then, told of a list; None: it takes no lists.
        adapter: None: none.
        refusal: Why names have no effect at all, and what to change; "": they have.
    """

    def __init__(
        self,
        token_list: Sequence[str],
        token_type: str,
        bpemodel: str | Path | None,
        plain: Search,
        begin: Callable[[Catalog], Search] | None,
        adapter: ContextualAdapter | None,
        refusal: str = "",
    ):
        self.token_list = tuple(token_list)
        self.none = Names(plain)
        self._begin, self._adapter, self._refusal = begin, adapter, refusal
        self._tokenizer: Tokenizer | ValueError
        try:
            self._tokenizer = build_tokenizer(token_list, token_type, bpemodel)
        except ValueError as error:  # whoever has no names needs none
            self._tokenizer = error
        self._kept: dict[Any, Names] = {}

    def catalog(self, names: Any, **options: Any) -> Catalog:
        """Return a list of names in the model's tokens.

        Args:
            names: Phrases as ``Catalog`` takes them, or the path of a file.
            options: Of ``Catalog``.

        Raises:
            ValueError: the file is none, or the model's tokenizer is not there.
            CatalogError: ``strict``, and some phrase cannot be used.
        """
        if isinstance(self._tokenizer, ValueError):
            raise ValueError(
                f"names cannot be written in the tokens of this model: "
                f"{self._tokenizer}"
            )
        if isinstance(names, str | Path):
            path = _file(names)
            return Catalog.from_file(path, self._tokenizer, self.token_list, **options)
        return Catalog(names, self._tokenizer, self.token_list, **options)

    def check(self) -> None:
        """Refuse names where they would have no effect.

        Raises:
            ValueError: says what to change.
        """
        if self._refusal:
            raise ValueError(self._refusal)

    def __call__(self, names: Any, warn: bool = True) -> Names:
        """Return a list for streams.

        Args:
            names: A catalog, phrases, the path of a file, or None.
            warn: Say what of it cannot be used, once.

        Raises:
            TypeError: it is no list, but a mapping.
            ValueError: it has names, and they would have no effect; or as ``catalog``.
        """
        if names is None:
            return self.none
        if not isinstance(names, Catalog | str | Path):
            check_list(names)
            names = list(names)
        if isinstance(names, Catalog):
            names = names.for_tokens(self.token_list)
        key = _key(names)
        found = None if key is None else self._kept.pop(key, None)
        if found is None:
            found = self._made(names, warn)
        if key is not None:
            self._kept[key] = found  # the last one used stands last
            for old in list(self._kept)[:-KEPT]:
                self._kept.pop(old, None)
        return found

    def _made(self, names: Any, warn: bool) -> Names:
        own = names if isinstance(names, Catalog) else self.catalog(names)
        own = own.for_tokens(self.token_list)
        if own.unusable and warn:
            shown = "; ".join(map(str, own.unusable[:SHOWN]))
            more = len(own.unusable) - SHOWN
            logging.warning(
                "%d phrases of a list of names cannot be used (%d entries can): %s%s",
                len(own.unusable),
                len(own),
                shown,
                f"; and {more} more: see Recognizer.catalog(...).report()"
                if more > 0
                else "",
            )
        if not len(own):
            return self.none
        self.check()
        encoded = None
        if self._adapter is not None:
            with torch.no_grad():
                encoded = encode_catalog(self._adapter, own, self.token_list)
        if self._begin is None:
            return Names(self.none.search, None, encoded)
        return Names(self._begin(own), own, encoded)


def lists_for(names: Any, number: int) -> list[Any]:
    """Return the list of each utterance or stream.

    Args:
        names: One list for all; or a list or tuple of lists, one for each. Within
            those, what is no text and no tuple is a list: None, a list, a catalog, a
            ``Path``.
        number: Of utterances.

    Raises:
        ValueError: there are lists for another number, or phrases between lists.
    """
    if names is None or isinstance(names, Catalog | Mapping | str | Path):
        return [names] * number
    names = list(names)
    several = [not isinstance(one, str | tuple) for one in names]
    if not any(several):
        return [names] * number
    if not all(several):
        at = several.index(False)
        raise ValueError(
            f"names[{at}]={names[at]!r} is a phrase, and others are lists: give "
            "one list of phrases for all, or a list for each"
        )
    if len(names) != number:
        raise ValueError(
            f"{len(names)} lists of names for {number} utterances: give one for each, "
            "or one list of phrases for all"
        )
    return list(names)


def _file(path: str | Path) -> Path:
    """Return the path of a file of names.

    Raises:
        ValueError: there is none.
    """
    if not Path(path).is_file():
        raise ValueError(
            f"names={str(path)!r} is no file: give the path of one with a phrase a "
            "line, or a list of phrases"
        )
    return Path(path)


def _key(names: Any) -> Any:
    """Return what a list is kept under; None where it cannot be told from others.

    Args:
        names: The path of a file, phrases, or a catalog for the model's tokens.
    """
    if isinstance(names, str | Path):
        path = _file(names)
        status = path.stat()
        return str(path.resolve()), status.st_ino, status.st_mtime_ns, status.st_size
    if isinstance(names, Catalog):  # equal ones may be said in other ways
        return Catalog, names, names.pronouncer
    key = tuple(map(_frozen, names))
    try:
        hash(key)
    except TypeError:
        return None
    return tuple, key


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
