#!/usr/bin/env python3
"""Prepare one training set from three corpora of read English, and a test set of each.

--speech names a folder with

* LibriSpeech/train-clean-100 and LibriSpeech/test-other, or any part of them;
* arctic_kathleen/: metadata.tsv (columns utt, prompt, split, text) and the recordings
  in ogg/, flac/ or wav/;
* so762_adults/: the same with a column spk for prompt; or the whole of speechocean762
  as it is published, of which children are left out.

data/train and data/valid are the training parts of all three. Held out for validation:
8 % of the speakers of so762, 8 % of the prompts of kathleen, and 8 % of LibriSpeech's
chapters, or of every chapter's utterances where there are fewer than 25. What is held
out depends on the seed and on names only. Then any training utterance goes whose whole
sentence is also one of a held-out set.

The test sets are the corpora's own: data/test_other, data/test_kathleen and
data/test_so762. Speakers get the corpus's name in front, so that statistics over
clusters of speakers can tell them apart; utterances keep their identifiers.

data/local/names has names to draw distractors from: those of the lists that come with
arctic_kathleen (biasing_names.test.tsv), and words with capitals inside its sentences;
words of the test sets are left out. --hold_out_names N takes N of them that training
says out of it: data/train_names and data/tune_names divide data/train, with every
utterance of their sentences in the second.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from librispeech import VALID_FRACTION, hold_out_dev, read_part
from so762 import read_so762

from espnet_dynlook.biasing.lists import read_lists
from espnet_dynlook.recipe.corpus import (
    CorpusError,
    Recording,
    split_off,
    write_sets,
)
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.hold_out_names import hold_out_names, stems, words_of_names
from espnet_dynlook.recipe.metadata import read_metadata
from espnet_dynlook.recipe.names import names_by_capitals
from espnet_dynlook.recipe.whole_files import write_atomic

Sets = dict[str, list[Recording]]
TESTS = ("test_other", "test_kathleen", "test_so762")
MOST_UTTERANCES = 20  # of a name that is held out


def read_librispeech(folder: Path, seed: int) -> Sets:
    """Return train, valid and test_other of whatever parts of LibriSpeech there are."""
    train, valid = hold_out_dev(read_part(folder, "train-clean-100"), seed)
    test = read_part(folder, "test-other")
    return {"train": train, "valid": valid, "test_other": test}


def divide(
    recordings: list[Recording], splits: dict[str, str], seed: int, test: str
) -> Sets:
    """Return train, valid and a test set of a corpus that says what is for testing.

    Args:
        recordings: The whole corpus.
        splits: The set of each utterance; a valid set of its own is kept.
        seed: Of what is held out where it has none.
        test: Name of the test set.

    Raises:
        CorpusError: A group is in two of the corpus's own sets.
    """
    sets: Sets = {name: [] for name in ("train", "valid", "test")}
    home: dict[str, str] = {}
    for recording in recordings:
        split = splits[recording.utt]
        other = home.setdefault(recording.group, split)
        if other != split:
            raise CorpusError(
                f"{test}: {recording.group} is both in {other} and in {split} "
                f"({recording.utt}), which would make it no test"
            )
        sets[split].append(recording)
    if not sets["valid"]:
        sets["train"], sets["valid"] = split_off(sets["train"], VALID_FRACTION, seed)
    return {"train": sets["train"], "valid": sets["valid"], test: sets["test"]}


def pool(corpora: dict[str, Sets]) -> tuple[Sets, list[Recording]]:
    """Join corpora into one training set, one validation set and a test set of each.

    Args:
        corpora: Train, valid and a test set by the name of the corpus, which the
            speakers get in front of theirs.

    Returns:
        The sets, and the training utterances that were left out since their sentences
        are in another set.
    """
    sets: Sets = {"train": [], "valid": []}
    for name, parts in corpora.items():
        for part, recordings in parts.items():
            sets.setdefault(part, []).extend(
                replace(r, speaker=f"{name}_{r.speaker}") for r in recordings
            )
    held = {r.text for name, part in sets.items() if name != "train" for r in part}
    left_out = [r for r in sets["train"] if r.text in held]
    sets["train"] = [r for r in sets["train"] if r.text not in held]
    return sets, left_out


def pool_of_names(sets: Sets, lists: Path) -> set[str]:
    """Return names that no test set says.

    Args:
        sets: All sets.
        lists: Of names by utterance; may be missing.
    """
    cased = (r.cased for r in sets["train"])
    names = {name.upper() for name in names_by_capitals(cased)}
    if lists.is_file():
        names |= {name for one in read_lists(lists).values() for name in one.phrases}
    said = {
        w for n, part in sets.items() if n in TESTS for r in part for w in stems(r.text)
    }
    return words_of_names(names) - said


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, required=True, help="the three corpora")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seed", type=int, default=1, help="of what is held out")
    parser.add_argument(
        "--hold_out_names", type=int, default=0, metavar="N", help="to tune lists on"
    )
    args = parser.parse_args(argv)
    folder: Path = args.speech
    try:
        for name in ("LibriSpeech", "arctic_kathleen", "so762_adults"):
            if not (folder / name).is_dir():
                raise CorpusError(f"looked for {folder / name}, which is no folder")
        table = folder / "arctic_kathleen"
        kathleen = read_metadata(table, group="prompt", speaker="reader")
        so762 = read_so762(folder / "so762_adults")
        sets, left_out = pool(
            {
                "librispeech": read_librispeech(folder / "LibriSpeech", args.seed),
                "kathleen": divide(*kathleen, args.seed, "test_kathleen"),
                "so762": divide(*so762, args.seed, "test_so762"),
            }
        )
        write_sets(args.data, sets)
        print(f"{len(left_out)} training utterances left out: their sentences are held")
        data: Path = args.data
        names = pool_of_names(sets, table / "biasing_names.test.tsv")
        lines = "".join(f"{name}\n" for name in sorted(names))
        write_atomic(data / "local" / "names", lines)
        if args.hold_out_names:
            hold_out_names(
                data / "train",
                data / "train_names",
                data / "tune_names",
                names,
                args.hold_out_names,
                args.seed,
                MOST_UTTERANCES,
            )
    except (CorpusError, DataError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
