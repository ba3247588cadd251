"""Find utterances that are too short for a configuration's front end and encoder.

An encoder's convolutions need some frames; one shorter utterance stops a training in
the middle of an epoch. Command: ``python -m espnet_dynlook.recipe.lengths --config
conf/train.yaml --fs 16k dump/raw/train dump/raw/valid``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from espnet_dynlook.config import ConfigError, resolve
from espnet_dynlook.recipe.data_dir import DataError, read_text
from espnet_dynlook.recipe.format_audio import sampling_rate

# ESPnet's front end and encoders where a configuration does not say.
DEFAULT_N_FFT, DEFAULT_HOP, DEFAULT_INPUT_LAYER = 512, 128, "conv2d"


def fewest_samples(config: dict[str, Any]) -> int:
    """Return the fewest samples that give the encoder of a configuration one frame.

    Those that fill the window of the encoder's input layer, and at least those that the
    front end takes: a centred STFT reflects ``n_fft // 2`` samples at either end.
    Front ends other than ESPnet's default are not known here: one sample.
    """
    from espnet_dynlook.encoder.subsampling import arithmetic_of

    if (config.get("frontend") or "default") != "default":
        return 1
    frontend = config.get("frontend_conf") or {}
    encoder = config.get("encoder_conf") or {}
    hop = int(frontend.get("hop_length", DEFAULT_HOP))
    n_fft = int(frontend.get("n_fft", DEFAULT_N_FFT))
    layer = encoder.get("input_layer", DEFAULT_INPUT_LAYER)
    between = (arithmetic_of(layer).window - 1) * hop  # first frame's start to last's
    if frontend.get("center", True):
        return max(between, n_fft // 2 + 1)
    return between + n_fft


def too_short(folder: Path, fewest: int, rate: int) -> list[str]:
    """Return a fault for each utterance of fewer than ``fewest`` samples."""
    faults = []
    seconds = -(-fewest * 1000 // rate) / 1000  # rounded up
    path = folder / "utt2num_samples"
    for number, (utt, value) in enumerate(read_text(path).items(), 1):
        if int(value) < fewest:
            faults.append(
                f"{path}:{number}: {utt} has {value} samples ({int(value) / rate:.3f} "
                f"s), the front end and the subsampling need {fewest}: raise "
                f"--min_wav_duration to {seconds:.3f} and run from stage 4"
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
    try:
        config = {} if args.config in ("none", "") else resolve(args.config)
        fewest = fewest_samples(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except (AttributeError, TypeError, ValueError) as error:
        print(
            f"{args.config}: frontend_conf or encoder_conf cannot be read: {error}",
            file=sys.stderr,
        )
        return 1
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
