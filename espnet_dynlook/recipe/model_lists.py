"""Lists of names of a set as a model spells them, checked against what is said there.

Names are searched for, and scored, letter by letter: lists in another case than a
model's tokens would never match what it recognises, and nothing would say so.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import in_one_line
from espnet_dynlook.biasing.lists import BiasingList, read_lists, spelled
from espnet_dynlook.biasing.spelling import Spelling
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recipe.data_dir import DataError, list_faults, read_text
from espnet_dynlook.recipe.held_out import CTCModel

Lists = dict[str, BiasingList]


def read_model_lists(
    trained: CTCModel, data: str, utts: Iterable[str], paths: Iterable[str]
) -> dict[str, Lists]:
    """Read files of lists, spelled as a model's tokens are; by path, then utterance.

    What the lists say is compared with ``text`` beside the data, where there is one.
    Phrases that the tokens cannot write are warned of once, all files together.

    Args:
        trained: The model, with its tokenizer.
        data: ``PATH,speech,TYPE``.
        utts: The utterances of it; lists of others are left out.
        paths: Of the files.

    Raises:
        ConfigError: a file is missing or faulty, has no list of an utterance or
            nothing but empty ones, or says something else than the data.
    """
    utts, paths = list(utts), list(dict.fromkeys(paths))
    spelling = Spelling(trained.model.token_list)
    found: dict[str, Lists] = {}
    places: dict[str, str] = {}
    try:
        for path in paths:
            lists = read_lists(path)
            missing = [utt for utt in utts if utt not in lists]
            if missing:
                raise ConfigError(f"{path}: no list of {missing[0]}")
            lists = {utt: lists[utt] for utt in utts}
            if not any(one.phrases for one in lists.values()):
                raise ConfigError(
                    f"{path}: no phrase in any list of these utterances: nothing could "
                    "be found of it"
                )
            for utt, one in lists.items():
                for phrase in one.phrases:
                    places.setdefault(phrase, f"{path}, {utt}")
            found[path] = spelled(lists, spelling)
        _compare(found, Path(data.partition(",")[0]).parent / "text", spelling)
    except (OSError, ValueError, DataError) as error:
        raise ConfigError(str(error)) from None
    _warn_of_unusable(trained, places)
    return found


def _compare(found: dict[str, Lists], text: Path, spelling: Spelling) -> None:
    """Refuse lists that say something else than the transcripts."""
    if not text.is_file():
        return
    said = {utt: spelling(line) for utt, line in read_text(text).items()}
    faults = [
        f"{path}: {utt} says {one.text!r}, and {text} {said[utt]!r}: make lists of "
        "this set"
        for path, lists in found.items()
        for utt, one in lists.items()
        if one.text != said.get(utt, one.text)
    ]
    if faults:
        raise ConfigError(list_faults(faults))


def _warn_of_unusable(trained: CTCModel, places: dict[str, str]) -> None:
    """Say how many phrases can never be recognised, and why the first ones cannot."""
    tokens = trained.model.token_list
    catalog = Catalog(sorted(places), trained.tokenizer, tokens, segmentations=1)
    if catalog.unusable:
        shown = [replace(one, place=places[one.written]) for one in catalog.unusable]
        logging.warning(
            f"{len(shown)} phrases of the lists cannot be written in the model's "
            f"tokens and are never recognised: {in_one_line(shown)}"
        )
