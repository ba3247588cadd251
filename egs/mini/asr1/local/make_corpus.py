#!/usr/bin/env python3
"""Speak the mini corpus with espeak-ng: FLAC files and one table that lists them.

The voices are synthetic. The corpus shows that everything works; error rates on it say
nothing about human speech.
"""

import argparse
import csv
import hashlib
import io
import json
import multiprocessing
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from espeak import FS, Synthesizer, Utterance
from sentences import make_splits

from espnet_dynlook.recipe.corpus import CorpusError
from espnet_dynlook.recipe.data_dir import write_atomic

VOICES = [
    "en-us",
    "en-us+f1",
    "en-us+f2",
    "en-us+m1",
    "en-us+m3",
    "en-gb-x-rp",
]
# What decides the audio beside the options.
SOURCES = ("make_corpus.py", "sentences.py", "espeak.py")
FIELDS = ["utt", "speaker", "split", "path", "seconds", "text"]
# One task of a worker. Its size is part of the recipe, unlike the number of workers:
# espeak-ng's audio depends on what the same process said before.
UTTERANCES_PER_TASK = 50


def add_noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add reddish noise: 15 to 30 dB below the speech in a third of the utterances.

    The others get a noise floor of 40 to 50 dB, as every microphone has one: the
    logarithm of digital silence is so low that it alone would decide the mean and the
    variance by which features are normalized.

    Args:
        samples: (N,) speech.
        rng: Decides how loud and which noise.

    Returns:
        (N,), scaled to a random peak between 0.3 and 0.8.
    """
    snr = rng.uniform(15, 30) if rng.random() < 1 / 3 else rng.uniform(40, 50)
    white = np.fft.rfft(rng.standard_normal(len(samples)))
    slope = 1 / np.sqrt(1 + np.arange(len(white)) / len(white) * 40)
    noise = np.fft.irfft(white * slope, n=len(samples))
    noise *= np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-snr / 20)
    samples = samples + noise
    return samples / np.abs(samples).max() * rng.uniform(0.3, 0.8)


def speak(task: dict[str, Any]) -> list[dict[str, str]]:
    """Speak one task's sentences in this (new) process; return rows of the table."""
    synthesizer = Synthesizer()
    rows = []
    for index, text in task["sentences"]:
        split, out = task["split"], Path(task["out"])
        key = f"{task['seed']} {split} {index}"
        draw = random.Random(key)
        voice = VOICES[index % len(VOICES)]
        utterance = Utterance(text, voice, draw.randint(150, 210), draw.randint(35, 65))
        samples = synthesizer(utterance, seed=draw.randint(1, 2**30))
        # espeak-ng stops with the last sound. A microphone does not, and a recogniser
        # that never waits needs that time to say its last word.
        silence = draw.randint(300, 900), draw.randint(3200, 4800)
        samples = np.pad(samples, silence)
        samples = add_noise(samples, np.random.default_rng(draw.randint(0, 2**32)))
        speaker = voice.replace("+", "-")
        utt = f"{speaker}_{split}_{index:05d}"
        path = out / split / f"{utt}.flac"
        soundfile.write(path, samples, FS, subtype="PCM_16")
        seconds = f"{len(samples) / FS:.3f}"
        values = (utt, speaker, split, f"{split}/{path.name}", seconds, text)
        rows.append(dict(zip(FIELDS, values, strict=True)))
    return rows


def tasks(out: Path, seed: int, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield what each worker call shall do."""
    for split, sentences in make_splits(seed, counts).items():
        numbered = list(enumerate(sentences))
        for first in range(0, len(numbered), UTTERANCES_PER_TASK):
            part = numbered[first : first + UTTERANCES_PER_TASK]
            yield {"out": str(out), "split": split, "seed": seed, "sentences": part}


def sources_sha256() -> str:
    """Return one SHA-256 of the scripts that decide the audio."""
    digest = hashlib.sha256()
    for name in SOURCES:
        content = (Path(__file__).resolve().parent / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def read_settings(note: Path) -> dict[str, Any] | None:
    """Return the settings that this script left in a folder, or None."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    ours = isinstance(found, dict) and {"seed", "counts", "voices"} <= found.keys()
    return found if ours else None


def clear(out: Path) -> None:
    """Empty a folder of this script, and no other; only its settings.json stays.

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


def make_corpus(out: Path, seed: int, counts: dict[str, int], nj: int) -> Path:
    """Write the corpus, or leave it alone when it is there already with these settings.

    Args:
        out: Folder to write; made anew if it is new, empty or a corpus of this script.
        seed: Same seed, same corpus, whatever ``nj`` is.
        counts: Sentences of each split.
        nj: Worker processes.

    Returns:
        The table ``out/metadata.tsv``, which is written last: without it, the corpus
        is not whole. The settings are written first: with them, it is this script's.

    Raises:
        CorpusError: The folder holds something that this script did not write.
        ValueError: More sentences are wanted than the templates give.
    """
    settings = {
        "seed": seed,
        "counts": counts,
        "voices": VOICES,
        "sources_sha256": sources_sha256(),
    }
    table, note = out / "metadata.tsv", out / "settings.json"
    if table.is_file() and read_settings(note) == settings:
        print(f"{table} is there already, made with these settings")
        return table
    make_splits(seed, counts)  # too many sentences shall be said before removing any
    clear(out)
    write_atomic(note, json.dumps(settings))
    for split in counts:
        (out / split).mkdir(parents=True)
    rows: list[dict[str, str]] = []
    context = multiprocessing.get_context("spawn")  # a fresh espeak-ng for each task
    with context.Pool(nj, maxtasksperchild=1) as pool:
        for done in pool.imap(speak, tasks(out, seed, counts), chunksize=1):
            rows += done
            print(f"{len(rows)} of {sum(counts.values())} sentences spoken", flush=True)
    lines = io.StringIO()
    writer = csv.DictWriter(lines, FIELDS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(table, lines.getvalue())
    for split in counts:
        hours = sum(float(r["seconds"]) for r in rows if r["split"] == split) / 3600
        print(f"{split}: {counts[split]} sentences, {hours:.2f} h")
    return table


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the corpus")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train", type=int, default=1900, help="sentences")
    parser.add_argument("--valid", type=int, default=100, help="sentences")
    parser.add_argument("--test", type=int, default=200, help="sentences")
    parser.add_argument("--nj", type=int, default=2, help="worker processes")
    args = parser.parse_args(argv)
    counts = {"train": args.train, "valid": args.valid, "test": args.test}
    try:
        make_corpus(args.out, args.seed, counts, args.nj)
    except (CorpusError, ValueError, ModuleNotFoundError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
