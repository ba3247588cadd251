# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The list of names that each utterance of a decoding command is decoded with."""

import argparse
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from espnet_dynlook import config
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import CatalogError, Unusable, in_one_line
from espnet_dynlook.biasing.lists import ListError, read_lists


class NameLists:
    """The catalog that an utterance is decoded with.

    Args:
        args: Checked options.
        tokenizer: Of the model.
        token_list: Of the model.

    Attributes:
        one: The list of all utterances; None: each has its own, or there is none.

    Raises:
        ConfigError: a file cannot be read.
    """

    def __init__(self, args: argparse.Namespace, tokenizer: Any, token_list: Any):
        self._tokenizer, self._token_list = tokenizer, token_list
        self.one: Catalog | None = None
        self._lists: Mapping[str, tuple[str, ...]] | None = None
        self._kept: tuple[tuple[str, ...], Catalog] | None = None
        self._path = args.biasing_lists
        strict = args.strict_names
        self._unusable: dict[str, Unusable] = {}
        if (args.catalog or args.biasing_lists) and tokenizer is None:
            raise config.ConfigError(
                "names need the tokenizer of the model, and there is none: give "
                "--token_type, and --bpemodel for pieces"
            )
        if args.catalog:
            try:
                self.one = Catalog.from_file(
                    args.catalog, tokenizer, token_list, strict=strict
                )
            except CatalogError as error:
                raise config.ConfigError(f"--strict_names: {error}") from None
        if args.biasing_lists:
            try:
                lists = read_lists(args.biasing_lists)
            except ListError as error:
                raise config.ConfigError(str(error)) from None
            self._lists = {utt: one.phrases for utt, one in lists.items()}
            if strict:
                self._check_all()

    def __bool__(self) -> bool:
        """Tell whether there are names at all."""
        return self.one is not None or self._lists is not None

    def check(self, keys: Iterable[str]) -> None:
        """Refuse utterances without a list.

        Raises:
            ConfigError: names the first.
        """
        if self._lists is None:
            return
        missing = [key for key in keys if key not in self._lists]
        if missing:
            raise config.ConfigError(
                f"--biasing_lists {self._path}: {len(missing)} utterances have no "
                f"list, the first is {missing[0]}; an empty one is []"
            )

    def _check_all(self) -> None:
        """Refuse phrases that cannot be used, of all lists.

        Raises:
            ConfigError: names the first ones.
        """
        assert self._lists is not None
        places: dict[str, str] = {}
        for utt, phrases in self._lists.items():
            for number, phrase in enumerate(phrases, 1):
                places.setdefault(phrase, f"{utt}, phrase {number}")
        every = Catalog(
            list(places), self._tokenizer, self._token_list, segmentations=1
        )
        if every.unusable:
            faults = [replace(x, place=places[x.written]) for x in every.unusable]
            raise config.ConfigError(
                f"--strict_names: --biasing_lists {self._path}: {CatalogError(faults)}"
            )

    def __call__(self, key: str) -> Catalog | None:
        """Return the list of an utterance; None: no names."""
        if self._lists is None:
            return self.one
        self.check([key])
        phrases = self._lists[key]
        if self._kept is None or self._kept[0] != phrases:
            catalog = Catalog(phrases, self._tokenizer, self._token_list)
            self._kept = phrases, catalog
            for one in catalog.unusable:
                place = f"{key}, {one.place}"
                self._unusable.setdefault(one.written, replace(one, place=place))
        return self._kept[1]

    def warn_of_unusable(self) -> None:
        """Say which phrases of the lists that were asked for could not be used."""
        if self._unusable:
            logging.warning(
                f"--biasing_lists {self._path}: {len(self._unusable)} phrases cannot "
                f"be used: {in_one_line([*self._unusable.values()])}"
            )


def checked_lists(
    args: argparse.Namespace,
    tokenizer: Any,
    token_list: Any,
    refuse: Callable[[], None],
) -> NameLists:
    """Return the lists of names, checked before anything is decoded.

    What each phrase of ``--catalog`` became is written to ``names_report``.

    Args:
        args: Checked options.
        tokenizer: Of the model.
        token_list: Of the model.
        refuse: Raises ValueError if names would do nothing.

    Raises:
        ConfigError: a file cannot be read, an utterance has no list, or names would do
            nothing.
    """
    lists = NameLists(args, tokenizer, token_list)
    if args.key_file is not None:
        with open(args.key_file, encoding="utf-8") as file:
            lists.check(line.split(maxsplit=1)[0] for line in file if line.strip())
    if lists:
        try:
            refuse()
        except ValueError as error:
            raise config.ConfigError(str(error)) from error
    if lists.one is not None:
        report = lists.one.report()
        for unusable in report.unusable:
            logging.warning(f"not used: {unusable}")
        folder = Path(args.output_dir, "1best_recog")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "names_report").write_text(f"{report}\n", encoding="utf-8")
    return lists


def used(catalog: Catalog) -> str:
    """Return a line of ``names_used``: entries, and phrases that cannot be used."""
    return f"{len(catalog)} {len(catalog.unusable)}"
