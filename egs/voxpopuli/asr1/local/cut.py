"""Cut segments out of long recordings, a session at a time."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from espnet_dynlook.recipe.format_audio import write_audio
from espnet_dynlook.recipe.workers import map_in_processes

Spans = Sequence[tuple[float, float]]
#: A recording, and what is cut out of it: utterance, file, start and end times (s).
Session = tuple[Path, list[tuple[str, Path, Spans]]]


def _limits(spans: Spans, rate: int, frames: int) -> list[tuple[int, int]]:
    """Return first samples and those after the last, as Meta's script rounds them."""
    found = ((int(s * rate), min(int(e * rate), frames)) for s, e in spans)
    return [(first, end) for first, end in found if end > first]


def _is_cut(target: Path, samples: int) -> bool:
    try:
        return soundfile.info(target).frames == samples
    except (OSError, soundfile.LibsndfileError):
        return False


def cut_session(session: Session) -> tuple[dict[str, str], str]:
    """Cut the segments of a session that are not there already.

    Returns:
        Why segments could not be cut, by utterance; and what is wrong with the
        recording as a whole, or "".
    """
    path, wanted = session
    refused: dict[str, str] = {}
    missing: list[tuple[Path, list[tuple[int, int]]]] = []
    try:
        with soundfile.SoundFile(path) as audio:
            if audio.channels != 1:
                return {}, f"{path} has {audio.channels} channels: it must be mono"
            rate, frames = audio.samplerate, audio.frames
            for utt, target, spans in wanted:
                limits = _limits(spans, rate, frames)
                samples = sum(end - first for first, end in limits)
                if not samples:
                    refused[utt] = "times after the end of the recording"
                elif not _is_cut(target, samples):
                    missing.append((target, limits))
            if not missing:
                return refused, ""
            # All of it, two bytes a sample: libsndfile's seeking in Vorbis is off by
            # up to 16 ms at times.
            wave = audio.read(dtype="int16")
    except soundfile.LibsndfileError as error:
        return {}, f"{path} cannot be read ({error}): fetch its year again"
    if len(wave) != frames:
        return {}, f"{path} is truncated: fetch its year again"
    for target, limits in missing:
        _write(target, np.concatenate([wave[first:end] for first, end in limits]), rate)
    return refused, ""


def _write(target: Path, wave: np.ndarray, rate: int) -> None:
    """Write a file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        write_audio(partial, wave, rate)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def cut_all(sessions: list[Session], nj: int) -> Iterator[tuple[dict[str, str], str]]:
    """Cut sessions in ``nj`` processes; yields what ``cut_session`` returns."""
    yield from map_in_processes(
        cut_session, sessions, nj=min(nj, len(sessions)), uses_torch=False, chunksize=1
    )
