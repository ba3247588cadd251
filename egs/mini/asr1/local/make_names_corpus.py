#!/usr/bin/env python3
"""Speak the names corpus with espeak-ng: hours of sentences around thousands of names.

The voices are synthetic. No name of train, adapt, valid, tune or test occurs in
another of them (names.py), nor in ``names/never.txt``, from which lists draw what
nobody says. An adapter is trained on adapt, whose names its base has never heard, as
those of a test. Tune and test have voices of their own. With ``--medical FILE`` a set
``medical`` has sentences around the medical terms of a text of yours.
"""

import argparse
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medical import medical_terms
from names import NEVER, names_of_sets
from names_sentences import MEDICAL, Sentence, make_sentences, vocabulary
from speaking import Manner, is_made, sources_sha256, write_corpus

from espnet_dynlook.recipe.corpus import CorpusError

AMERICAN = """f1 f2 f3 f5 m1 m2 m3 m5 m6 Andy Annie ed linda paul steph""".split()
BRITISH = ["f2", "f5", "m2", "m6"]
#: Voices of each set. Those of valid and tune, and those of test, are in no other.
VOICES = {
    "train": ["en-us", "en-gb-x-rp", "en-gb-scotland"]
    + [f"en-us+{variant}" for variant in AMERICAN]
    + [f"en-gb-x-rp+{variant}" for variant in BRITISH],
    "valid": ["en-us+m7", "en-us+f4", "en-gb-x-rp+m1"],
    "tune": ["en-us+m7", "en-us+f4", "en-gb-x-rp+m1"],
    "test": ["en-us+m4", "en-us+belinda", "en-us+victor", "en-gb-x-rp+f1"],
}
VOICES["adapt"] = VOICES["train"]
VOICES["medical"] = VOICES["test"]
MANNER: dict[str, Any] = {
    "rate": (140, 210),
    "pitch": (25, 75),
    "noisy": 0.5,
    "snr": (12.0, 30.0),
}
PLAIN = 0.15  # of the training sentences have no name
SENTENCES_PER_TERM = 3
SOURCES = """make_names_corpus.py names.py names_sentences.py speaking.py espeak.py
name_lists/first_names.txt name_lists/surnames.txt name_lists/places.txt"""


def make_splits(
    seed: int, counts: Mapping[str, int], terms: Sequence[str] = ()
) -> tuple[dict[str, list[Sentence]], dict[str, tuple[str, ...]]]:
    """Return the sentences of each set, and its names.

    Args:
        seed: Same seed, same sentences.
        counts: Sentences of train, adapt, valid, tune and test.
        terms: Medical terms; none: no set for them.

    Returns:
        Sentences by set, none of which occurs twice or in two sets; names by set and
        for ``NEVER``, sorted.

    Raises:
        ValueError: More sentences are wanted than the grammar gives.
    """
    sets = names_of_sets(seed, vocabulary())
    seen: set[str] = set()
    splits = {}
    for split, count in counts.items():
        splits[split] = make_sentences(
            random.Random(f"sentences {seed} {split}"),
            count,
            sets[split].slots,
            seen,
            plain=PLAIN if split in ("train", "adapt") else 0.0,
        )
    names = {split: sets[split].phrases for split in (*counts, NEVER)}
    if terms:
        splits["medical"] = []
        names["medical"] = tuple(sorted(terms))
        for term in names["medical"]:
            splits["medical"] += make_sentences(
                random.Random(f"sentences {seed} medical {term}"),
                SENTENCES_PER_TERM,
                {"medicine": [term]},
                seen,
                templates=MEDICAL,
            )
    return splits, names


def make_corpus(
    out: Path, seed: int, counts: dict[str, int], nj: int, medical: Path | None = None
) -> Path:
    """Write the corpus, or leave it alone when it is there already with these settings.

    Args:
        out: Folder to write; made anew if it is new, empty or a corpus of this recipe.
        seed: Same seed, same corpus, whatever ``nj`` is.
        counts: Sentences of train, adapt, valid, tune and test.
        nj: Worker processes.
        medical: A text with medical terms.

    Returns:
        The table ``out/metadata.tsv``; the names of each set are in ``out/names``.

    Raises:
        CorpusError: The folder holds something else, or the text has no medical term.
        ValueError: More sentences are wanted than the grammar gives.
    """
    here = Path(__file__).resolve().parent
    terms: list[str] = []
    if medical:
        names = names_of_sets(seed, vocabulary()).values()
        words = {w for one in names for name in one.phrases for w in name.split()}
        terms = medical_terms(medical, vocabulary() | words)
    settings = {
        "seed": seed,
        "counts": counts,
        "voices": VOICES,
        "medical": terms,
        "sources_sha256": sources_sha256(here / name for name in SOURCES.split()),
    }
    if is_made(out, settings):
        print(f"{out}/metadata.tsv is there already, made with these settings")
        return out / "metadata.tsv"
    splits, lists = make_splits(seed, counts, terms)
    texts = {split: [one.text for one in some] for split, some in splits.items()}
    manners = {split: Manner(tuple(VOICES[split]), **MANNER) for split in splits}
    files = {
        f"names/{split}.txt": "".join(f"{name}\n" for name in listed)
        for split, listed in lists.items()
    }
    return write_corpus(out, settings, texts, manners, nj, files)


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=re.sub(r"``", "", str(__doc__)))
    parser.add_argument("out", type=Path, help="folder for the corpus")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train", type=int, default=8000, help="sentences")
    parser.add_argument("--adapt", type=int, default=4000, help="sentences")
    parser.add_argument("--valid", type=int, default=300, help="sentences")
    parser.add_argument("--tune", type=int, default=500, help="sentences")
    parser.add_argument("--test", type=int, default=1000, help="sentences")
    parser.add_argument("--medical", type=Path, help="text with medical terms")
    parser.add_argument("--nj", type=int, default=2, help="worker processes")
    args = parser.parse_args(argv)
    counts = {split: getattr(args, split) for split in VOICES if split != "medical"}
    try:
        make_corpus(args.out, args.seed, counts, args.nj, args.medical)
    except (CorpusError, OSError, ValueError, ModuleNotFoundError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
