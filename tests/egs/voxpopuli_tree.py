"""A small copy of VoxPopuli's layout, for tests: `python voxpopuli_tree.py ROOT`."""

import csv
import gzip
import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
COLUMNS = [
    *("id_", "paragraph_id", "session_id", "speaker_id", "original_text"),
    *("normed_text", "start_time", "end_time", "vad", "split", "gender"),
]
SESSIONS = ("20190116-0900-PLENARY-3", "20200211-0900-PLENARY-12")
NAMES = ("Kovač", "Ribeiro", "O'Neill", "Szabo")
SAYINGS = ("thanks to {}", 'we "hear" {}, again', "{} is right", "so said {}")
SPLITS = ("train", "train", "train", "dev", "test", "test")


def speech(seconds, seed):
    """Return tones whose pitch changes, in noise (N,)."""
    rng = np.random.default_rng(seed)
    pitch = np.repeat(rng.uniform(200, 1500, int(seconds * 8) + 1), RATE // 8)
    wave = 0.2 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return (wave + 0.02 * rng.standard_normal(len(wave)))[: int(seconds * RATE)]


def row(session, number, split, text, vad, **other):
    """Return a row of the annotations; times in seconds."""
    plain = "".join(c for c in text.lower() if c not in '",.')
    stamp = f"{session[:8]}-09:{number // 60:02d}:{number % 60:02d}"
    return {
        "id_": f"en_{stamp}_{number}",
        "paragraph_id": stamp,
        "session_id": session,
        "speaker_id": str(1000 + number % 4),
        "original_text": text,
        "normed_text": plain,
        "start_time": str(vad[0][0]) if vad else "",
        "end_time": str(vad[-1][1]) if vad else "",
        "vad": str([[float(start), float(end), "words"] for start, end in vad]),
        "split": split,
        "gender": "female" if number % 2 else "male",
        **other,
    }


def make_rows(utterances=24):
    """Return rows of two sessions; each segment is of two pieces of 0.9 seconds."""
    rows = []
    for number in range(utterances):
        name = NAMES[number % len(NAMES)]
        text = SAYINGS[number // len(NAMES) % len(SAYINGS)].format(name)
        start = 2.5 * (number // 2)
        vad = [(start, start + 0.9), (start + 1.1, start + 2.0)]
        split = SPLITS[number // 2 % len(SPLITS)]
        rows.append(row(SESSIONS[number % 2], number, split, text, vad))
    return rows


def write_annotations(root, rows, name="en", columns=COLUMNS):
    """Write the annotations of a language."""
    path = Path(root) / "transcribed_data" / name / f"asr_{name}.tsv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter="|", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_recordings(root, seconds=32.0, waves=None):
    """Write the recording of every session; ``waves``: of a session, if not tones."""
    for seed, session in enumerate(SESSIONS):
        path = Path(root) / "raw_audios" / "original" / session[:4]
        path.mkdir(parents=True, exist_ok=True)
        wave = (waves or {}).get(session)
        soundfile.write(
            path / f"{session}_original.ogg",
            speech(seconds, seed) if wave is None else wave,
            RATE,
            format="OGG",
            subtype="VORBIS",
        )


def write_labels(folder, rows, name="dev"):
    """Write SLUE's labels of one set: every name is a PERSON, every ``so`` a DATE."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part = {"train": "fine-tune"}.get(name, name)
    columns = ["id", "raw_text", "normalized_text", "speaker_id", "split"]
    columns += ["raw_ner", "normalized_ner"]
    with (folder / f"slue-voxpopuli_{part}.tsv").open("w", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for one in rows:
            if one["split"] != name:
                continue
            text = one["normed_text"]
            labels = [
                [kind, text.index(word), len(word)]
                for kind, words in (("PERSON", NAMES), ("DATE", ("so",)))
                for word in (w.lower() for w in words)
                if word in text
            ]
            utt = f"{one['session_id']}-{one['id_']}"
            middle = [one["original_text"], text, one["speaker_id"], part]
            writer.writerow([utt, *middle, "None", str(labels or None)])


def write_tree(root):
    """Write the whole layout, and SLUE's labels in ``root/slue``."""
    rows = make_rows()
    write_annotations(root, rows)
    write_recordings(root)
    for name in ("train", "dev", "test"):
        write_labels(Path(root) / "slue", rows, name)
    return rows


if __name__ == "__main__":
    write_tree(Path(sys.argv[1]))
