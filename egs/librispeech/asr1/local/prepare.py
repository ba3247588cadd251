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

from espnet_dynlook.recipe.corpus import (
    CorpusError,
    Recording,
    normalize_text,
    split_off,
    write_sets,
)
from espnet_dynlook.recipe.data_dir import DataError, list_faults
from espnet_dynlook.recipe.download import DownloadError

DEV_PARTS = ["dev-clean", "dev-other"]
TRAIN_PARTS = ["train-clean-100", "train-clean-360", "train-other-500"]
VALID_FRACTION = 0.08
FEWEST_CHAPTERS = 25  # below, a few held-out chapters would be a large part of training


def read_part(corpus: Path, part: str) -> list[Recording]:
    """Read one part: ``<part>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt``.

    Raises:
        CorpusError: The part is not there, or something in it is wrong; every fault is
            listed with its file and line.
    """
    folder = corpus / part
    if not folder.is_dir():
        there = sorted(p.name for p in corpus.iterdir() if p.is_dir())
        raise CorpusError(
            f"looked for {folder}, which is no folder; {corpus} has "
            f"{', '.join(there) or 'no folders'}"
        )
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise CorpusError(
            f"looked for {folder}/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt and found "
            "none"
        )
    faults: list[str] = []
    recordings = [r for path in transcripts for r in _read_chapter(path, faults)]
    if faults:
        raise CorpusError(list_faults(faults))
    return recordings


def _read_chapter(transcript: Path, faults: list[str]) -> list[Recording]:
    chapter = transcript.parent
    group = f"{chapter.parent.name}-{chapter.name}"
    recordings = []
    for number, raw in enumerate(transcript.read_bytes().splitlines(), 1):
        place = f"{transcript}:{number}"
        try:
            utt, _, text = raw.decode("utf-8").strip().partition(" ")
            words = normalize_text(text)
        except ValueError as error:  # UnicodeDecodeError is one
            faults.append(f"{place}: {error}")
            continue
        path = chapter / f"{utt}.flac"
        if not utt.startswith(f"{group}-"):
            faults.append(f"{place}: {utt!r} is no utterance of {group}")
        elif not words:
            faults.append(f"{place}: the transcript of {utt} is empty")
        elif not path.is_file():
            faults.append(f"{place}: the recording {path} does not exist")
        else:
            # The reader, where Kaldi's recipe takes reader and chapter: statistics by
            # speaker shall count people.
            reader = chapter.parent.name
            recordings.append(Recording(utt, reader, path.absolute(), words, group))
    return recordings


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


def hold_out_dev(
    train: list[Recording], seed: int
) -> tuple[list[Recording], list[Recording]]:
    """Divide training data into training and dev, as said above."""
    chapters = sorted({r.group for r in train})
    if len(chapters) >= FEWEST_CHAPTERS:
        return split_off(train, VALID_FRACTION, seed)
    kept: list[Recording] = []
    held: list[Recording] = []
    for chapter in chapters:
        part = [r for r in train if r.group == chapter]
        if len(part) < 2:
            kept += part
            continue
        stay, leave = split_off(part, VALID_FRACTION, seed, key=lambda r: r.utt)
        kept += stay
        held += leave
    return kept, held


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
