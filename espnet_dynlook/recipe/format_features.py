"""Check the features of a data directory and count their frames.

Each is a NumPy file of a matrix (frames, dimensions); they are left where they are.
Command: ``python -m espnet_dynlook.recipe.format_features --in_dir data/train
--out_dir dump/extracted/org/train``.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from espnet_dynlook.recipe.data_dir import (
    DataDir,
    DataError,
    read_data_dir,
    write_tables,
)
from espnet_dynlook.recipe.whole_files import whole_folder


def read_features(path: str | Path) -> np.ndarray:
    """Read one matrix of features.

    Returns:
        (T, D), of a floating type.

    Raises:
        ValueError: It is no such matrix, or holds what is no number.
    """
    try:
        features = np.load(path, allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as NumPy: {error}") from None
    if features.ndim != 2 or not np.issubdtype(features.dtype, np.floating):
        raise ValueError(
            f"{path} holds {features.dtype} of shape {features.shape}, where a matrix "
            "(frames, dimensions) of floats is needed"
        )
    if not features.size:
        raise ValueError(f"{path} is empty: its shape is {features.shape}")
    if not np.isfinite(features).all():
        frame = int(np.argwhere(~np.isfinite(features))[0, 0])
        raise ValueError(f"{path} has NaN or infinity, first in frame {frame}")
    return features


def format_features(
    in_dir: str | Path, out_dir: str | Path, allow_empty_text: bool = False
) -> DataDir:
    """Write ``out_dir`` with the frames of every utterance counted, or nothing.

    Args:
        in_dir: Data directory of features to read.
        out_dir: Data directory to write, with ``utt2num_frames`` and ``feats_dim``.
        allow_empty_text: Whether an empty transcript is accepted.

    Raises:
        DataError: With every fault of the directory and of its features.
    """
    data = read_data_dir(in_dir, allow_empty_text)
    if not data.extracted:
        raise DataError(
            [
                f"{in_dir} has recordings (wav.scp) and no features (feats.scp): set "
                "--feats_type raw"
            ]
        )
    faults: list[str] = []
    sizes: dict[int, str] = {}
    for utt, path in sorted(data.wav.items()):
        try:
            frames, size = read_features(path).shape
        except ValueError as error:
            faults.append(f"{Path(in_dir) / 'feats.scp'}: {utt}: {error}")
            continue
        data.num_samples[utt] = frames
        sizes.setdefault(size, utt)
    if len(sizes) > 1:
        found = ", ".join(f"{size} ({utt})" for size, utt in sizes.items())
        faults.append(f"{in_dir}: features of several dimensions: {found}")
    if faults:
        raise DataError(faults)
    with whole_folder(out_dir) as partial:
        write_tables(partial, data)
        (partial / "feats_dim").write_text(f"{next(iter(sizes))}\n", encoding="utf-8")
    return data


def main(cmd: list[str] | None = None) -> int:
    """Check and count; return 1 and print every fault where there is one."""
    parser = argparse.ArgumentParser(
        description="Check the features of a data directory and count their frames."
    )
    parser.add_argument("--in_dir", required=True)
    parser.add_argument("--out_dir", required=True)
    parser.add_argument(
        "--allow_empty_text", choices=["true", "false"], default="false"
    )
    args = parser.parse_args(cmd)
    try:
        data = format_features(
            args.in_dir, args.out_dir, args.allow_empty_text == "true"
        )
    except DataError as error:
        print(f"{len(error.faults)} faults\n{error}", file=sys.stderr)
        return 1
    frames = sum(data.num_samples.values())
    print(f"{args.out_dir}: {len(data.wav)} utterances, {frames} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
