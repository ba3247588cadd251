"""The results of a matrix of trainings, as its ``results.json`` has them."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_dynlook.plots.style import PlotError

#: Measure -> what it is, for an axis; always counted from the end of what was said.
LATENCIES = {
    "latency_mean_ms": "mean latency of frames (ms)",
    "latency_p50_ms": "median latency of frames (ms)",
    "latency_p90_ms": "p90 latency of frames (ms)",
    "token_delay_mean_ms": "mean delay of tokens (ms)",
    "token_delay_p90_ms": "p90 delay of tokens (ms)",
    "upl_ms": "user-perceived latency (ms)",
}
QUALITIES = {
    "loss_per_token": "loss per token (nats)",
    "wer": "WER (%)",
    "cer": "CER (%)",
}
#: What a picture has when nothing is asked for.
SHOWN = {
    "latency_mean_ms",
    "latency_p90_ms",
    "token_delay_mean_ms",
    "upl_ms",
    "loss_per_token",
    "wer",
}
#: Name of the set that stands for all test sets together.
ALL_SETS = "all"
_KEYS = {"corpus": str, "set": str, "system": str, "kind": str, "seed": int}


@dataclass(frozen=True)
class Row:
    """One system with one seed on one test set.

    Attributes:
        corpus: Its name.
        set: Name of the test set.
        system: Name of the system.
        kind: Of lookahead.
        seed: Of the training.
        tokens: Of the test set, its weight among others.
        measures: Those of ``LATENCIES`` and ``QUALITIES`` that there are.
    """

    corpus: str
    set: str
    system: str
    kind: str
    seed: int
    tokens: float
    measures: Mapping[str, float | None]


def read_rows(path: Path | str) -> list[Row]:
    """Read ``results.json``.

    Raises:
        PlotError: it cannot be read, or a row lacks a key.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlotError(f"--results {path}: {error}") from error
    rows = content.get("rows") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise PlotError(f"--results {path} has no list of rows, or an empty one")
    return [_row(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)]


def _row(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise PlotError(f"{place}: {row!r} is no mapping")
    missing = [key for key in (*_KEYS, "tokens") if key not in row]
    if missing:
        raise PlotError(f"{place} has no {', '.join(missing)}")
    try:
        values: dict[str, Any] = {key: kind(row[key]) for key, kind in _KEYS.items()}
        measures = {
            name: None if row[name] is None else float(row[name])
            for name in (*LATENCIES, *QUALITIES)
            if name in row
        }
        return Row(**values, tokens=float(row["tokens"]), measures=measures)
    except (TypeError, ValueError) as error:
        raise PlotError(f"{place}: {error}") from error


def choose(rows: list[Row], name: str, wanted: list[str] | None) -> list[Row]:
    """Return the rows of some systems or sets.

    Args:
        rows: Of a matrix.
        name: ``system`` or ``set``.
        wanted: Their names; None: all.

    Raises:
        PlotError: there is none of such a name.
    """
    there = {getattr(row, name) for row in rows}
    if wanted is None:
        return rows
    if not there.issuperset(wanted):
        raise PlotError(
            f"--{name}s {' '.join(wanted)}: the results have {', '.join(sorted(there))}"
        )
    return [row for row in rows if getattr(row, name) in wanted]


def without_parts(rows: list[Row]) -> list[Row]:
    """Leave single sets out where a corpus has a row for all of them together."""
    whole = {row.corpus for row in rows if row.set == ALL_SETS}
    return [row for row in rows if row.corpus not in whole or row.set == ALL_SETS]


def pooled(rows: Iterable[Row], measure: str) -> dict[tuple[str, int], float]:
    """Return a measure by (system, seed), the mean over test sets by their tokens.

    Rows without the measure, or where it is not finite, are left out with all other
    sets of that system and seed: a mean over fewer sets would not compare.
    """
    totals: dict[tuple[str, int], list[float]] = {}
    missing = set()
    for row in rows:
        key = (row.system, row.seed)
        value = row.measures.get(measure)
        if value is None or not math.isfinite(value):
            missing.add(key)
            continue
        total = totals.setdefault(key, [0.0, 0.0])
        total[0] += value * row.tokens
        total[1] += row.tokens
    return {k: t / n for k, (t, n) in totals.items() if k not in missing and n > 0}
