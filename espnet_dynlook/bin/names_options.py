# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What the command line says of names: a list, an adapter, techniques."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import read_phrase_file
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.recognizer.searching import BEAM
from espnet_dynlook.search.ngram import NgramLM, load_ngram

#: Checkpoints of an adapter's training, the best first.
CHECKPOINTS = ("valid.loss.ave.pth", "valid.loss.best.pth")
#: Options of the language model, by what ``NgramLM`` calls them.
_OF_LM = {
    "lm_weight": "weight",
    "word_insertion": "word_insertion",
    "word_unknown": "unknown",
    "word_unknown_length": "unknown_length",
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    group = command.add_argument_group("names")
    group.add_argument(
        "--names",
        metavar="FILE",
        help="to be recognised, one a line; then, after tabs, a weight and "
        "pronunciations",
    )
    group.add_argument(
        "--strict_names",
        action="store_true",
        help="stop if some name cannot be used, instead of leaving it out",
    )
    group.add_argument(
        "--adapter", metavar="DIR", help="folder of an adapter's training"
    )
    group.add_argument("--adapter_config", help="or its configuration")
    group.add_argument("--adapter_file", help="and its checkpoint")
    group.add_argument("--adapter_scale", type=float, default=1.0)
    group.add_argument(
        "--techniques", metavar="FILE", help="of the decoder, and their keys (YAML)"
    )
    group.add_argument(
        "--lm", metavar="FILE", help="n-gram model of words: ARPA, or KenLM's binary"
    )
    group.add_argument(
        "--lm_weight", type=float, help=f"of --lm; {NgramLM.weight} if not given"
    )
    group.add_argument(
        "--word_insertion", type=float, help="with --lm: for each word, in nats"
    )
    group.add_argument(
        "--word_unknown",
        type=float,
        help="with --lm: for each word that it does not know, in nats; "
        f"{NgramLM.unknown:g} if not given",
    )
    group.add_argument(
        "--word_unknown_length",
        type=float,
        help="with --lm: for each character of such a word, in nats; 0 if not given",
    )


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of ``Recognizer.from_files`` for what the arguments say.

    Raises:
        ConfigError: they name an adapter twice, or a folder without one; the language
            model cannot be read, or has options and is not there.
    """
    if args.strict_names and args.names is None:
        raise ConfigError("--strict_names goes with --names FILE")
    lm = _language_model(args)
    if args.names is None:
        warn_without_names(args, ("techniques", "adapter", "adapter_file"), "--names")
    config, file = args.adapter_config, args.adapter_file
    if args.adapter is not None:
        if config is not None or file is not None:
            raise ConfigError(
                "give --adapter DIR, or --adapter_config with --adapter_file"
            )
        config, file = _files_in(Path(args.adapter))
    beam = args.beam
    acts = config is not None or args.techniques is not None or lm is not None
    if beam is None and not acts and _has_names(args.names):
        beam = BEAM  # nothing else would make names count
    return {
        "beam": beam,
        "adapter_config": config,
        "adapter_file": file,
        "adapter_scale": args.adapter_scale,
        "techniques": args.techniques,
        "lm": lm,
    }


def warn_without_names(
    args: argparse.Namespace, options: Sequence[str], where: str
) -> None:
    """Say which options are given that act on names alone, and there are none."""
    given = [name for name in options if getattr(args, name, None) is not None]
    if given:
        logging.warning(
            f"--{' and --'.join(given)}: nothing is done without names: give {where}"
        )


def names_of(args: argparse.Namespace, recognizer: Recognizer) -> Catalog | str | None:
    """Return the list that the arguments name, for ``Recognizer.transcribe``.

    Raises:
        ConfigError: ``--strict_names``, and some name cannot be used; or no such file.
    """
    if not args.strict_names:
        found: str | None = args.names
        return found
    try:
        return recognizer.catalog(args.names, strict=True)
    except ValueError as error:
        raise ConfigError(f"--strict_names: {error}") from error


def _has_names(path: str | None) -> bool:
    """Tell whether a file has any; one that is not there is told of later."""
    return path is not None and (
        not Path(path).is_file() or bool(read_phrase_file(path)[0])
    )


def _language_model(args: argparse.Namespace) -> NgramLM | None:
    """Return the language model of the arguments.

    Raises:
        ConfigError: it cannot be read, or has options and is not there.
    """
    given = {name: getattr(args, name) for name in _OF_LM}
    given = {name: value for name, value in given.items() if value is not None}
    if args.lm is None:
        if given:
            raise ConfigError(
                f"--{' and --'.join(given)}: of a language model, and there is none: "
                "give --lm FILE"
            )
        return None
    try:
        options = {_OF_LM[name]: value for name, value in given.items()}
        return NgramLM(load_ngram(args.lm), **options)
    except ValueError as error:
        raise ConfigError(f"--lm: {error}") from error


def _files_in(folder: Path) -> tuple[Path, Path]:
    """Return configuration and checkpoint of an adapter.

    Raises:
        ConfigError: the folder has none.
    """
    found = [folder / name for name in CHECKPOINTS if (folder / name).is_file()]
    config = folder / "config.yaml"
    if not found or not config.is_file():
        raise ConfigError(
            f"--adapter {folder} has no config.yaml with {' or '.join(CHECKPOINTS)}: "
            "give the folder of an adapter's training, or --adapter_config with "
            "--adapter_file"
        )
    return config, found[0]
