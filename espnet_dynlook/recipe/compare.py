"""Compare systems on one set: error rates by seed, lookahead, paired bootstrap.

The bootstrap draws utterances (or speakers) and, of systems with several, seeds.

A system is a name and the decoded folders of its seeds. Command::

    python -m espnet_dynlook.recipe.compare \
        stock=exp/asr_stock_s1/inference/test,exp/asr_stock_s2/inference/test \
        causal=exp/asr_causal_s1/inference/test,exp/asr_causal_s2/inference/test

writes a Markdown table; each system is compared with the first.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from espnet_dynlook.metrics.bootstrap import paired_bootstrap
from espnet_dynlook.metrics.wer import (
    ErrorCounts,
    pool,
    score_utterances,
)
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.score import lookahead
from espnet_dynlook.recipe.whole_files import write_atomic


@dataclass
class System:
    """A system's errors on one set.

    Attributes:
        name: For the table.
        folders: Decoded folders, one a seed, scored by ``recipe.score``.
        counts: Counts by utterance, one mapping a seed.
        speakers: Speaker of each utterance.
    """

    name: str
    folders: list[Path]
    counts: list[dict[str, ErrorCounts]]
    speakers: dict[str, str]

    def errors(self, utts: list[str]) -> list[list[int]]:
        """Return the errors by seed and utterance, (S, N)."""
        return [[seed[utt].errors for utt in utts] for seed in self.counts]


def read_trn(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Read a trn file into its texts and speakers, by utterance.

    Utterance ids are ``(speaker-utterance)`` there; the pair is the key.

    Raises:
        DataError: The file is missing or a line has no id.
    """
    if not path.exists():
        raise DataError([f"{path} does not exist: score the folder first (stage 13)"])
    texts, speakers = {}, {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        text, _, key = line.rpartition("\t")
        if not (key.startswith("(") and key.endswith(")") and "-" in key):
            raise DataError([f"{path}:{number}: no (speaker-utterance) at the end"])
        texts[key] = text
        speakers[key] = key[1:].split("-", 1)[0]
    return texts, speakers


def read_system(argument: str, unit: str) -> System:
    """Read a system given as ``name=folder,folder``; a bare folder names itself."""
    name, equals, listed = argument.partition("=")
    folders = [Path(part) for part in (listed if equals else name).split(",") if part]
    if not folders:
        raise DataError([f"{argument}: no folder; write name=folder,folder"])

    counts: list[dict[str, ErrorCounts]] = []
    speakers: dict[str, str] = {}
    for folder in folders:
        score = folder / f"score_{unit}"
        references, speakers = read_trn(score / "ref.trn")
        hypotheses, _ = read_trn(score / "hyp.trn")
        try:
            counts.append(score_utterances(references, hypotheses))
        except ValueError as error:
            raise DataError([f"{score}: {error}"]) from None
        if counts[0].keys() != counts[-1].keys():
            raise DataError([f"{score}: other utterances than {folders[0]}"])
    return System(name, folders, counts, speakers)


def mean_lookahead(system: System) -> str:
    """Return the mean lookahead in ms over the seeds, or a dash."""
    found = [lookahead(folder / "lookahead_ms") for folder in system.folders]
    means = [one["mean"] for one in found if one is not None]
    return f"{sum(means) / len(means):.0f}" if means else "-"


def compare(systems: list[System], unit: str, by_speaker: bool, seed: int) -> str:
    """Return the Markdown table; rows after the first are compared with the first.

    Raises:
        DataError: The systems were scored on different sets.
    """
    first = systems[0]
    utts = sorted(first.counts[0])
    clusters = [first.speakers[utt] for utt in utts] if by_speaker else None
    rows = []
    for system in systems:
        units = [system.counts[0][utt].units for utt in utts if utt in system.counts[0]]
        expected = [first.counts[0][utt].units for utt in utts]
        if sorted(system.counts[0]) != utts or units != expected:
            raise DataError(
                [f"{system.folders[0]}: scored on another set than {first.folders[0]}"]
            )
        total = pool(one for by_utt in system.counts for one in by_utt.values())
        rates = [100 * pool(by_utt.values()).rate for by_utt in system.counts]
        cells = [
            system.name,
            " ".join(f"{rate:.2f}" for rate in rates),
            f"{100 * total.rate:.2f}",
            mean_lookahead(system),
        ]
        if system is first:
            cells += ["", "", ""]
        else:
            found = paired_bootstrap(
                first.errors(utts), system.errors(utts), expected, clusters, seed=seed
            )
            cells += [
                f"{100 * found.difference:+.2f}",
                f"{100 * found.low:+.2f} to {100 * found.high:+.2f}",
                f"{found.p:.4f}",
            ]
        rows.append(cells)
    header = [
        "system",
        f"{unit.upper()} by seed (%)",
        "pooled",
        "lookahead mean (ms)",
        f"difference to {first.name}",
        "95 % interval",
        "p",
    ]
    return markdown_table(header, rows)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Compare systems on one set by paired bootstrap."
    )
    parser.add_argument(
        "systems", nargs="+", metavar="NAME=FOLDER[,FOLDER...]", help="seeds by comma"
    )
    parser.add_argument("--unit", choices=["wer", "cer"], default="wer")
    parser.add_argument(
        "--by_speaker", action="store_true", help="draw speakers, not utterances"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", help="file for the table; default: only printed")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Compare; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        systems = [read_system(argument, args.unit) for argument in args.systems]
        table = compare(systems, args.unit, args.by_speaker, args.seed)
    except (DataError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(table, end="")
    if args.output:
        write_atomic(args.output, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
