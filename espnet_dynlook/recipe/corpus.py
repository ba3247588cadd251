"""What every data preparation does: read text, split without leaks, write sets."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_dynlook.recipe.data_dir import DataDir, write_data_dir
from espnet_dynlook.recipe.whole_files import write_atomic


class CorpusError(Exception):
    """A corpus is not what was expected; the message says what was looked for."""


#: File of transcripts as they are written, beside ``text``.
CASED = "text_cased"


@dataclass(frozen=True)
class Recording:
    """One utterance of a corpus.

    Attributes:
        utt: Identifier, unique in the corpus.
        speaker: Identifier of the speaker.
        path: The audio file.
        text: Transcript, upper case A-Z, apostrophe and single spaces.
        group: What must not straddle two sets, such as the prompt.
        cased: Transcript as written, with punctuation; "" where that is not known.
    """

    utt: str
    speaker: str
    path: Path
    text: str
    group: str
    cased: str = ""


def normalize_text(text: str) -> str:
    """Return the words of a written sentence in upper case A-Z and apostrophes.

    Accents are dropped, hyphens and dashes separate words, other punctuation goes, and
    so do quotation marks; an apostrophe stays where a letter follows or precedes it.

    Raises:
        ValueError: Something is left that nobody can say how to read, such as digits.
    """
    plain = unicodedata.normalize("NFKD", text).upper()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = plain.replace("’", "'").replace("‘", "'")
    plain = re.sub(r"[-–—/]", " ", plain)
    plain = re.sub(r"""[.,;:!?"“”()\[\]…]""", "", plain)
    plain = re.sub(r"(?<![A-Z])'(?![A-Z])", " ", plain)
    # Single quotation marks around words; 'EM and DOGS' keep theirs.
    plain = re.sub(r"(?<!\S)'([A-Z ]+[A-Z])'(?!\S)", r"\1", plain)
    words = " ".join(plain.split())
    odd = sorted(set(re.sub(r"[A-Z' ]", "", words)))
    if odd:
        raise ValueError(
            f"cannot tell how {' '.join(odd)!r} is said in {text!r}: spell it out"
        )
    return words


def hold_out(groups: Iterable[str], fraction: float, seed: int) -> set[str]:
    """Choose about ``fraction`` of the groups, at least one of two or more.

    The choice orders the groups by a hash of seed and name. So it is the same on every
    machine, and does not depend on what else is chosen from or in which order.

    Raises:
        ValueError: There are fewer than two groups: nothing would be left.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError(f"cannot hold out a part of {len(names)} group(s): {names}")

    def order(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode()).digest()

    count = min(max(1, round(fraction * len(names))), len(names) - 1)
    return set(sorted(names, key=order)[:count])


def split_off(
    recordings: list[Recording],
    fraction: float,
    seed: int,
    key: Callable[[Recording], str] = lambda recording: recording.group,
) -> tuple[list[Recording], list[Recording]]:
    """Divide recordings into what stays and what is held out, group by group."""
    held = hold_out((key(r) for r in recordings), fraction, seed)
    return (
        [r for r in recordings if key(r) not in held],
        [r for r in recordings if key(r) in held],
    )


def write_sets(
    folder: Path,
    sets: dict[str, list[Recording]],
    features: Mapping[str, Path] | None = None,
) -> None:
    """Write one Kaldi data directory for each set and say what is in it.

    Where transcripts are known as written, they are in ``text_cased``.

    Args:
        folder: Where the directories go.
        sets: What goes into each of them.
        features: File of features of each utterance, in the place of its recording.

    Raises:
        CorpusError: A set is empty, or an utterance is in two sets or twice in one.
    """
    seen: dict[str, str] = {}
    for name, recordings in sets.items():
        if not recordings:
            raise CorpusError(f"no utterance is left for {folder / name}")
        for recording in recordings:
            if recording.utt in seen:
                raise CorpusError(
                    f"utterance {recording.utt} occurs twice: in {seen[recording.utt]} "
                    f"and in {name}"
                )
            seen[recording.utt] = name
    for name, recordings in sets.items():
        data = DataDir(
            wav={
                r.utt: str(features[r.utt] if features else r.path) for r in recordings
            },
            text={r.utt: r.text for r in recordings},
            utt2spk={r.utt: r.speaker for r in recordings},
            extracted=features is not None,
        )
        write_data_dir(folder / name, data)
        cased = {r.utt: " ".join(r.cased.split()) for r in recordings}
        lines = [f"{utt} {cased[utt]}\n" for utt in sorted(cased) if cased[utt]]
        if lines:
            write_atomic(folder / name / CASED, "".join(lines))
        speakers = len({r.speaker for r in recordings})
        words = sum(len(r.text.split()) for r in recordings)
        print(
            f"{folder / name}: {len(recordings)} utterances, {speakers} speaker(s), "
            f"{words} words"
        )
