#!/usr/bin/env python3
"""Prepare data/<set>_names for every set of the names corpus, from its table.

What a set may say as a name is in data/<set>_names/names, and what nobody says in
data/local/never_said: lists of names are made of the two.
"""

import argparse
import sys
from pathlib import Path

from names import NEVER
from prepare import read_corpus

from espnet_dynlook.recipe.corpus import CorpusError, write_sets
from espnet_dynlook.recipe.whole_files import write_atomic


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Prepare the names corpus.")
    parser.add_argument("corpus", type=Path, help="folder of make_names_corpus.py")
    parser.add_argument("--data", type=Path, default=Path("data"))
    args = parser.parse_args(argv)
    try:
        sets = read_corpus(args.corpus / "metadata.tsv")
        write_sets(args.data, {f"{split}_names": part for split, part in sets.items()})
        copies = {split: args.data / f"{split}_names" / "names" for split in sets}
        copies[NEVER] = args.data / "local" / "never_said"
        for split, path in copies.items():
            names = args.corpus / "names" / f"{split}.txt"
            write_atomic(path, names.read_text(encoding="utf-8"))
    except (CorpusError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
