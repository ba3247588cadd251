"""Recognised words as text, JSON, or captions with times."""

import dataclasses
import json
import re
from collections.abc import Sequence

from espnet_dynlook.recognizer import Result
from espnet_dynlook.streaming.words import Word

FORMATS = ("text", "json", "srt", "vtt")
#: A caption has at most so many characters and seconds, and ends before such a pause.
CHARACTERS, SECONDS, PAUSE = 42, 5.0, 1.0


def captions(words: Sequence[Word]) -> list[list[Word]]:
    """Group words into captions that can be read in time.

    Args:
        words: Of one utterance, in order.
    """
    found: list[list[Word]] = []
    for word in words:
        own = found[-1] if found else []
        length = sum(len(one.text) + 1 for one in own) + len(word.text)
        if (
            not own
            or length > CHARACTERS
            or word.end - own[0].start > SECONDS
            or word.start - own[-1].end > PAUSE
        ):
            found.append([])
        found[-1].append(word)
    return found


def clock(seconds: float, point: str) -> str:
    """Return a time as captions write it, such as 00:01:02,345."""
    total = round(1000 * seconds)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def written(result: Result, name: str, kind: str) -> str:
    """Return a result in one of ``FORMATS``.

    Args:
        result: Of one utterance.
        name: Of its file.
        kind: text (the words, in a line), json (a line), srt or vtt.
    """
    if kind == "text":
        return result.text + "\n"
    if kind == "json":
        words = [dataclasses.asdict(word) for word in result.words]
        mean = sum(result.lookahead_ms) / max(len(result.lookahead_ms), 1)
        content = {
            "file": name,
            "text": result.text,
            "words": words,
            "score": result.score,
            "lookahead_ms": mean,
        }
        return json.dumps(content, ensure_ascii=False) + "\n"
    point = "," if kind == "srt" else "."
    parts = ["WEBVTT\n\n"] if kind == "vtt" else []
    for number, own in enumerate(captions(result.words), 1):
        text = " ".join(word.text for word in own)
        # An arrow in a caption would be read as one of its times.
        text = re.sub("--+>", "->", text)
        times = f"{clock(own[0].start, point)} --> {clock(own[-1].end, point)}"
        head = f"{number}\n" if kind == "srt" else ""
        parts.append(f"{head}{times}\n{text}\n\n")
    return "".join(parts)
