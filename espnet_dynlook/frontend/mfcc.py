# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The MFCCs of CMU's AN4 feature package, from waveforms, causal.

The arithmetic is that of Sphinx's front end (``sphinx_fe``) as CMU used it for AN4, and
gives the stored features again. Every step is a function of frames or of samples in
their order, so that the same code runs on a whole utterance and on pieces of one:
``preemphasize`` takes the sample before, ``cut`` the samples of some frames, and
``cepstra`` each frame by itself.
"""

import functools
from typing import cast

import numpy as np
import torch

from espnet_dynlook.compat import espnet_imports

with espnet_imports():
    from espnet2.asr.frontend.abs_frontend import AbsFrontend

FS = 16000  # samples per second
HOP = 160  # samples between frames: 10 ms
WINDOW = 410  # samples in a frame: 25.625 ms
N_FFT = 512
N_MELS = 40
N_CEPSTRA = 13
LOWEST_HZ, HIGHEST_HZ = 130.0, 6800.0
PREEMPHASIS = 0.97
FLOOR = 1e-5  # of a mel band's power
SCALE = 32768.0  # the features are of int16 samples, models hear +-1


def num_frames(lengths: torch.Tensor) -> torch.Tensor:
    """Return how many frames so many samples give.

    All whole frames, and one more for the rest of the samples, filled up with zeros, as
    Sphinx does: a frame period later there would be samples left, but no frame.

    Args:
        lengths: Samples, integers of any shape.

    Returns:
        Frames, of that shape; 1 for any that are shorter than a frame, 0 for none.
    """
    whole = torch.div(lengths - WINDOW, HOP, rounding_mode="floor") + 1
    return torch.where(lengths > 0, (whole + 1).clamp(min=1), torch.zeros_like(lengths))


def preemphasize(
    samples: torch.Tensor, before: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``y[n] = x[n] - 0.97 x[n-1]``.

    Args:
        samples: (..., N), in their order.
        before: The sample before the first, (..., 1); None: the utterance begins here
            and ``y[0] = x[0]``.

    Returns:
        (..., N).
    """
    if before is None:
        before = torch.zeros_like(samples[..., :1])
    return samples - PREEMPHASIS * torch.cat([before, samples[..., :-1]], dim=-1)


def cut(samples: torch.Tensor, frames: int) -> torch.Tensor:
    """Cut samples into frames, with zeros after the last sample where needed.

    Args:
        samples: (..., N), the first one being that of the first frame.
        frames: T, how many are wanted, at least 1.

    Returns:
        (..., T, 410), every 160 samples.
    """
    needed = (frames - 1) * HOP + WINDOW
    missing = max(0, needed - samples.size(-1))
    padded = torch.nn.functional.pad(samples, (0, missing))
    return padded[..., :needed].unfold(-1, WINDOW, HOP)


def cepstra(frames: torch.Tensor) -> torch.Tensor:
    """Return the cepstrum of each frame, from nothing but that frame.

    Args:
        frames: (..., 410), pre-emphasized, in the range of int16.

    Returns:
        (..., 13), float32.
    """
    window, filters, transform = _matrices(frames.device)
    spectrum = torch.fft.rfft(frames.float() * window, n=N_FFT)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power @ filters).clamp(min=FLOOR).log() @ transform


def mel_filters() -> np.ndarray:
    """Return the weights (40, 257) of the triangular filters, each of unit area.

    Edges are equidistant in mel and rounded to the frequencies of the FFT.
    """
    resolution = FS / N_FFT
    low, high = 2595.0 * np.log10(1.0 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(low, high, N_MELS + 2) / 2595.0) - 1.0)
    edges = np.round(edges / resolution) * resolution
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = np.arange(N_FFT // 2 + 1) * resolution
    rising = (hertz - left) / (centre - left)
    falling = (right - hertz) / (right - centre)
    return 2.0 / (right - left) * np.maximum(np.minimum(rising, falling), 0.0)


def cosine_transform() -> np.ndarray:
    """Return Sphinx's cosine transform (13, 40): the first band counts half."""
    order, band = np.arange(N_CEPSTRA)[:, None], np.arange(N_MELS)
    weights = np.cos(np.pi * order * (band + 0.5) / N_MELS) / N_MELS
    weights[:, 0] *= 0.5
    return weights


@functools.cache
def _matrices(
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return window (410,), filters (257, 40), transform (40, 13)."""

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array.astype(np.float32), device=device)

    return (
        tensor(np.hamming(WINDOW)),
        tensor(mel_filters().T),
        tensor(cosine_transform().T),
    )


class MfccFrontend(AbsFrontend):
    """The MFCCs above as a front end of ESPnet's, for samples and for stored features.

    What is given says which: (B, N) are samples in +-1, as ESPnet reads audio, and
    (B, T, 13) are features that were computed before, which go through as they are. So
    a model that was trained on CMU's features hears waveforms without any change. It
    has no parameters, and neither gradients nor autocast go through it.

    Args:
        fs: Samples per second, such as 16000 or "16k". No other rate: the features are
            defined by their numbers of samples.

    Attributes:
        hop_length: Samples between frames.
        win_length: Samples in a frame.
        fs: Samples per second.
        lookahead_samples: Samples that a frame needs after the end of its own hop.
        takes_features: That features go through.

    Raises:
        ValueError: ``fs`` is another rate.
    """

    def __init__(self, fs: int | str = FS):
        super().__init__()
        if str(fs).lower() not in (str(FS), "16k"):
            raise ValueError(
                f"fs={fs!r} of mfcc_an4 must be 16000: its features are defined at "
                "that rate; resample the audio with --fs 16k --resample true"
            )
        self.fs = FS
        self.hop_length = HOP
        self.win_length = WINDOW
        self.lookahead_samples = WINDOW - HOP
        self.takes_features = True

    def output_size(self) -> int:
        """Return 13."""
        return N_CEPSTRA

    @torch.no_grad()
    def forward(
        self, input: torch.Tensor, input_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of each utterance, as if it were alone.

        Args:
            input: Samples (#batch, N) in +-1, or features (#batch, T, 13).
            input_lengths: Samples, or frames, of each utterance (#batch,).

        Returns:
            Features (#batch, T, 13), 0 after the end, computed in float32 and of the
            input's type; frames (#batch,).

        Raises:
            ValueError: The input is of another shape, such as several channels.
        """
        if input.dim() == 3 and input.size(-1) == N_CEPSTRA:
            return input, input_lengths
        if input.dim() != 2:
            raise ValueError(
                f"mfcc_an4 takes samples (batch, N) of one channel or features "
                f"(batch, T, {N_CEPSTRA}), not {tuple(input.shape)}"
            )
        olens = num_frames(input_lengths)
        with torch.autocast(input.device.type, enabled=False):
            # What follows the end in a batch shall be as if nothing followed.
            samples = _zero_after(input.float() * SCALE, input_lengths)
            longest = max(1, int(olens.max()))
            extended = torch.nn.functional.pad(samples, (0, WINDOW))
            frames = cut(preemphasize(extended), longest)
            features = _zero_after(cepstra(frames), olens)[:, : int(olens.max())]
        return features.to(input.dtype), olens


def _zero_after(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return values (B, N, ...) with zeros from ``lengths`` (B,) on."""
    index = torch.arange(values.size(1), device=values.device)
    inside = index < lengths.to(values.device)[:, None]
    inside = inside.reshape(*inside.shape, *[1] * (values.dim() - 2))
    return cast(torch.Tensor, torch.where(inside, values, torch.zeros_like(values)))
