#!/usr/bin/env python3
"""Speak the mini corpus with espeak-ng: FLAC files and one table that lists them.

The voices are synthetic. The corpus shows that everything works; error rates on it say
nothing about human speech.
"""

import argparse
import sys
from pathlib import Path

from sentences import make_splits
from speaking import Manner, is_made, sources_sha256, write_corpus

from espnet_dynlook.recipe.corpus import CorpusError

VOICES = [
    "en-us",
    "en-us+f1",
    "en-us+f2",
    "en-us+m1",
    "en-us+m3",
    "en-gb-x-rp",
]
# What decides the audio beside the options.
SOURCES = ("make_corpus.py", "sentences.py", "speaking.py", "espeak.py")


def make_corpus(out: Path, seed: int, counts: dict[str, int], nj: int) -> Path:
    """Write the corpus, or leave it alone when it is there already with these settings.

    Args:
        out: Folder to write; made anew if it is new, empty or a corpus of this script.
        seed: Same seed, same corpus, whatever ``nj`` is.
        counts: Sentences of each split.
        nj: Worker processes.

    Returns:
        The table ``out/metadata.tsv``.

    Raises:
        CorpusError: The folder holds something that this script did not write.
        ValueError: More sentences are wanted than the templates give.
    """
    here = Path(__file__).resolve().parent
    settings = {
        "seed": seed,
        "counts": counts,
        "voices": VOICES,
        "sources_sha256": sources_sha256(here / name for name in SOURCES),
    }
    if is_made(out, settings):
        print(f"{out}/metadata.tsv is there already, made with these settings")
        return out / "metadata.tsv"
    # Too many sentences shall be said before removing any.
    splits = make_splits(seed, counts)
    manners = dict.fromkeys(splits, Manner(tuple(VOICES)))
    return write_corpus(out, settings, splits, manners, nj)


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the corpus")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train", type=int, default=1900, help="sentences")
    parser.add_argument("--valid", type=int, default=100, help="sentences")
    parser.add_argument("--test", type=int, default=200, help="sentences")
    parser.add_argument("--nj", type=int, default=2, help="worker processes")
    args = parser.parse_args(argv)
    counts = {"train": args.train, "valid": args.valid, "test": args.test}
    try:
        make_corpus(args.out, args.seed, counts, args.nj)
    except (CorpusError, ValueError, ModuleNotFoundError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
