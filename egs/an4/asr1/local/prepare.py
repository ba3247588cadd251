#!/usr/bin/env python3
"""Prepare training, validation and test sets of AN4.

Without --an4, the recordings are fetched from CMU into --downloads. A copy of CMU's
features (--an4 DIR with DIR/mfcc) gives directories of features instead; the sets are
the same.

The test set is CMU's, of other speakers. The speakers of CMU's training set are dealt
into five folds, by a hash of their names; one fold is for validation. By default that
is fold 0, in data/train, data/valid and data/test. With --fold K the sets are
data/train_foldK and data/valid_foldK, for tuning, and there is no test set.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
from an4 import read_part
from download import download_an4

from espnet_dynlook.recipe.corpus import CorpusError, Recording, write_sets
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.download import DownloadError
from espnet_dynlook.recipe.whole_files import whole_folder

FOLDS = 5


def fold_of_speakers(speakers: set[str]) -> dict[str, int]:
    """Deal speakers into folds whose numbers of speakers differ by one at most."""

    def order(name: str) -> bytes:
        return hashlib.sha256(name.encode()).digest()

    return {name: n % FOLDS for n, name in enumerate(sorted(speakers, key=order))}


def make_sets(
    train: list[Recording], test: list[Recording], fold: int | None
) -> dict[str, list[Recording]]:
    """Divide the corpus, as said above.

    Raises:
        CorpusError: A speaker is in both parts.
        ValueError: There are too few speakers for the folds.
    """
    home = fold_of_speakers({r.speaker for r in train})
    if len(home) < FOLDS:
        raise ValueError(f"{len(home)} training speakers are too few for {FOLDS} folds")
    both = sorted(set(home) & {r.speaker for r in test})
    if both:
        raise CorpusError(f"in the training and in the test part: {', '.join(both)}")
    suffix = "" if fold is None else f"_fold{fold}"
    held = fold or 0
    sets = {
        f"train{suffix}": [r for r in train if home[r.speaker] != held],
        f"valid{suffix}": [r for r in train if home[r.speaker] == held],
    }
    return sets | ({"test": test} if fold is None else {})


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--an4", type=Path, help="a local copy; nothing is fetched")
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="for tuning")
    args = parser.parse_args(argv)
    try:
        folder = args.an4 or download_an4(args.downloads)
        train, test = read_part(folder, "train"), read_part(folder, "test")
        sets = make_sets(train.recordings, test.recordings, args.fold)
        features: dict[str, np.ndarray] | None = None
        if train.features is not None and test.features is not None:
            features = train.features | test.features
        write_sets(args.data, sets, _write_features(args.data, sets, features))
    except (CorpusError, DataError, DownloadError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


def _write_features(
    data: Path,
    sets: dict[str, list[Recording]],
    features: dict[str, np.ndarray] | None,
) -> dict[str, Path] | None:
    """Write each utterance's features to ``data/mfcc/UTT.npy``; return the paths.

    The folds share them: a file is the same in every one of them.
    """
    if features is None:
        return None
    used = {r.utt for recordings in sets.values() for r in recordings}
    folder = data / "mfcc"
    paths = {utt: folder / f"{utt}.npy" for utt in used}
    # What another training may be reading stays where it is, if it is the same.
    if not all(_holds(paths[utt], features[utt]) for utt in used):
        with whole_folder(folder) as partial:
            for utt, matrix in features.items():
                np.save(partial / f"{utt}.npy", matrix)
    return paths


def _holds(path: Path, matrix: np.ndarray) -> bool:
    return path.is_file() and np.array_equal(np.load(path), matrix)


if __name__ == "__main__":
    main()
