"""VoxPopuli's transcribed part as Meta's project lays it out, read into segments.

Below one root (github.com/facebookresearch/voxpopuli, download_audios.py and
get_asr_data.py)::

    transcribed_data/en/asr_en.tsv.gz                    one segment a row
    raw_audios/original/<year>/<session>_original.ogg    whole debates
    transcribed_data/en/<year>/<session>-<id_>.ogg       cut segments, if they are there

Rows have a ``|`` between columns, with quotes as csv does them: id_, session_id,
speaker_id, original_text, normed_text, vad, split, gender and some that are not read
here; asr_en_accented.tsv.gz has accent too. ``vad`` lists the (start, end) in seconds
whose audio, joined, is the segment.
"""

import ast
import csv
import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from espnet_dynlook.recipe.corpus import CorpusError, normalize_text

SPLITS = ("train", "dev", "test")
COLUMNS = (
    "id_",
    "session_id",
    "speaker_id",
    "original_text",
    "normed_text",
    "vad",
    "split",
)
LONGEST_FIELD = 1 << 24  # characters; vad of a long speech has many
FASTEST = 40  # characters a second; more is a text of other audio


@dataclass(frozen=True)
class Segment:
    """One utterance.

    Attributes:
        utt: Identifier, as in the names of Meta's cut files and in SLUE.
        session: The debate.
        speaker: Identifier; the session's where none is given.
        split: The project's own set.
        text: Upper case A-Z, apostrophe and single spaces.
        cased: As written, with punctuation; "" where there is none.
        spans: Start and end in seconds of what is joined.
        gender: As given; "" where it is not.
        accent: As given; "" where it is not.
    """

    utt: str
    session: str
    speaker: str
    split: str
    text: str
    cased: str
    spans: tuple[tuple[float, float], ...]
    gender: str = ""
    accent: str = ""

    @property
    def year(self) -> str:
        """The folder that its session is in."""
        return self.session[:4]


class Unusable(ValueError):
    """A row that is no utterance to train or test on; the message is the reason."""


def annotations(root: Path, accented: bool = False) -> Path:
    """Return the path of the annotations below a root."""
    name = "en_accented" if accented else "en"
    return root / "transcribed_data" / name / f"asr_{name}.tsv.gz"


def recording(root: Path, session: str) -> Path:
    """Return the path of a session's recording below a root."""
    name = f"{session}_original.ogg"
    return root / "raw_audios" / "original" / session[:4] / name


def read_annotations(
    path: Path, years: set[str] | None = None
) -> tuple[list[Segment], list[tuple[str, str, str]]]:
    """Read the segments of some years (None: of all).

    Returns:
        The segments, and what was left out: utterance, split and reason.

    Raises:
        CorpusError: The file is missing, damaged, or has other columns.
    """
    segments: list[Segment] = []
    left_out: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for row in _rows(path):
        split, session = row["split"], row["session_id"]
        if split not in SPLITS or (years is not None and session[:4] not in years):
            continue
        utt = f"{session}-{row['id_']}"
        try:
            if utt in seen:
                raise Unusable("there twice")
            segments.append(_segment(utt, row))
            seen.add(utt)
        except Unusable as error:
            left_out.append((utt, split, str(error)))
    if not segments:
        found = "of these years" if years is not None else "at all"
        raise CorpusError(
            f"{path}: no segment {found} that can be used\n{reasons(left_out)}".rstrip()
        )
    return segments, left_out


def check_columns(path: Path, rows: csv.DictReader, columns: Iterable[str]) -> None:
    """Check that a table has columns.

    Raises:
        CorpusError: It lacks some; names them, and those that it has.
    """
    missing = set(columns) - set(rows.fieldnames or ())
    if missing:
        raise CorpusError(
            f"{path}: no column {', '.join(sorted(missing))}; found "
            f"{', '.join(rows.fieldnames or ()) or 'nothing'}"
        )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines, delimiter="|")
            check_columns(path, rows, COLUMNS)
            for row in rows:
                # Cells of a row that is cut short, and those over: none and a list.
                yield {k: v for k, v in row.items() if k} | {
                    name: row[name] or "" for name in COLUMNS
                }
    except FileNotFoundError:
        raise CorpusError(f"looked for {path}, which is no file") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path} is damaged ({error}): remove it and fetch it again"
        ) from None


def _segment(utt: str, row: dict[str, str]) -> Segment:
    if not re.fullmatch(r"\d{4}[^\s/]*-[^\s/]+", utt):
        raise Unusable("faulty identifier")
    cased = " ".join(row["original_text"].split())
    try:
        text = normalize_text(row["normed_text"].strip() or cased)
    except ValueError:
        raise Unusable("text that cannot be spelled in A-Z") from None
    if not text:
        raise Unusable("no text")
    spans = _spans(row["vad"])
    if len(text) > FASTEST * sum(end - start for start, end in spans):
        raise Unusable(f"more than {FASTEST} characters a second")
    return Segment(
        utt=utt,
        session=row["session_id"],
        speaker=_given(row, "speaker_id") or row["session_id"],
        split=row["split"],
        text=text,
        cased=cased,
        spans=spans,
        gender=_given(row, "gender"),
        accent=_given(row, "accent"),
    )


def _given(row: dict[str, str], column: str) -> str:
    """Return a cell of one word; "" where nothing is known."""
    value = "_".join((row.get(column) or "").split())
    return "" if value in ("None", "nan") else value


def _spans(vad: str) -> tuple[tuple[float, float], ...]:
    try:
        # More than two values stand in some lists: what was recognised there.
        spans = tuple((float(s[0]), float(s[1])) for s in ast.literal_eval(vad))
    except (ValueError, SyntaxError, TypeError, IndexError):
        raise Unusable("times that cannot be read") from None
    if not spans:
        raise Unusable("no times")
    if not all(0 <= s < e < math.inf for s, e in spans):
        raise Unusable("times that run backwards")
    return spans


def reasons(left_out: list[tuple[str, str, str]]) -> str:
    """Say how many were left out, by set and reason."""
    counts = Counter((split, reason) for _, split, reason in left_out)
    return "".join(
        f"left out of {split}: {count} with {reason}\n"
        for (split, reason), count in sorted(counts.items())
    )
