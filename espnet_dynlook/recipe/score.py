"""Score one decoded set: words, characters, real-time factor, latencies.

Command: ``python -m espnet_dynlook.recipe.score --data_dir dump/raw/test --decode_dir
exp/asr_x/inference/test``. Writes ``score_wer`` and ``score_cer``, each with
``ref.trn``, ``hyp.trn``, ``result.txt`` (sclite's columns) and ``result.json``.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from platform import python_version

import numpy as np

import espnet_dynlook
from espnet_dynlook.metrics.streamed import LATENCIES
from espnet_dynlook.metrics.wer import (
    ErrorCounts,
    pool,
    score_utterances,
    split_characters,
    split_words,
)
from espnet_dynlook.recipe.cleaner import clean_texts
from espnet_dynlook.recipe.data_dir import DataError, read_text
from espnet_dynlook.recipe.whole_files import whole_folder

COLUMNS = ("Snt", "Wrd", "Corr", "Sub", "Del", "Ins", "Err", "S.Err")
SPLITS: dict[str, Callable[[str], list[str]]] = {
    "wer": split_words,
    "cer": split_characters,
}


def versions() -> dict[str, str]:
    """Return the versions that a figure depends on."""
    found = {
        "python": python_version(),
        "espnet_dynlook": espnet_dynlook.__version__,
    }
    for name in ("espnet", "torch", "jiwer"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def read_clean_text(path: Path, symbols: list[str], cleaner: str) -> dict[str, str]:
    """Read transcripts without non-linguistic symbols, through ESPnet's cleaner."""
    text = clean_texts(read_text(path), cleaner)
    for symbol in symbols:
        text = {utt: line.replace(symbol, "") for utt, line in text.items()}
    return text


def real_time_factor(path: Path) -> float | None:
    """Return seconds spent per second of audio over a ``decode_seconds`` file."""
    if not path.exists():
        return None
    pairs = [line.split() for line in read_text(path).values()]
    audio = sum(float(pair[1]) for pair in pairs)
    return sum(float(pair[0]) for pair in pairs) / audio if audio else None


def lookahead(path: Path) -> dict[str, float] | None:
    """Return mean, p50 and p90 in ms over all values of a file, None without any.

    Of ``lookahead_ms`` these are the frames, of ``upl_ms`` the utterances, of the files
    of ``metrics.streamed`` tokens or utterances.
    """
    if not path.exists():
        return None
    frames = np.array(
        [float(value) for line in read_text(path).values() for value in line.split()]
    )
    if not len(frames):
        return None
    return {
        "mean": float(frames.mean()),
        "p50": float(np.percentile(frames, 50)),
        "p90": float(np.percentile(frames, 90)),
    }


def streamed(decode_dir: Path) -> dict[str, dict[str, float]]:
    """Return mean, p50 and p90 in ms of the latencies that streaming measured."""
    found = {one.name: lookahead(decode_dir / one.file) for one in LATENCIES}
    return {name: figures for name, figures in found.items() if figures is not None}


def percentages(counts: ErrorCounts) -> list[str]:
    """Return the eight columns of sclite: two counts, then percentages."""
    of_units = [
        counts.correct,
        counts.substitutions,
        counts.deletions,
        counts.insertions,
        counts.errors,
    ]
    cells = [str(counts.sentences), str(counts.units)]
    cells += [
        f"{100 * n / counts.units:.1f}" if counts.units else "-" for n in of_units
    ]
    return [*cells, f"{100 * counts.wrong_sentences / max(1, counts.sentences):.1f}"]


def result_table(counts: Mapping[str, ErrorCounts], utt2spk: Mapping[str, str]) -> str:
    """Return a table by speaker, its sums last, laid out like sclite's."""
    by_speaker: dict[str, list[ErrorCounts]] = {}
    for utt, one in counts.items():
        by_speaker.setdefault(utt2spk[utt], []).append(one)
    rows = [["SPKR", *COLUMNS]]
    rows += [[s, *percentages(pool(c))] for s, c in sorted(by_speaker.items())]
    rows.append(["Sum/Avg", *percentages(pool(counts.values()))])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "|" + "-" * (len(lines[0]) - 2) + "|"
    return "\n".join([rule, lines[0], rule, *lines[1:-1], rule, lines[-1], rule, ""])


def trn(
    text: Mapping[str, str],
    utt2spk: Mapping[str, str],
    split: Callable[[str], list[str]],
) -> str:
    """Return a NIST trn file: units, then ``(speaker-utterance)``."""
    return "".join(
        " ".join("<space>" if unit == " " else unit for unit in split(text[utt]))
        + f"\t({utt2spk[utt]}-{utt})\n"
        for utt in sorted(text)
    )


def score_set(
    data_dir: Path,
    decode_dir: Path,
    symbols: list[str],
    cleaner: str = "none",
    command: str = "",
) -> dict[str, ErrorCounts]:
    """Score one decoded set and write its ``score_wer`` and ``score_cer``.

    Returns:
        Pooled counts, by ``wer`` and ``cer``.

    Raises:
        DataError: A faulty file, or sets of utterances that differ.
    """
    # A cleaner is for transcripts: the model was trained on what it gives.
    references = read_clean_text(data_dir / "text", symbols, cleaner)
    hypotheses = read_clean_text(decode_dir / "text", symbols, "none")
    utt2spk = read_text(data_dir / "utt2spk")
    extra = {
        "rtf": real_time_factor(decode_dir / "decode_seconds"),
        "lookahead_ms": lookahead(decode_dir / "lookahead_ms"),
        "upl_ms": lookahead(decode_dir / "upl_ms"),
        "streamed_ms": streamed(decode_dir),
        "command": command,
        "versions": versions(),
    }
    pooled = {}
    for unit, split in SPLITS.items():
        try:
            counts = score_utterances(references, hypotheses, split)
        except ValueError as error:
            raise DataError([f"{decode_dir / 'text'}: {error}"]) from None
        total = pooled[unit] = pool(counts.values())
        with whole_folder(decode_dir / f"score_{unit}") as folder:
            for name, text in (("ref", references), ("hyp", hypotheses)):
                (folder / f"{name}.trn").write_text(
                    trn(text, utt2spk, split), encoding="utf-8"
                )
            (folder / "result.txt").write_text(
                result_table(counts, utt2spk), encoding="utf-8"
            )
            (folder / "result.json").write_text(
                json.dumps({**vars(total), **extra}, indent=1) + "\n", encoding="utf-8"
            )
    return pooled


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Score one decoded set.")
    parser.add_argument("--data_dir", required=True, help="references")
    parser.add_argument("--decode_dir", required=True, help="folder with the text")
    parser.add_argument("--nlsyms_txt", default="none", help="symbols not to score")
    parser.add_argument("--cleaner", default="none", help="for the references")
    parser.add_argument("--command", default="", help="what made this, for RESULTS.md")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Score; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    symbols: list[str] = []
    if args.nlsyms_txt != "none":
        symbols = Path(args.nlsyms_txt).read_text(encoding="utf-8").split()
    try:
        pooled = score_set(
            Path(args.data_dir),
            Path(args.decode_dir),
            symbols,
            args.cleaner,
            args.command,
        )
    except DataError as error:
        print(f"{len(error.faults)} faults\n{error}", file=sys.stderr)
        return 1
    for unit, counts in pooled.items():
        print(
            f"{unit.upper()} {100 * counts.rate:.2f} %: {args.decode_dir}/score_{unit}"
        )
    perceived = lookahead(Path(args.decode_dir) / "upl_ms")
    if perceived is not None:
        print(
            f"UPL {perceived['mean']:.0f} ms (p50 {perceived['p50']:.0f}, p90 "
            f"{perceived['p90']:.0f}): {args.decode_dir}/upl_ms"
        )
    for name, figures in streamed(Path(args.decode_dir)).items():
        print(
            f"{name} latency {figures['mean']:.0f} ms (p50 {figures['p50']:.0f}, p90 "
            f"{figures['p90']:.0f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
