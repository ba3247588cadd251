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


def fewest_frames(config: dict[str, Any]) -> int:
    """Return the fewest frames of features that give the encoder one frame."""
    from espnet_dynlook.encoder.subsampling import arithmetic_of

    encoder = config.get("encoder_conf") or {}
    return arithmetic_of(encoder.get("input_layer", DEFAULT_INPUT_LAYER)).window


def fewest_samples(config: dict[str, Any]) -> int:
    """Return the fewest samples that give the encoder of a configuration one frame.

    Those that fill the window of the encoder's input layer, and at least those that the
    front end takes: a centred STFT reflects ``n_fft // 2`` samples at either end.
    Front ends other than ESPnet's default and ``mfcc_an4`` are not known here: one
    sample.
    """
    window = fewest_frames(config)
    name = config.get("frontend") or "default"
    if name == "mfcc_an4":
        from espnet_dynlook.frontend import mfcc

        # The last frame is made of what is left after the last whole one.
        return mfcc.WINDOW + (window - 2) * mfcc.HOP if window > 1 else 1
    if name != "default":
        return 1
    frontend = config.get("frontend_conf") or {}
    hop = int(frontend.get("hop_length", DEFAULT_HOP))
    n_fft = int(frontend.get("n_fft", DEFAULT_N_FFT))
    between = (window - 1) * hop  # first frame's start to last's
    if frontend.get("center", True):
        return max(between, n_fft // 2 + 1)
    return between + n_fft


def too_short(folder: Path, fewest: int, rate: int, unit: str = "samples") -> list[str]:
    """Return a fault for each utterance of fewer than ``fewest`` samples or frames."""
    faults = []
    seconds = -(-fewest * 1000 // rate) / 1000  # rounded up
    path = folder / f"utt2num_{unit}"
    for number, (utt, value) in enumerate(read_text(path).items(), 1):
        if int(value) < fewest:
            faults.append(
                f"{path}:{number}: {utt} has {value} {unit} ({int(value) / rate:.3f} "
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
    parser.add_argument(
        "--fs", type=sampling_rate, default=16000, help="samples, or frames, a second"
    )
    args = parser.parse_args(cmd)
    try:
        config = {} if args.config in ("none", "") else resolve(args.config)
        fewest = {"raw": fewest_samples(config), "extracted": fewest_frames(config)}
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
            kind = "extracted" if (Path(folder) / "feats.scp").exists() else "raw"
            unit = "frames" if kind == "extracted" else "samples"
            faults += too_short(Path(folder), fewest[kind], args.fs, unit)
    except DataError as error:
        faults += error.faults
    if faults:
        print(f"{len(faults)} faults\n{DataError(faults)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
