# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Options of decoding with names, and what they ask for."""

import argparse
import math
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook import config
from espnet_dynlook.bin.named_search import CTCDecoding, ESPnetBias
from espnet_dynlook.bin.names_options import warn_without_names
from espnet_dynlook.bin.speech2text import AdapterFiles
from espnet_dynlook.search.techniques import Techniques

#: In place of a file of techniques: none of them.
NONE = "none"
_OF_WORDS = ("word_ngram_weight", "word_unknown", "word_unknown_length")
_OF_NGRAM = ("word_ngram", "word_insertion", *_OF_WORDS)
_OF_CTC_BEAM = ("techniques", *_OF_NGRAM)
#: What this adds to the options of a command, but for ``--biasing_bonus``.
OPTIONS = (
    *("catalog", "biasing_lists", "strict_names", "adapter_train_config"),
    *("adapter_model_file", "adapter_scale", *_OF_CTC_BEAM),
)
#: ESPnet's options that the CTC beam search has nothing for.
_OF_ESPNET = ("lm_train_config", "lm_file", "word_lm_train_config", "word_lm_file")


def add_options(
    parser: argparse.ArgumentParser, search: str = "ctc_beam", espnet: bool = True
) -> None:
    """Add the options to ESPnet's.

    Args:
        parser: Of a command.
        search: What ``--decoding`` calls the beam search of a CTC head there.
        espnet: Whether ESPnet's own beam search is one of its decodings.
    """
    group = parser.add_argument_group("Names")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--catalog", help="list for all utterances: a phrase a line")
    one.add_argument(
        "--biasing_lists", help="lists by utterance, in the benchmark's four columns"
    )
    group.add_argument(
        "--strict_names",
        action="store_true",
        help="stop if some name cannot be used, instead of leaving it out",
    )
    group.add_argument(
        "--adapter_train_config", help="config.yaml of the training of an adapter"
    )
    group.add_argument("--adapter_model_file", help="parameters of the adapter")
    group.add_argument(
        "--adapter_scale", type=float, default=1.0, help="what its bias is times"
    )
    if espnet:
        group.add_argument(
            "--biasing_bonus",
            type=float,
            help="of each token of a name in --decoding espnet, in nats; if not given, "
            f"{ESPnetBias.bonus}; 0: the adapter alone",
        )
    group.add_argument(
        "--techniques",
        help=f"YAML file of techniques of --decoding {search}; boosting alone if it is "
        f"not given; {NONE}: no technique",
    )
    group = parser.add_argument_group(f"Language model of --decoding {search}")
    group.add_argument("--word_ngram", help="n-gram of words: ARPA, or KenLM's binary")
    group.add_argument("--word_ngram_weight", type=float, help="0.5 if not given")
    group.add_argument("--word_insertion", type=float, help="for each word, in nats")
    group.add_argument(
        "--word_unknown",
        type=float,
        help="for each word that the n-gram does not know, in nats; -10 if not given",
    )
    group.add_argument(
        "--word_unknown_length",
        type=float,
        help="for each character of such a word, in nats; 0 if not given; below 0, "
        "known words do not run together in an unknown one",
    )


def check(args: argparse.Namespace, search: str = "ctc_beam") -> None:
    """Refuse options that do not go together, before a model is loaded.

    Args:
        args: Of a command.
        search: What ``--decoding`` calls the beam search of a CTC head there.

    Raises:
        ConfigError: which do not, and what to do.
    """
    faults = []
    files = (args.adapter_train_config, args.adapter_model_file)
    if any(files) and not all(files):
        faults.append(
            "--adapter_train_config and --adapter_model_file go together: give both"
        )
    if not (math.isfinite(args.adapter_scale) and args.adapter_scale >= 0):
        faults.append(f"--adapter_scale {args.adapter_scale} must be 0 or more")
    if args.decoding != search:
        for name in _OF_CTC_BEAM:
            if getattr(args, name) is not None:
                faults.append(
                    f"--{name} is of --decoding {search}, not of {args.decoding}"
                )
    else:
        for name in _OF_ESPNET:
            if getattr(args, name, None):
                faults.append(
                    f"--{name} is of --decoding espnet: ctc_beam has --word_ngram, or "
                    "--ngram_file of tokens"
                )
    bonus = getattr(args, "biasing_bonus", None)
    if bonus is not None and args.decoding != "espnet":
        faults.append(
            f"--biasing_bonus is of --decoding espnet, not of {args.decoding}"
        )
    for name in _OF_WORDS:
        if getattr(args, name) is not None and not args.word_ngram:
            faults.append(f"--{name} goes with --word_ngram")
    if args.word_insertion and not (
        args.word_ngram or getattr(args, "ngram_file", None)
    ):
        faults.append(
            f"--word_insertion {args.word_insertion:g} goes with an n-gram, and there "
            "is none: give --word_ngram"
        )
    for name in ("word_unknown", "word_unknown_length"):
        value = getattr(args, name)
        if args.word_ngram and args.word_ngram_weight == 0 and value:
            faults.append(
                f"--{name} {value:g} has no effect with --word_ngram_weight 0, which "
                "it is multiplied by"
            )
    lists = args.catalog or args.biasing_lists
    if args.strict_names and not lists:
        faults.append("--strict_names goes with --catalog or --biasing_lists")
    for name in ("catalog", "biasing_lists", *("adapter_train_config",) * any(files)):
        path = getattr(args, name)
        if path and not Path(path).is_file():
            faults.append(f"--{name} {path}: no such file")
    several = getattr(args, "enh_s2t_task", False) or getattr(args, "multi_asr", False)
    if several and (lists or any(files)):
        faults.append(
            "names go with one speaker an utterance: not with --enh_s2t_task or "
            "--multi_asr"
        )
    if faults:
        raise config.ConfigError("\n".join(faults))
    if not lists:
        options = ("techniques", "adapter_model_file", "biasing_bonus")
        warn_without_names(args, options, "--catalog or --biasing_lists")


def read_techniques(path: str | Path | None) -> Techniques:
    """Read a file of techniques; None: those that are on by default.

    Raises:
        ConfigError: it cannot be read, or has wrong keys.
    """
    if path is None:
        return Techniques()
    if str(path) == NONE:
        return Techniques(boosting=None)
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return Techniques.from_mapping(found)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise config.ConfigError(f"--techniques {path}: {error}") from None


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return arguments of ``Speech2Text`` from checked options; ``check`` goes before.

    Raises:
        ConfigError: a file of techniques is wrong.
    """
    found: dict[str, Any] = {
        "decoding": args.decoding,
        "adapter_scale": args.adapter_scale,
    }
    if args.adapter_model_file:
        found["adapter"] = AdapterFiles(
            args.adapter_train_config, args.adapter_model_file
        )
    if args.biasing_bonus is not None:
        found["biasing_bonus"] = args.biasing_bonus
    if args.decoding == "ctc_beam":
        found["ctc_beam"] = ctc_decoding_of(args)
    return found


def ctc_decoding_of(args: argparse.Namespace) -> CTCDecoding:
    """Return the options of the CTC beam search.

    Raises:
        ConfigError: a file of techniques is wrong.
    """
    given = {
        name: getattr(args, name)
        for name in _OF_NGRAM
        if getattr(args, name) is not None
    }
    if getattr(args, "ngram_file", None):
        given["token_ngram"] = args.ngram_file
        given["token_ngram_weight"] = args.ngram_weight
    return CTCDecoding(read_techniques(args.techniques), **given)
