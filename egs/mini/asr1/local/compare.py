#!/usr/bin/env python3
"""Print one table of several systems, and fail where the recipe did not work."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from espnet_dynlook.recipe.results import markdown_table

HEADER = ["system", "WER %", "CER %", "lookahead ms: mean", "p50", "p90", "RTF"]


def read_result(folder: Path, unit: str) -> dict[str, Any]:
    """Read what scoring wrote for one decoded set, ``unit`` being wer or cer."""
    path = folder / f"score_{unit}" / "result.json"
    if not path.is_file():
        sys.exit(f"compare.py: looked for {path}: run stage 13 first")
    return json.loads(path.read_text(encoding="utf-8"))


def error_rate(result: dict[str, Any]) -> float:
    """Return errors in percent of the reference's words or characters."""
    errors = result["substitutions"] + result["deletions"] + result["insertions"]
    return 100 * errors / result["units"]


def row(name: str, folder: Path) -> list[str]:
    """Return one line of the table; a full context's wait ends with the utterance."""
    wer, cer = read_result(folder, "wer"), read_result(folder, "cer")
    wait = wer["lookahead_ms"]
    waits = [f"{wait[k]:.0f}" if wait else "-" for k in ("mean", "p50", "p90")]
    rtf = "-" if wer["rtf"] is None else f"{wer['rtf']:.3f}"
    return [name, f"{error_rate(wer):.1f}", f"{error_rate(cer):.1f}", *waits, rtf]


def faults(systems: dict[str, Path], most_wer: float) -> list[str]:
    """Return what is wrong: too many errors, or systems that do not differ."""
    found = []
    for name, folder in systems.items():
        wer = error_rate(read_result(folder, "wer"))
        if wer > most_wer:
            found.append(f"WER of {name} is {wer:.1f} %, the limit is {most_wer:g} %")
    outputs = {
        (f / "lookahead_ms").read_text(encoding="utf-8") for f in systems.values()
    }
    if len(outputs) < len(systems):
        found.append(f"{' and '.join(systems)} wait equally long: they are one system")
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
        f"\nSynthetic voices, test sentences never heard in training; "
        f"{args.seconds // 60} min {args.seconds % 60} s in all.\n"
    )
    print(markdown_table(HEADER, [row(name, f) for name, f in systems.items()]))
    found = faults(systems, args.most_wer)
    if found:
        sys.exit("compare.py: " + "; ".join(found))


if __name__ == "__main__":
    main()
