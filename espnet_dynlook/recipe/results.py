"""Write ``RESULTS.md`` of an experiment from the scores that lie in its folder.

The page is made anew from the ``result.json`` files each time, so that a set scored
again replaces its own row. Command: ``python -m espnet_dynlook.recipe.results
exp/asr_x``.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from espnet_dynlook.metrics.wer import ErrorCounts
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.score import COLUMNS, percentages
from espnet_dynlook.recipe.whole_files import write_atomic

EXTRA = ("RTF", "lookahead mean (ms)", "p50", "p90")


def find_results(experiment: Path, unit: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the results as ``{inference tag: {set: content of result.json}}``."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(experiment.glob(f"*/*/score_{unit}/result.json")):
        dataset = path.parent.parent
        sets = found.setdefault(dataset.parent.name, {})
        sets[dataset.name] = read_result(dataset, unit)
    return found


def counts_of(result: dict[str, Any]) -> ErrorCounts:
    """Return the counts in the content of a result.json; they have ``.rate``."""
    return ErrorCounts(
        **{name: result[name] for name in ErrorCounts.__dataclass_fields__}
    )


def measured(result: dict[str, Any]) -> list[str]:
    """Return the cells of ``EXTRA``; what was not measured is a dash."""
    rtf, wait = result["rtf"], result["lookahead_ms"]
    return [
        "-" if rtf is None else f"{rtf:.3f}",
        *(
            "-" if wait is None else f"{wait[name]:.0f}"
            for name in ("mean", "p50", "p90")
        ),
    ]


def perceived_latencies(sets: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line for every set whose model has a ``compute_budget``."""
    found = {name: result.get("upl_ms") for name, result in sets.items()}
    return [
        f"\n{name}: user-perceived latency (simulated) {upl['mean']:.0f} ms, p50 "
        f"{upl['p50']:.0f}, p90 {upl['p90']:.0f}\n"
        for name, upl in found.items()
        if upl is not None
    ]


def streamed_latencies(sets: dict[str, dict[str, Any]]) -> str:
    """Return a table of the latencies that streaming measured; "" of none."""
    rows = [
        [f"{dataset}, {name}", *(f"{figures[n]:.0f}" for n in ("mean", "p50", "p90"))]
        for dataset, result in sets.items()
        for name, figures in result.get("streamed_ms", {}).items()
    ]
    if not rows:
        return ""
    return "\n" + markdown_table(["latency (ms)", "mean", "p50", "p90"], rows)


def row(dataset: str, result: dict[str, Any]) -> list[str]:
    """Return the cells of one set."""
    return [dataset, *percentages(counts_of(result)), *measured(result)]


def read_result(folder: str | Path, unit: str) -> dict[str, Any]:
    """Read what scoring wrote for one decoded set.

    Args:
        folder: Such as ``exp/asr_x/inference/test``.
        unit: ``wer`` or ``cer``.

    Raises:
        DataError: The set was not scored.
    """
    path = Path(folder) / f"score_{unit}" / "result.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError([f"{path} does not exist: run stage 13"]) from None


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, its first column on the left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "".join(f"|{'|'.join(cells)}|\n" for cells in [header, rule, *rows])


def results_page(experiment: Path) -> str:
    """Return the page for every decoded set of an experiment."""
    parts = [f"# {experiment.name}\n"]
    by_unit = {unit: find_results(experiment, unit) for unit in ("wer", "cer")}
    for tag, sets in by_unit["wer"].items():
        parts.append(f"\n## {tag}\n")
        for unit, title in (("wer", "WER"), ("cer", "CER")):
            units = "Wrd" if unit == "wer" else "Chr"
            header = [title, *(units if c == "Wrd" else c for c in COLUMNS), *EXTRA]
            rows = [row(name, r) for name, r in by_unit[unit].get(tag, {}).items()]
            parts.append("\n" + markdown_table(header, rows))
        parts.append(streamed_latencies(sets))
        parts += perceived_latencies(sets)
        made: dict[str, list[str]] = {}
        for name, result in sets.items():
            used = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
            how = f"\n```sh\n{result['command']}\n```\n\n{used}\n"
            made.setdefault(how, []).append(name)
        for how, names in made.items():
            parts.append(f"\n{', '.join(names)}:\n{how}")
    parts += [path.read_text(encoding="utf-8") for path in _names(experiment)]
    return "".join(parts)


def _names(experiment: Path) -> list[Path]:
    """Return what ``recipe.names_results`` wrote of each decoding with lists."""
    return sorted(experiment.glob("*/names.md"))


def main(cmd: list[str] | None = None) -> int:
    """Write the page; return 1 where the folder holds no scores."""
    parser = argparse.ArgumentParser(description="Write RESULTS.md of an experiment.")
    parser.add_argument("experiment", help="folder such as exp/asr_train")
    args = parser.parse_args(cmd)
    experiment = Path(args.experiment)
    if not find_results(experiment, "wer") and not _names(experiment):
        print(
            f"{experiment}: no <inference_tag>/<set>/score_wer/result.json in it: run "
            "stage 13",
            file=sys.stderr,
        )
        return 1
    page = results_page(experiment)
    write_atomic(experiment / "RESULTS.md", page)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
