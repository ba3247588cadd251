#!/usr/bin/env python3
"""Names that annotators of SLUE-VoxPopuli marked, as phrases for lists.

SLUE (github.com/asappresearch/slue-toolkit) labels 5,000 of VoxPopuli's training
utterances and its dev and test sets, in slue-voxpopuli_fine-tune.tsv, _dev.tsv and, for
those who have the labels of the test set, _test.tsv. normalized_ner is a list of
[type, first character, number of characters] in normalized_text, or None.

Numbers, amounts, dates and times are no names. Phrases that are frequent in training
are left out: a list would not help them.
"""

import argparse
import ast
import csv
import sys
from collections import Counter
from pathlib import Path

from voxpopuli import check_columns

from espnet_dynlook.recipe.corpus import CorpusError, normalize_text
from espnet_dynlook.recipe.data_dir import DataError, list_faults, read_text
from espnet_dynlook.recipe.names import phrase_counts
from espnet_dynlook.recipe.whole_files import write_atomic

COLUMNS = ("id", "normalized_text", "normalized_ner")
FILES = {"train": "fine-tune", "dev": "dev", "test": "test"}
NO_NAMES = frozenset(
    "CARDINAL DATE MONEY ORDINAL PERCENT QUANTITY TIME QUANT WHEN".split()
)


def labels_of(folder: Path, name: str) -> Path:
    """Return the file of the labels of a set.

    Raises:
        CorpusError: SLUE labels no such set, or its labels are not there.
    """
    if name not in FILES:
        raise CorpusError(f"SLUE labels no set {name}: it has {', '.join(FILES)}")
    path = folder / f"slue-voxpopuli_{FILES[name]}.tsv"
    if path.is_file():
        return path
    if path.with_name(f"slue-voxpopuli_{FILES[name]}_blind.tsv").is_file():
        raise CorpusError(
            f"{folder} has only the blind {name} set, without labels: looked for {path}"
        )
    raise CorpusError(f"looked for {path}, which is no file")


def read_entities(path: Path) -> Counter[str]:
    """Count the names that are marked, spelled as transcripts are.

    Raises:
        CorpusError: The columns or labels are not as said above; each is named.
    """
    faults: list[str] = []
    found: Counter[str] = Counter()
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        check_columns(path, rows, COLUMNS)
        for row in rows:
            try:
                found.update(_entities(row["normalized_text"], row["normalized_ner"]))
            except ValueError as error:
                faults.append(f"{path}:{rows.line_num}: {row['id']}: {error}")
    if faults:
        raise CorpusError(list_faults(faults))
    return found


def _entities(text: str, labels: str) -> list[str]:
    """Return the names of an utterance; ValueError says what is wrong."""
    try:
        marked = ast.literal_eval((labels or "").strip() or "None") or []
        spans = [(str(kind), int(start), int(length)) for kind, start, length in marked]
    except (ValueError, SyntaxError, TypeError):
        raise ValueError(f"labels {labels!r} cannot be read") from None
    found = []
    for kind, start, length in spans:
        end = start + length
        if start < 0 or length < 1 or end > len(text):
            raise ValueError(f"{kind} from {start} to {end}: {len(text)} characters")
        if kind in NO_NAMES:
            continue
        try:
            phrase = normalize_text(text[start:end])
        except ValueError:
            continue  # nor can its transcript be spelled
        if phrase:
            found.append(phrase)
    return found


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slue", type=Path, required=True, help="folder of the labels")
    parser.add_argument("--set", required=True, help="train, dev or test")
    parser.add_argument("--train_text", required=True, help="Kaldi text")
    parser.add_argument("--max_count", type=int, default=5, help="in training")
    parser.add_argument(
        "--output", type=Path, required=True, help="phrases, one a line"
    )
    args = parser.parse_args(argv)
    try:
        entities = read_entities(labels_of(args.slue, args.set))
        training = read_text(args.train_text).values()
        counts = phrase_counts(training, entities)
        rare = sorted(p for p in entities if counts[p] <= args.max_count)
        if not rare:
            raise CorpusError(
                f"none of {len(entities)} names occurs {args.max_count} times or less "
                "in training: give a larger --max_count"
            )
        write_atomic(args.output, "".join(f"{phrase}\n" for phrase in rare))
        print(f"{args.output}: {len(rare)} of {len(entities)} marked names are rare")
    except (CorpusError, DataError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
