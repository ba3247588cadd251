"""Speak sentences with espeak-ng into a folder: FLAC files and one table of them.

What the corpora of this recipe share. The voices are synthetic.
"""

import csv
import hashlib
import io
import json
import multiprocessing
import random
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from espeak import FS, Synthesizer, Utterance

from espnet_dynlook.recipe.corpus import CorpusError
from espnet_dynlook.recipe.whole_files import write_atomic

FIELDS = ["utt", "speaker", "split", "path", "seconds", "text"]
# One task of a worker. Its size is part of the recipe, unlike the number of workers:
# espeak-ng's audio depends on what the same process said before.
UTTERANCES_PER_TASK = 50
DONE = "done"  # folder of what the tasks have done, until the corpus is whole


@dataclass(frozen=True)
class Manner:
    """How the sentences of a set are spoken.

    Attributes:
        voices: Of espeak-ng, each for one sentence after the other.
        rate: Least and most words per minute.
        pitch: Least and most pitch, 0 to 100.
        noisy: Part of the utterances with noise that one hears.
        snr: How far that noise is below the speech, in dB.
    """

    voices: tuple[str, ...]
    rate: tuple[int, int] = (150, 210)
    pitch: tuple[int, int] = (35, 65)
    noisy: float = 1 / 3
    snr: tuple[float, float] = (15, 30)


@dataclass(frozen=True)
class Task:
    """Sentences of a set for one worker; each is (number in the set, text)."""

    out: Path
    split: str
    seed: int
    manner: Manner
    sentences: tuple[tuple[int, str], ...]


def add_noise(
    samples: np.ndarray, rng: np.random.Generator, manner: Manner
) -> np.ndarray:
    """Add reddish noise that one hears to a part of the utterances.

    The others get a noise floor of 40 to 50 dB, as every microphone has one: the
    logarithm of digital silence is so low that it alone would decide the mean and the
    variance by which features are normalized.

    Args:
        samples: (N,) speech.
        rng: Decides how loud and which noise.
        manner: Which part, and how loud.

    Returns:
        (N,), scaled to a random peak between 0.3 and 0.8.
    """
    heard = rng.random() < manner.noisy
    snr = rng.uniform(*manner.snr) if heard else rng.uniform(40, 50)
    white = np.fft.rfft(rng.standard_normal(len(samples)))
    slope = 1 / np.sqrt(1 + np.arange(len(white)) / len(white) * 40)
    noise = np.fft.irfft(white * slope, n=len(samples))
    noise *= np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-snr / 20)
    samples = samples + noise
    return samples / np.abs(samples).max() * rng.uniform(0.3, 0.8)


def rows_of(task: Task) -> Path:
    """Return the file of a task's rows, which says that the task is done."""
    return task.out / DONE / f"{task.split}_{task.sentences[0][0]:05d}.json"


def speak(task: Task) -> list[dict[str, str]]:
    """Speak one task's sentences in this (new) process.

    Returns:
        Rows of the table. What an earlier run has spoken is not spoken again.
    """
    note = rows_of(task)
    if note.is_file():
        return json.loads(note.read_text(encoding="utf-8"))
    synthesizer = Synthesizer()
    manner, split = task.manner, task.split
    rows = []
    for index, text in task.sentences:
        draw = random.Random(f"{task.seed} {split} {index}")
        voice = manner.voices[index % len(manner.voices)]
        rate, pitch = draw.randint(*manner.rate), draw.randint(*manner.pitch)
        utterance = Utterance(text, voice, rate, pitch)
        samples = synthesizer(utterance, seed=draw.randint(1, 2**30))
        # espeak-ng stops with the last sound. A microphone does not, and a recogniser
        # that never waits needs that time to say its last word.
        silence = draw.randint(300, 900), draw.randint(3200, 4800)
        samples = np.pad(samples, silence)
        noise = np.random.default_rng(draw.randint(0, 2**32))
        samples = add_noise(samples, noise, manner)
        speaker = voice.replace("+", "-")
        utt = f"{speaker}_{split}_{index:05d}"
        path = task.out / split / f"{utt}.flac"
        soundfile.write(path, samples, FS, subtype="PCM_16")
        seconds = f"{len(samples) / FS:.3f}"
        values = (utt, speaker, split, f"{split}/{path.name}", seconds, text)
        rows.append(dict(zip(FIELDS, values, strict=True)))
    write_atomic(note, json.dumps(rows))
    return rows


def tasks(
    out: Path, seed: int, splits: Mapping[str, Sequence[str]], manners: Mapping
) -> Iterator[Task]:
    """Yield what each worker call shall do."""
    for split, sentences in splits.items():
        numbered = tuple(enumerate(sentences))
        for first in range(0, len(numbered), UTTERANCES_PER_TASK):
            part = numbered[first : first + UTTERANCES_PER_TASK]
            yield Task(out, split, seed, manners[split], part)


def sources_sha256(files: Iterable[Path]) -> str:
    """Return one SHA-256 of the files that decide the audio, each with its name."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def read_settings(note: Path) -> dict[str, Any] | None:
    """Return the settings that these scripts left in a folder, or None."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(found, dict) and {"seed", "counts", "voices"} <= found.keys()
    return found if ours else None


def is_made(out: Path, settings: Mapping[str, Any]) -> bool:
    """Say whether a whole corpus of these settings is there."""
    table = out / "metadata.tsv"
    return table.is_file() and read_settings(out / "settings.json") == settings


def clear(out: Path) -> None:
    """Empty a folder of these scripts, and no other; only its settings.json stays.

    Raises:
        CorpusError: Something else is there.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise CorpusError(f"{out} is no folder: name another place for the corpus")
    if any(out.iterdir()) and read_settings(out / "settings.json") is None:
        raise CorpusError(
            f"{out} holds files, but no settings.json of this script: it may be "
            "somebody's work. Remove it yourself, or name another folder."
        )
    # The table goes first: with it, half a corpus would look like a whole one.
    (out / "metadata.tsv").unlink(missing_ok=True)
    for path in out.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "settings.json":
            path.unlink()


def write_corpus(
    out: Path,
    settings: Mapping[str, Any],
    splits: Mapping[str, Sequence[str]],
    manners: Mapping[str, Manner],
    nj: int,
    others: Mapping[str, str] | None = None,
) -> Path:
    """Write a corpus, or what an interrupted run with the same settings left to do.

    Args:
        out: Folder to write; new, empty or a corpus of these scripts.
        settings: What decides the corpus, with ``seed``, ``counts`` and ``voices``.
        splits: Sentences of each set.
        manners: How each set is spoken.
        nj: Worker processes; they do not change the corpus.
        others: Further files, content by name.

    Returns:
        The table ``out/metadata.tsv``, which is written last: without it, the corpus
        is not whole. The settings are written first: with them, it is these scripts'.

    Raises:
        CorpusError: The folder holds something that these scripts did not write.
    """
    if read_settings(out / "settings.json") != settings:
        clear(out)
        write_atomic(out / "settings.json", json.dumps(settings))
    for name, content in (others or {}).items():
        write_atomic(out / name, content)
    for split in splits:
        (out / split).mkdir(parents=True, exist_ok=True)
    total = sum(map(len, splits.values()))
    rows: list[dict[str, str]] = []
    context = multiprocessing.get_context("spawn")  # a fresh espeak-ng for each task
    with context.Pool(nj, maxtasksperchild=1) as pool:
        work = tasks(out, settings["seed"], splits, manners)
        for done in pool.imap(speak, work, chunksize=1):
            rows += done
            print(f"{len(rows)} of {total} sentences spoken", flush=True)
    lines = io.StringIO()
    writer = csv.DictWriter(lines, FIELDS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for path in {p for split in splits for p in (out / split).iterdir()} - {
        out / row["path"] for row in rows
    }:
        path.unlink()
    table = out / "metadata.tsv"
    write_atomic(table, lines.getvalue())
    shutil.rmtree(out / DONE)
    for split, sentences in splits.items():
        hours = sum(float(r["seconds"]) for r in rows if r["split"] == split) / 3600
        print(f"{split}: {len(sentences)} sentences, {hours:.2f} h")
    return table
