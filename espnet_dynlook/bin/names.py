# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Options of decoding with names, and the list that each utterance is decoded with."""

import argparse
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook import config
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import Unusable, in_one_line
from espnet_dynlook.biasing.lists import ListError, read_lists
from espnet_dynlook.bin.named_search import CTCDecoding, ESPnetBias
from espnet_dynlook.bin.speech2text import AdapterFiles
from espnet_dynlook.search.techniques import Techniques

#: In place of a file of techniques: none of them.
NONE = "none"
_OF_NGRAM = ("word_ngram", "word_ngram_weight", "word_insertion", "word_unknown")
_OF_CTC_BEAM = ("techniques", *_OF_NGRAM)
#: ESPnet's options that the CTC beam search has nothing for.
_OF_ESPNET = ("lm_train_config", "lm_file", "word_lm_train_config", "word_lm_file")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to ESPnet's."""
    group = parser.add_argument_group("Names")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--catalog", help="list for all utterances: a phrase a line")
    one.add_argument(
        "--biasing_lists", help="lists by utterance, in the benchmark's four columns"
    )
    group.add_argument(
        "--adapter_train_config", help="config.yaml of the training of an adapter"
    )
    group.add_argument("--adapter_model_file", help="parameters of the adapter")
    group.add_argument(
        "--adapter_scale", type=float, default=1.0, help="what its bias is times"
    )
    group.add_argument(
        "--biasing_bonus",
        type=float,
        help="of each token of a name in --decoding espnet, in nats; if not given, "
        f"{ESPnetBias.bonus}; 0: the adapter alone",
    )
    group.add_argument(
        "--techniques",
        help="YAML file of techniques of --decoding ctc_beam; boosting alone if it is "
        f"not given; {NONE}: no technique",
    )
    group = parser.add_argument_group("Language model of --decoding ctc_beam")
    group.add_argument("--word_ngram", help="n-gram of words: ARPA, or KenLM's binary")
    group.add_argument("--word_ngram_weight", type=float, help="0.5 if not given")
    group.add_argument("--word_insertion", type=float, help="for each word, in nats")
    group.add_argument(
        "--word_unknown",
        type=float,
        help="for each word that the n-gram does not know, in nats; -10 if not given",
    )


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, before a model is loaded.

    Raises:
        ConfigError: which do not, and what to do.
    """
    faults = []
    files = (args.adapter_train_config, args.adapter_model_file)
    if any(files) and not all(files):
        faults.append(
            "--adapter_train_config and --adapter_model_file go together: give both"
        )
    if args.decoding != "ctc_beam":
        for name in _OF_CTC_BEAM:
            if getattr(args, name) is not None:
                faults.append(
                    f"--{name} is of --decoding ctc_beam, not of {args.decoding}"
                )
    else:
        for name in _OF_ESPNET:
            if getattr(args, name, None):
                faults.append(
                    f"--{name} is of --decoding espnet: ctc_beam has --word_ngram, or "
                    "--ngram_file of tokens"
                )
    if args.biasing_bonus is not None and args.decoding != "espnet":
        faults.append(
            f"--biasing_bonus is of --decoding espnet, not of {args.decoding}"
        )
    for name in ("word_ngram_weight", "word_unknown"):
        if getattr(args, name) is not None and not args.word_ngram:
            faults.append(f"--{name} goes with --word_ngram")
    for name in ("catalog", "biasing_lists", *("adapter_train_config",) * any(files)):
        path = getattr(args, name)
        if path and not Path(path).is_file():
            faults.append(f"--{name} {path}: no such file")
    if (args.enh_s2t_task or args.multi_asr) and (
        args.catalog or args.biasing_lists or any(files)
    ):
        faults.append(
            "names go with one speaker an utterance: not with --enh_s2t_task or "
            "--multi_asr"
        )
    if faults:
        raise config.ConfigError("\n".join(faults))


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
        given = {
            name: getattr(args, name)
            for name in _OF_NGRAM
            if getattr(args, name) is not None
        }
        if args.ngram_file:
            given["token_ngram"] = args.ngram_file
            given["token_ngram_weight"] = args.ngram_weight
        found["ctc_beam"] = CTCDecoding(read_techniques(args.techniques), **given)
    return found


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
        self._unusable: dict[str, Unusable] = {}
        if (args.catalog or args.biasing_lists) and tokenizer is None:
            raise config.ConfigError(
                "names need the tokenizer of the model, and there is none: give "
                "--token_type, and --bpemodel for pieces"
            )
        if args.catalog:
            self.one = Catalog.from_file(args.catalog, tokenizer, token_list)
        if args.biasing_lists:
            try:
                lists = read_lists(args.biasing_lists)
            except ListError as error:
                raise config.ConfigError(str(error)) from None
            self._lists = {utt: one.phrases for utt, one in lists.items()}

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
