"""Find utterances that are too short for a configuration's front end and encoder.

An encoder's convolutions need some frames; one shorter utterance stops a training in
the middle of an epoch. Command: ``python -m espnet_dynlook.recipe.lengths --config
conf/train.yaml --fs 16k dump/raw/train dump/raw/valid``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from espnet_dynlook.config import resolve
from espnet_dynlook.recipe.data_dir import DataError, read_text
from espnet_dynlook.recipe.format_audio import sampling_rate

# Fewest feature frames from which ESPnet's unpadded subsampling makes one frame: the
# kernels and strides of its layers, walked back from one output frame.
FEWEST_FRAMES = {
    "conv2d1": 5,
    "conv2d2": 7,
    "conv2d": 7,
    "conv2d6": 11,
    "conv2d8": 15,
}
# ESPnet's front end where a configuration does not say.
DEFAULT_HOP, DEFAULT_INPUT_LAYER = 128, "conv2d"


def fewest_samples(config: dict[str, Any]) -> int:
    """Return the fewest samples that give the encoder of a configuration one frame.

    Centred frames, as in ESPnet's front end: 1 + samples // hop of them.
    """
    frontend = config.get("frontend_conf") or {}
    encoder = config.get("encoder_conf") or {}
    hop = frontend.get("hop_length", DEFAULT_HOP)
    layer = encoder.get("input_layer", DEFAULT_INPUT_LAYER)
    return (FEWEST_FRAMES.get(layer, 1) - 1) * int(hop)


def too_short(folder: Path, fewest: int, rate: int) -> list[str]:
    """Return a fault for each utterance of fewer than ``fewest`` samples."""
    faults = []
    path = folder / "utt2num_samples"
    for number, (utt, value) in enumerate(read_text(path).items(), 1):
        if int(value) < fewest:
            faults.append(
                f"{path}:{number}: {utt} has {value} samples ({int(value) / rate:.3f} "
                f"s), the encoder's subsampling needs {fewest}: raise "
                f"--min_wav_duration to {fewest / rate:.3f} and run from stage 4"
            )
    return faults


def main(cmd: list[str] | None = None) -> int:
    """Check; return 1 and list the utterances that are too short."""
    parser = argparse.ArgumentParser(
        description="Find utterances that are too short for an encoder."
    )
    parser.add_argument("folders", nargs="+", help="data directories")
    parser.add_argument("--config", default="none", help="training configuration")
    parser.add_argument("--fs", type=sampling_rate, default=16000, help="rate, in Hz")
    args = parser.parse_args(cmd)
    config = {} if args.config in ("none", "") else resolve(args.config)
    fewest = fewest_samples(config)
    faults: list[str] = []
    try:
        for folder in args.folders:
            faults += too_short(Path(folder), fewest, args.fs)
    except DataError as error:
        faults += error.faults
    if faults:
        print(f"{len(faults)} faults\n{DataError(faults)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
