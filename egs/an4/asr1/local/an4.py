"""The layouts in which AN4 comes, read into utterances.

* CMU's recordings, as ``an4_sphere.tar.gz`` unpacks: ``etc/an4_train.transcription``,
  ``etc/an4_test.transcription`` and ``wav/an4_clstk/SPEAKER/UTT.sph``,
  ``wav/an4test_clstk/SPEAKER/UTT.sph``; or those as .wav or .flac.
* CMU's features as arrays: ``mfcc/train.npz``, ``mfcc/test.npz`` (feats, offsets, utts)
  and ``mfcc/train.tsv``, ``mfcc/test.tsv`` (columns utt, spk, frames, text).
"""

import csv
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_dynlook.recipe.corpus import CorpusError, Recording, normalize_text
from espnet_dynlook.recipe.metadata import lines_of, raise_faults

PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
SUFFIXES = (".sph", ".wav", ".flac")
# <s> YES </s> (an251-fash-b), in the test set without <s> and </s>
LINE = re.compile(r"^(?:<s>)?(?P<text>[^<>()]*)(?:</s>)?\s*\((?P<utt>[^()\s]+)\)$")
# an251-fash-b: what was said, who said it, close-talking microphone
UTT = re.compile(r"^[a-z]+\d+-(?P<speaker>[a-z0-9]+)-b$")


@dataclass(frozen=True)
class Part:
    """The training or the test part of the corpus.

    Attributes:
        recordings: Utterances. Where there are features and no audio, ``path`` is the
            NumPy file they come from.
        features: (T, 13) of each utterance, float32; None where there is audio.
    """

    recordings: list[Recording]
    features: dict[str, np.ndarray] | None


def has_features(folder: Path) -> bool:
    """Say whether a copy of the corpus has features in the place of recordings."""
    return (folder / "mfcc").is_dir()


def read_part(folder: Path, name: str) -> Part:
    """Read the part ``train`` or ``test`` in whichever layout ``folder`` has.

    Raises:
        CorpusError: No layout fits, or something in it is wrong; every fault is listed.
    """
    if not folder.is_dir():
        raise CorpusError(f"--an4 {folder}: there is no such folder")
    if has_features(folder):
        return _read_features(folder / "mfcc", name)
    if (folder / "an4" / "etc").is_dir():
        folder = folder / "an4"
    transcription = folder / "etc" / f"an4_{name}.transcription"
    if not transcription.is_file():
        raise CorpusError(
            f"--an4 {folder}: found neither {folder / 'mfcc'} nor {transcription}"
        )
    return Part(_read_recordings(folder, name, transcription), None)


def _read_recordings(folder: Path, name: str, transcription: Path) -> list[Recording]:
    faults: list[str] = []
    recordings = []
    for place, line in lines_of(transcription, faults):
        match = LINE.match(line)
        utt = UTT.match(match["utt"]) if match else None
        if match is None or utt is None:
            faults.append(f"{place}: expected TEXT (NAME-SPEAKER-b), found {line!r}")
            continue
        speaker = utt["speaker"]
        stem = folder / "wav" / PARTS[name] / speaker / match["utt"]
        paths = [stem.with_suffix(suffix) for suffix in SUFFIXES]
        path = next((path for path in paths if path.is_file()), None)
        text = _words(match["text"], place, faults)
        if path is None:
            others = ", ".join(SUFFIXES[1:])
            faults.append(
                f"{place}: the recording {paths[0]} (or {others}) does not exist"
            )
        elif text:
            recordings.append(
                Recording(match["utt"], speaker, path.absolute(), text, speaker)
            )
    raise_faults(faults)
    return recordings


def _read_features(folder: Path, name: str) -> Part:
    path, table = folder / f"{name}.npz", folder / f"{name}.tsv"
    faults = [
        f"looked for {p}, which is no file" for p in (path, table) if not p.is_file()
    ]
    raise_faults(faults)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            feats, offsets, utts = (arrays[k] for k in ("feats", "offsets", "utts"))
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise CorpusError(
            f"{path} is not an archive of feats, offsets and utts: {error}"
        ) from None
    if len(offsets) != len(utts) + 1 or offsets[-1] != len(feats):
        raise CorpusError(
            f"{path}: {len(utts)} utterances, {len(offsets)} offsets up to "
            f"{offsets[-1] if len(offsets) else 'nothing'}, {len(feats)} frames: they "
            "do not belong together"
        )
    bounds = zip(utts, offsets[:-1], offsets[1:], strict=True)
    features = {str(utt): feats[start:end] for utt, start, end in bounds}
    lines = [line for _, line in lines_of(table, faults)]
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = {"utt", "spk", "text"} - set(rows.fieldnames or [])
    if missing:
        raise CorpusError(f"{table}:1: no column {', '.join(sorted(missing))}")
    recordings = []
    for number, row in enumerate(rows, 2):
        place = f"{table}:{number}"
        text = _words(row["text"] or "", place, faults)
        if row["utt"] not in features:
            faults.append(f"{place}: {row['utt']} has no features in {path}")
        elif text:
            speaker = row["spk"]
            recordings.append(Recording(row["utt"], speaker, path, text, speaker))
    raise_faults(faults)
    return Part(recordings, features)


def _words(text: str, place: str, faults: list[str]) -> str:
    """Return the normalized words, or note a fault and return nothing."""
    try:
        words = normalize_text(text)
    except ValueError as error:
        faults.append(f"{place}: {error}")
        return ""
    if not words:
        faults.append(f"{place}: the transcript is empty")
    return words
