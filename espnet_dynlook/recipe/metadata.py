"""Corpora given as a table: ``metadata.tsv`` and the recordings in a folder beside it.

The columns are utt, split (train, valid or test), text (or raw_text), perhaps speaker
(or spk), and whatever column says what must not straddle two sets, such as prompt. The
recordings are ``ogg/UTT.ogg``, ``flac/UTT.flac`` or ``wav/UTT.wav``.
"""

import csv
from pathlib import Path

from espnet_dynlook.recipe.corpus import CorpusError, Recording, normalize_text
from espnet_dynlook.recipe.data_dir import list_faults

AUDIO_FOLDERS = ("ogg", "flac", "wav")
SPLITS = ("train", "valid", "test")


def read_metadata(
    folder: Path, group: str, speaker: str | None = None
) -> tuple[list[Recording], dict[str, str]]:
    """Read a table and find its recordings.

    Args:
        folder: With ``metadata.tsv``.
        group: Column of what must not straddle two sets.
        speaker: Who speaks where there is no column for it; None: there must be one.

    Returns:
        The recordings, with the table's own identifiers, to which lists of names may
        refer; and the split of each utterance.

    Raises:
        CorpusError: Something is not as said above; every fault is listed.
    """
    table = folder / "metadata.tsv"
    audio = [folder / name for name in AUDIO_FOLDERS if (folder / name).is_dir()]
    if not table.is_file():
        raise CorpusError(f"looked for {table}, which is no file")
    if len(audio) != 1:
        raise CorpusError(
            f"{folder} has metadata.tsv: looked for exactly one of the folders "
            f"{', '.join(AUDIO_FOLDERS)} beside it, found {len(audio)}"
        )
    faults: list[str] = []
    lines = [line for _, line in lines_of(table, faults)]
    raise_faults(faults)
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = rows.fieldnames or []
    missing = {"utt", "split", group} - set(columns)
    if not {"text", "raw_text"} & set(columns):
        missing.add("text")
    if speaker is None and not {"speaker", "spk"} & set(columns):
        missing.add("speaker")
    if missing:
        raise CorpusError(
            f"{table}:1: no column {', '.join(sorted(missing))}; found "
            f"{', '.join(columns) or 'nothing'}"
        )
    recordings: list[Recording] = []
    splits: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        place = f"{table}:{number}"
        if any(value is None for value in row.values()) or None in row:
            faults.append(f"{place}: expected {len(columns)} columns")
            continue
        if row["split"] not in SPLITS:
            faults.append(
                f"{place}: split {row['split']!r} is not train, valid or test"
            )
            continue
        path = audio[0] / f"{row['utt']}.{audio[0].name}"
        try:
            text = normalize_text(row.get("text") or row["raw_text"])
        except ValueError as error:
            faults.append(f"{place}: {error}")
            continue
        name = row.get("speaker") or row.get("spk") or speaker
        if not text:
            faults.append(f"{place}: the transcript is empty")
        elif not name:
            faults.append(f"{place}: the speaker is empty")
        elif not path.is_file():
            faults.append(f"{place}: the recording {path} does not exist")
        elif row["utt"] in splits:
            faults.append(f"{place}: utterance {row['utt']} is there twice")
        else:
            cased = row.get("raw_text") or ""
            recordings.append(
                Recording(row["utt"], name, path.absolute(), text, row[group], cased)
            )
            splits[row["utt"]] = row["split"]
    raise_faults(faults)
    return recordings, splits


def lines_of(path: Path, faults: list[str]) -> list[tuple[str, str]]:
    """Return the lines of a UTF-8 file that hold something, each with its place."""
    lines = []
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        place = f"{path}:{number}"
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            faults.append(f"{place}: not UTF-8 (byte {raw[error.start]:#04x})")
            continue
        if line.strip():
            lines.append((place, line.strip("\r\n ")))
    return lines


def raise_faults(faults: list[str]) -> None:
    """Raise the faults, if there are any, as one CorpusError."""
    if faults:
        raise CorpusError(list_faults(faults))
