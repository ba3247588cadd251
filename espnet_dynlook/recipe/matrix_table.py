"""What a matrix has found: one table a set, and ``results.json`` for the pictures."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from espnet_dynlook.metrics.bootstrap import Comparison, paired_bootstrap
from espnet_dynlook.metrics.summary import spread, summary
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.matrix_plan import Experiment
from espnet_dynlook.recipe.matrix_run import folders
from espnet_dynlook.recipe.results import markdown_table

#: Name of all sets together.
ALL = "all"
Rows = dict[str, dict[str, Any]]


@dataclass
class Evaluation:
    """What an evaluation of one set left.

    Attributes:
        kind: Kind of lookahead.
        rows: Figures by utterance, as ``asr_evaluate`` writes them.
        latencies: Of all frames, in ms.
    """

    kind: str
    rows: Rows
    latencies: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Evaluation":
        """Read the folder of one set.

        Raises:
            DataError: it was not evaluated.
        """
        try:
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            lines = (folder / "utterances.jsonl").read_text(encoding="utf-8")
            waits = (folder / "lookahead_ms").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise DataError([f"{error.filename} does not exist"]) from None
        rows = [json.loads(line) for line in lines.splitlines()]
        values = [float(v) for line in waits.splitlines() for v in line.split()[1:]]
        return cls(result["kind"], {row["utt"]: row for row in rows}, np.array(values))


@dataclass
class System:
    """A line of the tables: a system, or a parent under one kind of lookahead.

    Attributes:
        name: For the tables.
        kind: Kind of lookahead.
        seeds: Evaluations by seed and set.
    """

    name: str
    kind: str
    seeds: dict[int, dict[str, Evaluation]] = field(default_factory=dict)

    def rows(self, seed: int, sets: Sequence[str]) -> Rows:
        """Return the utterances of some sets together."""
        found: Rows = {}
        for name in sets:
            for utt, row in self.seeds[seed][name].rows.items():
                found[f"{name}/{utt}"] = row
        return found

    def latencies(self, seeds: Sequence[int], sets: Sequence[str]) -> np.ndarray:
        """Return the latencies of all frames, in ms."""
        return np.concatenate(
            [self.seeds[seed][name].latencies for seed in seeds for name in sets]
        )


def read_systems(
    experiments: Sequence[Experiment], sets: Sequence[str]
) -> dict[str, System]:
    """Read the evaluations of finished experiments, in their order.

    Raises:
        DataError: one of them was not evaluated.
    """
    found: dict[str, System] = {}
    for experiment in experiments:
        kinds = experiment.kinds or [""]
        for kind, folder in zip(kinds, folders(experiment), strict=True):
            name = f"{experiment.system}, {kind}" if kind else experiment.system
            by_set = {one: Evaluation.read(folder / one) for one in sets}
            first = next(iter(by_set.values()))
            system = found.setdefault(name, System(name, first.kind))
            system.seeds[experiment.seed] = by_set
    return found


def result_rows(
    corpus: str, systems: Sequence[System], sets: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the figures of every system, seed and set, and of all sets together."""
    groups = {name: [name] for name in sets}
    if len(sets) > 1:
        groups[ALL] = list(sets)
    found = []
    for system in systems:
        for seed in system.seeds:
            for name, group in groups.items():
                latencies = system.latencies([seed], group)
                figures = summary(system.rows(seed, group), latencies.tolist())
                found.append(
                    {
                        "corpus": corpus,
                        "set": name,
                        "system": system.name,
                        "kind": system.kind,
                        "seed": seed,
                        **figures,
                    }
                )
    return found


def compare(
    first: System,
    other: System,
    sets: Sequence[str],
    errors: Callable[[dict[str, Any]], float | None],
    units: str,
) -> Comparison | None:
    """Compare two systems over the seeds and utterances that both have.

    Speakers are drawn, or utterances where there is only one speaker, and seeds.

    Args:
        first: The reference.
        other: Is better where the difference is below zero.
        sets: Pooled.
        errors: Errors or loss of an utterance; one that is None for any is left out.
        units: Name of what they are divided by: tokens or words.

    Returns:
        The comparison, or None where nothing can be compared.
    """
    seeds = [seed for seed in first.seeds if seed in other.seeds]
    tables = [[one.rows(seed, sets) for seed in seeds] for one in (first, other)]
    if not seeds:
        return None
    every = [rows for table in tables for rows in table]
    utts = [
        utt
        for utt in every[0]
        if all(utt in rows and errors(rows[utt]) is not None for rows in every)
    ]
    rows = every[0]
    speakers = [f"{utt.split('/')[0]}/{rows[utt]['speaker']}" for utt in utts]
    weights = [rows[utt][units] for utt in utts]
    if len(utts) < 2 or not sum(weights):
        return None
    a, b = ([[errors(rows[u]) for u in utts] for rows in table] for table in tables)
    clusters = speakers if len(set(speakers)) > 1 else None
    return paired_bootstrap(a, b, weights, clusters)


def _loss(row: dict[str, Any]) -> float | None:
    return row["loss"]


def _errors(row: dict[str, Any]) -> float | None:
    return row["errors"]


def _difference(found: Comparison | None, scale: float, digits: int) -> list[str]:
    if found is None:
        return ["", ""]
    mean, low, high = (
        f"{scale * x:+.{digits}f}" for x in (found.difference, found.low, found.high)
    )
    return [f"{mean} ({low} to {high})", f"{found.p:.4f}"]


def _ms(values: Sequence[float | None]) -> str:
    return " / ".join("-" if x is None else f"{x:.0f}" for x in values)


def _delays(system: System, sets: Sequence[str]) -> str:
    delays = [
        one
        for seed in system.seeds
        for row in system.rows(seed, sets).values()
        for one in row["token_delays_ms"] or []
    ]
    found = spread("delay", delays)
    return _ms([found["delay_mean_ms"], found["delay_p90_ms"]])


def _upl(figures: Sequence[dict[str, Any]]) -> str:
    values = [f["upl_ms"] for f in figures if f.get("upl_ms") is not None]
    return f"{np.mean(values):.0f}" if values else "-"


def set_table(
    systems: Sequence[System],
    reference: str,
    sets: Sequence[str],
    figures: Sequence[dict[str, Any]],
) -> str:
    """Return the Markdown table of some sets together.

    Args:
        systems: A line each.
        reference: Name of the one that the others are compared with.
        sets: Pooled.
        figures: Of ``result_rows``.
    """
    name = sets[0] if len(sets) == 1 else ALL
    first = next((one for one in systems if one.name == reference), None)
    has_upl = any(f.get("upl_ms") is not None for f in figures)
    lines = []
    for system in systems:
        own = [f for f in figures if (f["system"], f["set"]) == (system.name, name)]
        losses = [f["loss_per_token"] for f in own if f["loss_per_token"] is not None]
        words = sum(f["words"] for f in own)
        gaps = [f["soft_gap"] for f in own if f["soft_gap"] is not None]
        waits = spread("w", system.latencies(list(system.seeds), sets).tolist())
        loss = wer = None
        if first is not None and first is not system:
            loss = compare(first, system, sets, _loss, "tokens")
            wer = compare(first, system, sets, _errors, "words")
        lines.append(
            [
                system.name,
                _ms([waits["w_mean_ms"], waits["w_p50_ms"], waits["w_p90_ms"]]),
                *([_upl(own)] if has_upl else []),
                _delays(system, sets),
                " ".join(f"{x:.3f}" for x in losses),
                f"{np.mean(losses):.4f}" if losses else "-",
                *_difference(loss, 1, 4),
                f"{100 * sum(f['errors'] for f in own) / words:.2f}" if words else "-",
                *_difference(wer, 100, 2),
                f"{100 * np.mean(gaps):+.2f}" if gaps else "",
            ]
        )
    versus = f"to {reference} (95 %)"
    header = [
        "system",
        "latency mean / p50 / p90 (ms)",
        *(["user-perceived latency (ms)"] if has_upl else []),
        "token delay mean / p90 (ms)",
        "loss per token by seed",
        "mean",
        versus,
        "p",
        "WER (%)",
        versus,
        "p",
        "rounded over soft loss (%)",
    ]
    return markdown_table(header, lines)


def tables(
    systems: Sequence[System],
    reference: str,
    sets: Sequence[str],
    figures: Sequence[dict[str, Any]],
) -> str:
    """Return the tables of all sets together and of every set, with headings."""
    groups = [list(sets)] if len(sets) > 1 else []
    groups += [[name] for name in sets]
    parts = []
    for group in groups:
        title = group[0] if len(group) == 1 else f"{ALL}: {', '.join(group)}"
        table = set_table(systems, reference, group, figures)
        parts.append(f"\n### {title}\n\n{table}")
    return "".join(parts)
