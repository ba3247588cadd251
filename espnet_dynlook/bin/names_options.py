# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What the command line says of names: a list, an adapter, techniques."""

import argparse
from pathlib import Path
from typing import Any

from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer.searching import BEAM
from espnet_dynlook.search.ngram import NgramLM, load_ngram

#: Checkpoints of an adapter's training, the best first.
CHECKPOINTS = ("valid.loss.ave.pth", "valid.loss.best.pth")


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
    group.add_argument("--lm_weight", type=float, default=NgramLM.weight)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of ``Recognizer.from_files`` for what the arguments say.

    Raises:
        ConfigError: they name an adapter twice, or a folder without one; or the
            language model cannot be read.
    """
    lm = None
    if args.lm is not None:
        try:
            lm = NgramLM(load_ngram(args.lm), args.lm_weight)
        except ValueError as error:
            raise ConfigError(f"--lm: {error}") from error
    config, file = args.adapter_config, args.adapter_file
    if args.adapter is not None:
        if config is not None or file is not None:
            raise ConfigError(
                "give --adapter DIR, or --adapter_config with --adapter_file"
            )
        config, file = _files_in(Path(args.adapter))
    beam = args.beam
    acts = config is not None or args.techniques is not None or lm is not None
    if beam is None and args.names is not None and not acts:
        beam = BEAM  # nothing else would make names count
    return {
        "beam": beam,
        "adapter_config": config,
        "adapter_file": file,
        "adapter_scale": args.adapter_scale,
        "techniques": args.techniques,
        "lm": lm,
    }


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
