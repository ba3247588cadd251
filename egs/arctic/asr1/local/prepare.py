#!/usr/bin/env python3
"""Prepare data/train, data/valid and data/test from a CMU ARCTIC-style corpus.

Without --arctic, the voices are fetched from festvox.org into --downloads.

Every set is made by prompt, so that no sentence is in two sets, whoever reads it:
where the corpus gives no test split, 10 % of the prompts are for testing; 8 % of the
prompts that are left are held out of training for validation. The choice depends on
the seed and the prompt's name only, so more voices mean the same prompts.
"""

import argparse
import sys
from pathlib import Path

from arctic import read_corpus
from download import DEFAULT_VOICES, download_voices

from espnet_dynlook.recipe.corpus import (
    CorpusError,
    Recording,
    split_off,
    write_sets,
)
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.download import DownloadError

TEST_FRACTION = 0.10
VALID_FRACTION = 0.08


def make_sets(
    recordings: list[Recording], splits: dict[str, str], seed: int
) -> dict[str, list[Recording]]:
    """Divide a corpus into train, valid and test.

    Args:
        recordings: The whole corpus.
        splits: The set of every utterance where the corpus says so, else empty.
        seed: Of the choice of prompts.

    Raises:
        CorpusError: A prompt is in two of the corpus's own splits.
        ValueError: There are too few prompts to divide.
    """
    if splits:
        train = [r for r in recordings if splits[r.utt] == "train"]
        valid = [r for r in recordings if splits[r.utt] == "valid"]
        test = [r for r in recordings if splits[r.utt] == "test"]
    else:
        train, test = split_off(recordings, TEST_FRACTION, seed)
        valid = []
    if not valid:
        train, valid = split_off(train, VALID_FRACTION, seed + 1)
    sets = {"train": train, "valid": valid, "test": test}
    seen: dict[str, str] = {}
    for name, part in sets.items():
        for recording in part:
            other = seen.setdefault(recording.group, name)
            if other != name:
                raise CorpusError(
                    f"prompt {recording.group} is both in {other} and in {name} "
                    f"({recording.utt})"
                )
    return sets


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arctic", type=Path, help="a local copy; nothing is fetched")
    parser.add_argument(
        "--voices",
        nargs="+",
        default=DEFAULT_VOICES,
        help="CMU voices to fetch (default: %(default)s)",
    )
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seed", type=int, default=1, help="of the held-out prompts")
    args = parser.parse_args(argv)
    try:
        folder = args.arctic or download_voices(args.voices, args.downloads)
        sets = make_sets(*read_corpus(folder), args.seed)
        write_sets(args.data, sets)
    except (CorpusError, DataError, DownloadError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
