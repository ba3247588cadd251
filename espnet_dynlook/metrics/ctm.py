"""CTM files: the words of utterances with their times, as NIST's tools have them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TimedWord:
    """A word and where it is in the audio.

    Attributes:
        start: In ms.
        end: In ms.
        word: Its text.
    """

    start: float
    end: float
    word: str


def read_ctm(path: Path | str) -> dict[str, list[TimedWord]]:
    """Read ``utterance channel start duration word`` lines, times in seconds.

    Raises:
        ValueError: the file is missing or a line is not of that form.
    """
    found: dict[str, list[TimedWord]] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    for number, line in enumerate(lines, 1):
        try:
            utt, _, start, duration, word = line.split(maxsplit=4)
            begin, end = 1000 * float(start), 1000 * (float(start) + float(duration))
        except ValueError:
            raise ValueError(
                f"{path}:{number}: {line!r} has to be: utterance, channel, start and "
                "duration in seconds, word"
            ) from None
        found.setdefault(utt, []).append(TimedWord(begin, end, word))
    return found


def write_ctm(path: Path | str, words: Mapping[str, Sequence[TimedWord]]) -> None:
    """Write a CTM file, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        for utt in sorted(words):
            for one in words[utt]:
                start, duration = one.start / 1000, (one.end - one.start) / 1000
                file.write(f"{utt} 1 {start:.3f} {duration:.3f} {one.word}\n")
    partial.replace(path)
