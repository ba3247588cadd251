# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The MFCCs of ``mfcc.py``, slowly: sample by sample and sum by sum, in float64."""

import math

import numpy as np


def mel_edges() -> list[float]:
    """Return 42 edges in Hz: left, peak and right of filter j are j, j+1 and j+2."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    low, high = mel(130), mel(6800)
    edges = [low + (high - low) * n / 41 for n in range(42)]
    hertz = [700 * (10 ** (edge / 2595) - 1) for edge in edges]
    return [round(h / 31.25) * 31.25 for h in hertz]


def mel_power(power: np.ndarray) -> list[float]:
    """Return the power in each of 40 bands of a spectrum (257,)."""
    edges, bands = mel_edges(), []
    for left, peak, right in zip(edges, edges[1:], edges[2:], strict=False):
        height, total = 2 / (right - left), 0.0
        for k, value in enumerate(power):
            hertz = 31.25 * k
            if left < hertz <= peak:
                total += value * height * (hertz - left) / (peak - left)
            elif peak < hertz < right:
                total += value * height * (right - hertz) / (right - peak)
        bands.append(total)
    return bands


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Return the MFCCs (T, 13) of an utterance of int16 samples (N,)."""
    count = len(samples)
    frames, start = [], 0
    while count:
        frame = []
        for n in range(start, start + 410):
            now = float(samples[n]) if n < count else 0.0
            before = float(samples[n - 1]) if 0 < n <= count else 0.0
            window = 0.54 - 0.46 * math.cos(2 * math.pi * (n - start) / 409)
            frame.append(window * (now - 0.97 * before))
        power = np.abs(np.fft.rfft(frame, 512)) ** 2
        logs = [math.log(max(band, 1e-5)) for band in mel_power(power)]
        frames.append(
            [
                sum(
                    (0.5 if j == 0 else 1.0)
                    * log
                    * math.cos(math.pi * i * (j + 0.5) / 40)
                    for j, log in enumerate(logs)
                )
                / 40
                for i in range(13)
            ]
        )
        if start + 410 > count:
            break
        start += 160
    return np.array(frames).reshape(-1, 13)
