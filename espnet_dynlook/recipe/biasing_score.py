r"""Score systems with lists of names: WER, U-WER, B-WER, names found and made up.

A system is a name and Kaldi texts, one a training seed. Command::

    python -m espnet_dynlook.recipe.biasing_score --lists data/test.100.tsv \
        base=exp/asr_base/inference/test/text names=exp/asr_names/inference/test/text

The references are the texts of the lists. Words are aligned as the benchmark does it
(``metrics.alignment``), so that WER can be a few words above that of ``recipe.score``.
With ``--lists`` several times, each system has one text a list and they are pooled: so
several draws of distractors are scored. Each system is compared with the first by a
paired bootstrap.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_dynlook.biasing.lists import BiasingList, ListError, read_lists
from espnet_dynlook.metrics.biasing import (
    BiasingCounts,
    pool_biasing,
    score_biasing,
)
from espnet_dynlook.metrics.bootstrap import Comparison
from espnet_dynlook.metrics.ratios import paired_ratios
from espnet_dynlook.recipe.data_dir import DataError, read_text
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.score import versions
from espnet_dynlook.recipe.whole_files import write_atomic

#: Measures that are a ratio of sums, in the order of the table: numerator, denominator.
RATIOS = {
    "WER": lambda c: (c.words.errors, c.words.units),
    "U-WER": lambda c: (c.unbiased.errors, c.unbiased.units),
    "B-WER": lambda c: (c.biased.errors, c.biased.units),
    "precision": lambda c: (c.entities.correct, c.entities.hypothesis),
    "recall": lambda c: (c.entities.correct, c.entities.reference),
    "F1": lambda c: (
        2 * c.entities.correct,
        c.entities.reference + c.entities.hypothesis,
    ),
}
FALSE = "false insertions per 100 utterances"


@dataclass
class System:
    """A system's counts.

    Attributes:
        name: For the table.
        texts: Its hypotheses' files.
        counts: By utterance, one mapping a text.
    """

    name: str
    texts: list[str]
    counts: list[dict[str, BiasingCounts]]

    @property
    def total(self) -> BiasingCounts:
        """All its counts, pooled."""
        return pool_biasing(one for text in self.counts for one in text.values())

    def sums(self, measure: str, utts: list[str]) -> tuple[Any, Any]:
        """Return a measure's numerators and denominators, each (S, N)."""
        pairs = [[RATIOS[measure](text[utt]) for utt in utts] for text in self.counts]
        above, below = ([[p[side] for p in text] for text in pairs] for side in (0, 1))
        return above, below


def read_references(path: str, ignore_case: bool) -> dict[str, BiasingList]:
    """Read lists, in lower case if case is not to matter."""
    lists = read_lists(path)
    if not ignore_case:
        return lists
    return {
        utt: BiasingList(
            one.text.lower(),
            tuple(phrase.lower() for phrase in one.true),
            tuple(phrase.lower() for phrase in one.phrases),
        )
        for utt, one in lists.items()
    }


def read_system(
    argument: str,
    lists: list[dict[str, BiasingList]],
    ignore_case: bool,
    advice: str = "use --ignore_case",
) -> System:
    """Read and score a system given as ``name=text,text``.

    Args:
        argument: Name and files.
        lists: One for all its texts, or one each.
        ignore_case: Hypotheses become lower case, as the lists are then.
        advice: What the user can do where texts and lists differ in case.

    Raises:
        DataError: A text is faulty or has other utterances than its list.
    """
    name, equals, listed = argument.partition("=")
    texts = [part for part in (listed if equals else name).split(",") if part]
    if not texts:
        raise DataError([f"{argument}: no text; write name=text,text"])
    if len(lists) > 1 and len(lists) != len(texts):
        raise DataError(
            [f"{argument}: {len(texts)} texts for {len(lists)} lists: one each"]
        )
    counts = []
    for i, path in enumerate(texts):
        used = lists[i if len(lists) > 1 else 0]
        hypotheses = read_text(path)
        extra = [utt for utt in hypotheses if utt not in used]
        if extra:
            raise DataError(
                [f"{path}: {len(extra)} utterances have no list, the first {extra[0]}"]
            )
        if ignore_case:
            hypotheses = {utt: text.lower() for utt, text in hypotheses.items()}
        try:
            counts.append(
                score_biasing(
                    {utt: one.text for utt, one in used.items()},
                    hypotheses,
                    {utt: (one.true, one.phrases) for utt, one in used.items()},
                )
            )
        except ValueError as error:
            raise DataError([f"{path}: {error}"]) from None
        _check_case(path, used, hypotheses, advice)
    return System(name, texts, counts)


def _check_case(
    path: str, lists: dict[str, BiasingList], hypotheses: dict[str, str], advice: str
) -> None:
    """Refuse texts that have no word in common but for their case."""
    said = {word for one in lists.values() for word in one.text.split()}
    found = {word for text in hypotheses.values() for word in text.split()}
    folded = {word.lower() for word in said} & {word.lower() for word in found}
    if folded and not said & found:
        raise DataError([f"{path}: differs from the lists' texts in case: {advice}"])


def figures(counts: BiasingCounts) -> dict[str, Any]:
    """Return what the JSON file has of a system: counts and rates."""
    rates: dict[str, float | None] = {}
    for measure, parts in RATIOS.items():
        numerator, denominator = parts(counts)
        rates[measure] = numerator / denominator if denominator else None
    rates[FALSE] = counts.entities.false_insertions_per_100
    kinds = {
        name: vars(getattr(counts, name)) for name in ("words", "unbiased", "biased")
    }
    entities = {
        **vars(counts.entities),
        "false_insertions": counts.entities.false_insertions,
    }
    return {"rates": rates, "counts": {**kinds, "entities": entities}}


def score_table(systems: list[System]) -> str:
    """Return the Markdown table of all systems."""
    header = ["system", *(f"{m} (%)" for m in RATIOS), "names said", "recognised"]
    header += ["correct", "false insertions", "per 100 utterances"]
    rows = []
    for system in systems:
        total = system.total
        rates = figures(total)["rates"]
        entities = total.entities
        cells = ["-" if rates[m] is None else f"{100 * rates[m]:.2f}" for m in RATIOS]
        numbers = [entities.reference, entities.hypothesis, entities.correct]
        numbers.append(entities.false_insertions)
        rows.append([system.name, *cells, *map(str, numbers), f"{rates[FALSE]:.2f}"])
    return markdown_table(header, rows)


def compare(
    systems: list[System], speakers: dict[str, str] | None, seed: int
) -> dict[str, dict[str, Comparison]]:
    """Compare every system but the first with the first, in every measure.

    Args:
        systems: Of the same lists.
        speakers: Speaker by utterance: then speakers are drawn, not utterances.
        seed: Of the bootstrap.

    Returns:
        By system and measure; measures without anything to divide by are left out.
    """
    first = systems[0]
    utts = sorted(first.counts[0])
    clusters = [speakers[utt] for utt in utts] if speakers is not None else None
    found: dict[str, dict[str, Comparison]] = {}
    for system in systems[1:]:
        sums = {
            measure: (first.sums(measure, utts), system.sums(measure, utts))
            for measure in RATIOS
        }
        defined = {
            measure: both
            for measure, both in sums.items()
            if all(sum(map(sum, below)) > 0 for _, below in both)
        }
        found[system.name] = paired_ratios(defined, clusters, seed=seed)
    return found


def comparison_table(found: dict[str, dict[str, Comparison]], first: str) -> str:
    """Return the Markdown table of the differences, in points."""
    header = ["system, measure", f"difference to {first}", "95 % interval", "p"]
    rows = [
        [
            f"{name}, {measure}",
            f"{100 * one.difference:+.2f}",
            f"{100 * one.low:+.2f} to {100 * one.high:+.2f}",
            f"{one.p:.4f}",
        ]
        for name, measures in found.items()
        for measure, one in measures.items()
    ]
    return markdown_table(header, rows)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Score systems with lists of names.")
    parser.add_argument(
        "systems", nargs="+", metavar="NAME=TEXT[,TEXT...]", help="hypotheses, by comma"
    )
    parser.add_argument(
        "--lists", action="append", required=True, help="file of four columns"
    )
    parser.add_argument("--ignore_case", action="store_true")
    parser.add_argument(
        "--utt2spk", help="draw speakers in the bootstrap, not utterances"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", help="file for the tables; default: only printed")
    parser.add_argument("--json", help="file for all counts, rates and differences")
    return parser


def score(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return the tables and the content of the JSON file.

    Raises:
        DataError: Files that are faulty or do not belong together.
        ListError: A faulty file of lists.
    """
    for path in args.lists:
        if not Path(path).is_file():
            raise DataError([f"{path}: no such file of lists"])
    lists = [read_references(path, args.ignore_case) for path in args.lists]
    for path, one in zip(args.lists, lists, strict=True):
        if not any(x.phrases for x in one.values()):
            raise DataError([f"--lists {path}: no phrase in any list"])
        if {u: x.text for u, x in one.items()} != {
            u: x.text for u, x in lists[0].items()
        }:
            raise DataError([f"{path}: other utterances or texts than {args.lists[0]}"])
    systems = [read_system(text, lists, args.ignore_case) for text in args.systems]
    names = [system.name for system in systems]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError([f"{twice[0]}: two systems have this name"])
    speakers = None
    if args.utt2spk:
        speakers = read_text(args.utt2spk)
        missing = [utt for utt in lists[0] if utt not in speakers]
        if missing:
            raise DataError([f"{args.utt2spk}: no speaker of {missing[0]}"])
    table = score_table(systems)
    compared = compare(systems, speakers, args.seed)
    if compared:
        table += "\n" + comparison_table(compared, systems[0].name)
    content = {
        "lists": args.lists,
        "systems": {s.name: {"texts": s.texts, **figures(s.total)} for s in systems},
        "compared_with": systems[0].name,
        "differences": {
            name: {measure: vars(one) for measure, one in measures.items()}
            for name, measures in compared.items()
        },
        "versions": versions(),
    }
    return table, content


def main(cmd: list[str] | None = None) -> int:
    """Score; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        table, content = score(args)
    except (DataError, ListError) as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:  # too few utterances or speakers for a bootstrap
        print(error, file=sys.stderr)
        return 1
    print(table, end="")
    if args.output:
        write_atomic(args.output, table)
    if args.json:
        write_atomic(args.json, json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
