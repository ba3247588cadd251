# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Held-out loss, errors, latencies and token delays of a trained model.

One process and one batched pass a set: the loss of the transcript (CTC, or the
transducer's), greedy decoding, the latency of every frame with rounded masks, and how
long after the end of its word every token is there. ::

    python -m espnet_dynlook.bin.asr_evaluate --asr_train_config exp/asr_x/config.yaml \
        --asr_model_file exp/asr_x/valid.loss.ave.pth \
        --data_dir dump/raw/valid dump/raw/test --output_dir exp/asr_x/evaluate

writes, in a folder a set:

- ``utterances.jsonl``: an utterance a line, see ``SetEvaluation.row``;
- ``lookahead_ms`` and ``text``: as ``asr_inference`` writes them;
- ``result.json``: the figures of the set, see ``summary``, written last.
"""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_dynlook import config
from espnet_dynlook.bin.decoding import add_wait
from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.bin.evaluation import DataFile, SetEvaluation, Words, read_column
from espnet_dynlook.metrics.ctm import read_ctm, write_ctm
from espnet_dynlook.metrics.summary import summary
from espnet_dynlook.model.waiting import set_wait


def evaluate_set(
    evaluation: SetEvaluation,
    files: Sequence[DataFile],
    alignment: Mapping[str, Words] | None,
    folder: Path,
    write_alignment: Path | None = None,
) -> dict[str, Any]:
    """Evaluate one set and write its folder; ``result.json`` says that it is whole.

    Args:
        evaluation: The model, under a kind of lookahead.
        files: Of the set.
        alignment: The words of each utterance, for token delays.
        folder: Where to write.
        write_alignment: CTM file for the words that the model itself finds.

    Raises:
        ConfigError: the set has no transcripts, or the alignment is of another set.
    """
    texts = [Path(path) for path, name, _ in files if name == "text"]
    if len(texts) != 1:
        raise config.ConfigError("name one file of transcripts: FILE,text,text")
    references = read_column(texts[0])
    speakers = read_column(texts[0].parent / "utt2spk")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    rows: dict[str, dict[str, Any]] = {}
    waits: dict[str, list[float]] = {}
    aligned: dict[str, Words] = {}
    for key, utterance, result in evaluation.evaluate(files):
        reference = evaluation.preprocess.text_cleaner(references[key])
        words = evaluation.words_with_times(utterance, result, reference)
        if words is not None:
            aligned[key] = words
        elif alignment is not None:
            words = alignment.get(key)
        row = evaluation.row(utterance, result, reference, words)
        rows[key] = {"utt": key, "speaker": speakers.get(key, key), **row}
        waits[key] = [] if result is None else result.latencies.tolist()
    if alignment is not None and rows.keys().isdisjoint(alignment):
        raise config.ConfigError(f"--alignment has no utterance of {texts[0]}")
    if write_alignment is not None:
        write_ctm(write_alignment, aligned)
    for name, lines in (
        ("utterances.jsonl", [json.dumps(row) for row in rows.values()]),
        ("text", [f"{key} {row['text']}".rstrip() for key, row in rows.items()]),
        (
            "lookahead_ms",
            [" ".join([key, *(f"{x:.1f}" for x in w)]) for key, w in waits.items()],
        ),
    ):
        content = "".join(f"{line}\n" for line in lines)
        (folder / name).write_text(content, encoding="utf-8")
    figures = {
        "kind": evaluation.kind,
        "criterion": evaluation.evaluator.criterion,
        **summary(rows, [one for row in waits.values() for one in row]),
    }
    text = json.dumps(figures, indent=1) + "\n"
    (folder / "result.json.new").write_text(text, encoding="utf-8")
    (folder / "result.json.new").replace(folder / "result.json")
    return figures


def _data_file(text: str) -> DataFile:
    parts = text.rsplit(",", 2)
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} has to be FILE,NAME,TYPE")
    return parts[0], parts[1], parts[2]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        prog="asr_evaluate",
        description="Held-out loss, errors, latencies and token delays of a model.",
    )
    parser.add_argument("--asr_train_config", required=True, metavar="config.yaml")
    parser.add_argument("--asr_model_file", required=True, metavar="FILE.pth")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data_dir",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="data directories with the files of the training; each goes to a folder "
        "of its name below --output_dir",
    )
    data.add_argument(
        "--data_path_and_name_and_type",
        action="append",
        type=_data_file,
        metavar="FILE,NAME,TYPE",
        help="as ESPnet's: the files of one set, which goes to --output_dir itself",
    )
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument(
        "--override",
        nargs="+",
        metavar="KIND",
        help="fixed kinds of lookahead in place of the model's own, each in a folder "
        "of its name below --output_dir: causal, full, chunked:7, layerwise:1, "
        "layerwise_total:5",
    )
    parser.add_argument(
        "--alignment",
        type=Path,
        help="words with their times, for token delays: a CTM file, or a folder with "
        "SET.ctm, as --write_alignment leaves it",
    )
    parser.add_argument(
        "--write_alignment",
        type=Path,
        metavar="DIR",
        help="write SET.ctm there: the transcripts aligned by this model under full "
        "lookahead; token delays are then measured against it",
    )
    add_wait(parser)
    parser.add_argument("--ngpu", type=int, default=0, choices=[0, 1])
    parser.add_argument("--num_workers", type=int, default=0, help="that read data")
    parser.add_argument("--log_level", default="INFO")
    return parser


def read_words(alignment: Path | None, name: str) -> dict[str, Words] | None:
    """Read the words of a set; None without an alignment.

    Args:
        alignment: A CTM file, or a folder with ``NAME.ctm``.
        name: Of the set.

    Raises:
        ConfigError: there is no such file, or it is no CTM file.
    """
    if alignment is None:
        return None
    path = alignment / f"{name}.ctm" if alignment.is_dir() else alignment
    try:
        return read_ctm(path)
    except ValueError as error:
        raise config.ConfigError(f"--alignment {error}") from None


def main(cmd: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Evaluate.

    Args:
        cmd: Arguments as on the command line; None: those of this process.

    Returns:
        The content of each set's result.json, by the set's name, or by ``KIND/NAME``
        under the kinds of ``--override``.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: an argument does not fit the model or the data.
    """
    args = get_parser().parse_args(sys.argv[1:] if cmd is None else cmd)
    logging.basicConfig(
        level=args.log_level,
        format="%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s",
    )
    if args.alignment is not None and args.write_alignment is not None:
        raise config.ConfigError(
            "--alignment and --write_alignment: the first is what token delays are "
            "measured against, and so is what the second writes; give one of them"
        )
    evaluation = SetEvaluation(args)
    try:
        set_wait(evaluation.model, args.wait)
    except ValueError as error:
        raise config.ConfigError(f"--wait: {error}") from None
    sets: dict[str, tuple[list[DataFile], str]] = {}
    for folder in args.data_dir or []:
        sets[folder.name] = (evaluation.files_of(folder), folder.name)
    if args.data_path_and_name_and_type:
        sets[args.output_dir.name] = (args.data_path_and_name_and_type, "")
    found = {}
    alignment = args.alignment
    for number, kind in enumerate(args.override or [None]):
        write = args.write_alignment if number == 0 else None
        if number:  # the words are the same under every kind
            alignment = alignment or args.write_alignment
        evaluation.use_kind(kind, align=write is not None)
        out = args.output_dir / (kind.replace(":", "_") if kind else "")
        for name, (files, below) in sets.items():
            words = read_words(alignment, name)
            ctm = write / f"{name}.ctm" if write is not None else None
            key = f"{kind}/{name}" if kind else name
            found[key] = evaluate_set(evaluation, files, words, out / below, ctm)
            logging.info(f"{key}: {json.dumps(found[key])}")
    return found


def program() -> None:
    """Evaluate, and say in one line what the user can put right."""
    with in_one_line("asr_evaluate"):
        main()


if __name__ == "__main__":
    program()
