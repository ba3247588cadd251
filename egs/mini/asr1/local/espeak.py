"""Synthetic speech from espeak-ng, through the shared library that a pip package ships.

espeak-ng and the package ``espeakng-loader`` are GPL-3.0-or-later; this recipe and its
tests are all that uses them.

Source of the interface: espeak-ng, ``src/include/espeak-ng/speak_lib.h``.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

FS = 16000
_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples go to the callback, to no device
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: return an error, do not exit()
_RATE, _PITCH = 1, 3  # espeakRATE (words per minute), espeakPITCH (0 to 100)
_UTF8 = 1  # espeakCHARS_UTF8
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Utterance:
    """What to say and how.

    Attributes:
        text: Plain words; upper case is lowered, since espeak-ng may spell it out.
        voice: A voice of espeak-ng with an optional variant, such as ``en-us+f2``.
        rate: Words per minute.
        pitch: 0 to 100.
    """

    text: str
    voice: str
    rate: int
    pitch: int


def resample(samples: np.ndarray, fs_in: int, fs_out: int) -> np.ndarray:
    """Change the rate of a whole recording by cutting its spectrum.

    Args:
        samples: (N,) at ``fs_in`` Hz.
        fs_in: Rate of the input in Hz.
        fs_out: Wanted rate in Hz.

    Returns:
        (ceil(N * fs_out / fs_in),) or a few samples more: the input is first padded
        with zeros until the ratio of the lengths is exact.
    """
    divisor = int(np.gcd(fs_in, fs_out))
    up, down = fs_out // divisor, fs_in // divisor
    blocks = -(-len(samples) // down)
    padded = np.zeros(blocks * down)
    padded[: len(samples)] = samples
    return np.fft.irfft(np.fft.rfft(padded), n=blocks * up) * (up / down)


class Synthesizer:
    """espeak-ng in this process. It is one per process: the library has globals.

    Raises:
        ModuleNotFoundError: ``espeakng-loader`` is not installed.
        RuntimeError: The library could not be started.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "the synthetic corpus is spoken by espeak-ng: install it with "
                "pip install 'espeakng-loader>=0.2.4' (GPL-3.0-or-later)"
            ) from error
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self._chunks: list[np.ndarray] = []
        self._callback = _Callback(self._collect)  # kept: C holds only a pointer
        data = espeakng_loader.get_data_path()
        rate = self._library.espeak_Initialize(
            _RETRIEVAL, 0, str(data).encode(), _DONT_EXIT
        )
        if rate <= 0:
            raise RuntimeError(f"espeak-ng found no usable data in {data}")
        self.native_fs: int = rate
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def __call__(self, utterance: Utterance, seed: int = 0) -> np.ndarray:
        """Speak one utterance.

        espeak-ng carries some state (flutter, phase) from one utterance to the next:
        the same audio comes from the same *sequence* of calls in a new process.

        Args:
            utterance: What to say and how.
            seed: For the breath noise of some voices, else seeded by the clock.

        Returns:
            (N,) float64 in [-1, 1] at 16 kHz.

        Raises:
            ValueError: espeak-ng has no such voice, or said nothing.
        """
        library = self._library
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        if library.espeak_SetVoiceByName(utterance.voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {utterance.voice!r}")
        library.espeak_SetParameter(_RATE, utterance.rate, 0)
        library.espeak_SetParameter(_PITCH, utterance.pitch, 0)
        self._chunks.clear()
        text = utterance.text.lower().encode() + b"\0"
        library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, 1, 0, _UTF8, None, None
        )
        library.espeak_Synchronize()
        if not self._chunks:
            raise ValueError(f"espeak-ng said nothing for {utterance}")
        samples = np.concatenate(self._chunks) / 32768.0
        return resample(samples, self.native_fs, FS)
