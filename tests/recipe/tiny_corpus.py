"""A corpus of beeps, one a letter, in no need of any data: `python tiny_corpus.py DIR`.

Small enough that a whole recipe runs on it in a minute.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
WORDS = {"ab": (400, 800), "ba": (800, 400), "cab": (1200, 400, 800), "b": (800,)}


def beeps(words, seconds=0.12):
    """Return the samples of a sentence: a tone a letter, a pause after each word."""
    rng = np.random.default_rng(len(words))
    parts = []
    for word in words:
        for hertz in WORDS[word]:
            t = np.arange(int(seconds * RATE)) / RATE
            parts.append(0.3 * np.sin(2 * np.pi * hertz * t))
        parts.append(np.zeros(int(0.08 * RATE)))
    wave = np.concatenate(parts)
    wave += 0.01 * rng.standard_normal(len(wave))
    return (wave * 32767).astype(np.int16)


def write_set(folder, audio, utterances, rate=RATE):
    """Write one data directory; ``utterances`` is {utt: list of words}."""
    folder, audio = Path(folder), Path(audio)
    folder.mkdir(parents=True, exist_ok=True)
    audio.mkdir(parents=True, exist_ok=True)
    tables = {"wav.scp": [], "text": [], "utt2spk": []}
    for utt, words in sorted(utterances.items()):
        path = audio / f"{utt}.flac"
        soundfile.write(path, beeps(words), rate)
        tables["wav.scp"].append(f"{utt} {path}")
        tables["text"].append(f"{utt} {' '.join(words)}")
        tables["utt2spk"].append(f"{utt} {utt.split('-')[0]}")
    for name, lines in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


def sentences(name, n, seed):
    """Return n random sentences of 2 to 5 words, by two speakers."""
    rng = np.random.default_rng(seed)
    names = list(WORDS)
    return {
        f"{'amy' if i % 2 else 'bob'}-{name}{i:03d}": [
            names[k] for k in rng.integers(0, len(names), rng.integers(2, 6))
        ]
        for i in range(n)
    }


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for seed, (name, n) in enumerate({"train": 32, "valid": 6, "test": 8}.items()):
        write_set(root / name, root / "audio", sentences(name, n, seed))
