"""The layouts in which CMU ARCTIC-style corpora come, read into recordings.

* CMU: ``etc/txt.done.data`` and ``wav/`` for one voice (festvox.org/cmu_arctic), or a
  folder with several such folders. No split is given: the test set is chosen by prompt.
* Table: ``metadata.tsv`` (columns utt, prompt, split, text or raw_text, optionally
  speaker) and the recordings in ``ogg/``, ``flac/`` or ``wav/``. Its split is kept.
"""

import csv
import re
from pathlib import Path

from espnet_dynlook.recipe.corpus import CorpusError, Recording, normalize_text
from espnet_dynlook.recipe.data_dir import list_faults

AUDIO_FOLDERS = ("ogg", "flac", "wav")
# ( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )
PROMPT_LINE = re.compile(r'^\(\s*(?P<prompt>\S+)\s+"(?P<text>.*)"\s*\)$')


def speaker_of(folder: Path) -> str:
    """Return ``bdl`` of ``cmu_us_bdl_arctic``, ``kathleen`` of ``arctic_kathleen``."""
    name = folder.resolve().name.lower()
    name = re.sub(r"^(cmu_us_|cmu_)|^arctic_|_arctic$", "", name)
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "speaker"


def read_corpus(folder: Path) -> tuple[list[Recording], dict[str, str]]:
    """Read whichever layout ``folder`` has.

    Returns:
        The recordings, and the split that the corpus itself gives to each utterance
        (empty where it gives none).

    Raises:
        CorpusError: No layout fits, or something in it is wrong; every fault is listed.
    """
    if not folder.is_dir():
        raise CorpusError(f"--arctic {folder}: there is no such folder")
    if (folder / "metadata.tsv").is_file():
        return _read_table(folder)
    voices = [p for p in (folder, *sorted(folder.iterdir())) if _is_voice(p)]
    if not voices:
        raise CorpusError(
            f"--arctic {folder}: found neither {folder / 'metadata.tsv'} nor "
            f"{folder / 'etc' / 'txt.done.data'} nor any "
            f"{folder / '*' / 'etc' / 'txt.done.data'}"
        )
    faults: list[str] = []
    recordings = [r for voice in voices for r in _read_voice(voice, faults)]
    _raise_faults(faults)
    return recordings, {}


def _is_voice(folder: Path) -> bool:
    return (folder / "etc" / "txt.done.data").is_file()


def _read_voice(folder: Path, faults: list[str]) -> list[Recording]:
    """Read one voice in the CMU layout."""
    prompts = folder / "etc" / "txt.done.data"
    speaker = speaker_of(folder)
    recordings = []
    for place, line in _lines(prompts, faults):
        match = PROMPT_LINE.match(line)
        if match is None:
            faults.append(f'{place}: expected ( NAME "TEXT" ), found {line!r}')
            continue
        path = folder / "wav" / f"{match['prompt']}.wav"
        try:
            text = normalize_text(match["text"].replace('\\"', ""))
        except ValueError as error:
            faults.append(f"{place}: {error}")
            continue
        if not text:
            faults.append(f"{place}: the transcript is empty")
        elif not path.is_file():
            faults.append(f"{place}: the recording {path} does not exist")
        else:
            utt = f"{speaker}_{match['prompt']}"
            prompt = match["prompt"]
            recordings.append(Recording(utt, speaker, path.absolute(), text, prompt))
    return recordings


def _read_table(folder: Path) -> tuple[list[Recording], dict[str, str]]:
    table = folder / "metadata.tsv"
    audio = [folder / name for name in AUDIO_FOLDERS if (folder / name).is_dir()]
    if len(audio) != 1:
        raise CorpusError(
            f"{folder} has metadata.tsv: looked for exactly one of the folders "
            f"{', '.join(AUDIO_FOLDERS)} beside it, found {len(audio)}"
        )
    faults: list[str] = []
    lines = [line for _, line in _lines(table, faults)]
    _raise_faults(faults)
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = rows.fieldnames or []
    missing = {"utt", "prompt", "split"} - set(columns)
    if not {"text", "raw_text"} & set(columns):
        missing.add("text")
    if missing:
        raise CorpusError(
            f"{table}:1: no column {', '.join(sorted(missing))}; found "
            f"{', '.join(columns) or 'nothing'}"
        )
    recordings, splits = [], {}
    for number, row in enumerate(rows, 2):
        place = f"{table}:{number}"
        if any(value is None for value in row.values()) or None in row:
            faults.append(f"{place}: expected {len(columns)} columns")
            continue
        if row["split"] not in ("train", "valid", "test"):
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
        if not text:
            faults.append(f"{place}: the transcript is empty")
        elif not path.is_file():
            faults.append(f"{place}: the recording {path} does not exist")
        elif row["utt"] in splits:
            faults.append(f"{place}: utterance {row['utt']} is there twice")
        else:
            # The identifiers stay as they are: lists of names refer to them.
            speaker = row.get("speaker") or speaker_of(folder)
            recordings.append(
                Recording(row["utt"], speaker, path.absolute(), text, row["prompt"])
            )
            splits[row["utt"]] = row["split"]
    _raise_faults(faults)
    return recordings, splits


def _lines(path: Path, faults: list[str]) -> list[tuple[str, str]]:
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


def _raise_faults(faults: list[str]) -> None:
    if faults:
        raise CorpusError(list_faults(faults))
