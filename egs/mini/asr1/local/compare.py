#!/usr/bin/env python3
"""Print one table of several systems, and fail where the recipe did not work."""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from espnet_dynlook.metrics.wer import ErrorCounts
from espnet_dynlook.recipe.results import EXTRA, markdown_table, row
from espnet_dynlook.recipe.score import COLUMNS

HEADER = ["system", "WER %", "CER %", "lookahead mean (ms)", "p50", "p90", "RTF"]


def read_result(folder: Path, unit: str) -> dict[str, Any]:
    """Read what scoring wrote for one decoded set, ``unit`` being wer or cer."""
    path = folder / f"score_{unit}" / "result.json"
    if not path.is_file():
        sys.exit(f"compare.py: looked for {path}: run stage 13 first")
    return json.loads(path.read_text(encoding="utf-8"))


def summary(name: str, folder: Path) -> list[str]:
    """Return one line of the table; a full context's wait ends with the utterance."""
    columns = ["system", *COLUMNS, *EXTRA]
    wer, cer = (
        dict(zip(columns, row(name, read_result(folder, unit)), strict=True))
        for unit in ("wer", "cer")
    )
    return [name, wer["Err"], cer["Err"], *(wer[c] for c in HEADER[3:])]


def faults(systems: dict[str, Path], most_wer: float) -> list[str]:
    """Return what is wrong: too many errors, or systems that do not differ.

    That they wait differently long follows from their configurations. Only what they
    recognise shows that two models were trained and decoded.
    """
    found = []
    for name, folder in systems.items():
        result = read_result(folder, "wer")
        counts = ErrorCounts(
            **{key: result[key] for key in ErrorCounts.__dataclass_fields__}
        )
        wer = 100 * counts.rate
        if wer > most_wer:
            found.append(f"WER of {name} is {wer:.1f} %, the limit is {most_wer:g} %")
    for (one, first), (other, second) in itertools.combinations(systems.items(), 2):
        for file, same in (
            ("lookahead_ms", "wait equally long"),
            ("text", "recognise the same texts"),
        ):
            if (first / file).read_bytes() == (second / file).read_bytes():
                found.append(f"{one} and {other} {same}: they are one system")
    return found


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--most_wer", type=float, required=True, help="percent")
    parser.add_argument("--seconds", type=int, required=True, help="time of the run")
    args = parser.parse_args(argv)
    systems = {}
    for pair in args.systems:
        name, _, folder = pair.partition("=")
        systems[name] = Path(folder)
    print(
        "\nThe voices are synthetic (espeak-ng): these error rates say nothing about "
        "human speech.\nNo test sentence was heard in training. "
        f"{args.seconds // 60} min {args.seconds % 60} s in all.\n"
    )
    print(markdown_table(HEADER, [summary(name, f) for name, f in systems.items()]))
    found = faults(systems, args.most_wer)
    if found:
        sys.exit("compare.py: " + "; ".join(found))


if __name__ == "__main__":
    main()
