#!/usr/bin/env python3
"""Prepare data/train, data/valid and data/test from the mini corpus's table.

The names that only test sentences have are listed in data/test/new_names.
"""

import argparse
import csv
import sys
from pathlib import Path

from sentences import NEW_NAMES

from espnet_dynlook.recipe.corpus import CorpusError, Recording, write_sets


def read_corpus(table: Path) -> dict[str, list[Recording]]:
    """Read ``metadata.tsv`` of make_corpus.py into its three sets.

    Raises:
        CorpusError: The table, or a recording that it lists, is missing.
    """
    if not table.is_file():
        raise CorpusError(f"looked for {table}: run local/make_corpus.py first")
    sets: dict[str, list[Recording]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = table.parent / row["path"]
            if not path.is_file():
                raise CorpusError(f"{table} lists {path}, which does not exist")
            recording = Recording(
                row["utt"], row["speaker"], path.absolute(), row["text"], row["text"]
            )
            sets.setdefault(row["split"], []).append(recording)
    return sets


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder that make_corpus.py wrote")
    parser.add_argument("--data", type=Path, default=Path("data"))
    args = parser.parse_args(argv)
    try:
        write_sets(args.data, read_corpus(args.corpus / "metadata.tsv"))
    except CorpusError as error:
        sys.exit(f"{parser.prog}: {error}")
    names = "".join(f"{name}\n" for name in NEW_NAMES)
    (args.data / "test" / "new_names").write_text(names, encoding="utf-8")


if __name__ == "__main__":
    main()
