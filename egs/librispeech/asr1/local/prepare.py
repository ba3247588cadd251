#!/usr/bin/env python3
"""Prepare data directories from any subset of LibriSpeech's parts.

Training parts become one set (train-clean-100 gives data/train_clean_100; train-960
stands for all three), every test part its own (data/test_other).
data/dev is dev-clean and dev-other together, as in ESPnet, or whichever of them there
is. Where there is neither, data/dev is held out from training with a seed:

* 8 % of the chapters, if there are at least 25 chapters;
* else 8 % of the utterances of every chapter (at least one). Speakers and books of
  data/dev are then those of training: it can choose a checkpoint, no more.

Without --librispeech, the parts (and the two dev parts) are fetched from openslr.org.
"""

import argparse
import sys
from pathlib import Path

from download import SHA256, download_parts
from librispeech import hold_out_dev, read_part

from espnet_dynlook.recipe.corpus import CorpusError, write_sets
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.download import DownloadError

DEV_PARTS = ["dev-clean", "dev-other"]
TRAIN_PARTS = ["train-clean-100", "train-clean-360", "train-other-500"]


def set_name(parts: list[str]) -> str:
    """Return ESPnet's name of a set: train_clean_100, train_960, test_other."""
    return "_".join(parts).replace("-", "_")


def expand(names: list[str]) -> list[str]:
    """Return the parts that names stand for; underscores may stand for hyphens.

    Raises:
        CorpusError: There is no such part.
    """
    parts = []
    for name in (name.replace("_", "-") for name in names):
        parts += TRAIN_PARTS if name == "train-960" else [name]
    unknown = [part for part in parts if part not in SHA256]
    if unknown:
        raise CorpusError(
            f"LibriSpeech has no part {', '.join(unknown)}: choose from "
            f"{', '.join(SHA256)}, train-960"
        )
    return list(dict.fromkeys(parts))


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--librispeech", type=Path, help="the folder with the parts; nothing is fetched"
    )
    parser.add_argument(
        "--train_set", nargs="+", default=["train-clean-100"], metavar="PART"
    )
    parser.add_argument(
        "--test_sets", nargs="+", default=["test-clean", "test-other"], metavar="PART"
    )
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seed", type=int, default=1, help="of a held-out dev set")
    args = parser.parse_args(argv)
    try:
        train_parts, test_parts = expand(args.train_set), expand(args.test_sets)
        corpus = args.librispeech
        if corpus is None:
            parts = [*train_parts, *DEV_PARTS, *test_parts]
            corpus = download_parts(parts, args.downloads)
        elif not corpus.is_dir():
            raise CorpusError(f"--librispeech {corpus}: there is no such folder")
        train = [r for part in train_parts for r in read_part(corpus, part)]
        dev_parts = [part for part in DEV_PARTS if (corpus / part).is_dir()]
        if dev_parts:
            dev = [r for part in dev_parts for r in read_part(corpus, part)]
        else:
            train, dev = hold_out_dev(train, args.seed)
            print(
                f"{corpus} has neither {' nor '.join(DEV_PARTS)}: "
                f"{len(dev)} utterances are held out of training as data/dev"
            )
        sets = {set_name(args.train_set): train, "dev": dev}
        for part in test_parts:
            sets[set_name([part])] = read_part(corpus, part)
        write_sets(args.data, sets)
    except (CorpusError, DataError, DownloadError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
