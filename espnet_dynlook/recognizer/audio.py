"""Audio in any form that people have it in, as samples."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import torch
import torchaudio

Audio: TypeAlias = str | Path | np.ndarray | torch.Tensor


def samples_of(audio: Audio, fs: int) -> torch.Tensor:
    """Return samples (N,) of a sound file of any rate, or of samples in any form.

    Args:
        audio: The path of a file, or samples (N,) in +-1 at ``fs``.
        fs: Samples per second.

    Raises:
        ValueError: a file is no sound or has several channels, or samples are no
            floats.
    """
    if isinstance(audio, (str, Path)):
        try:
            values, rate = soundfile.read(str(audio), dtype="float32")
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{audio} cannot be read as sound ({error}): is it there, and whole?"
            ) from error
        if values.ndim > 1:
            raise ValueError(
                f"{audio} has {values.shape[1]} channels: give one, such as with "
                "sox IN OUT remix 1"
            )
        samples = torch.from_numpy(values)
        if rate != fs:
            samples = torchaudio.functional.resample(samples, rate, fs)
        return samples
    if isinstance(audio, np.ndarray):  # of any byte order and stride
        audio = np.ascontiguousarray(audio, audio.dtype.newbyteorder("="))
    samples = torch.as_tensor(audio)
    if not samples.is_floating_point():
        raise ValueError(
            f"samples are {samples.dtype}: give floats in +-1, such as int16 / 32768"
        )
    return samples
