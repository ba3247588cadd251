# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Features of speech that is still coming in: those of the offline front end, exactly.

A frame is made as soon as the last sample that has any weight in it is there. Packets
may be of any size; the edges of the utterance are ESPnet's.
"""

from dataclasses import dataclass
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.frontend import mfcc
from espnet_dynlook.frontend.timing import waits_for_end

with espnet_imports():
    from espnet2.layers.stft import Stft


class CannotStream(ValueError):
    """A part of the model needs the whole utterance; says which and what to use."""


@dataclass(frozen=True)
class FrontendState:
    """What is kept of an utterance between packets.

    Attributes:
        samples: That frames to come still need, (N,).
        first: Number of the first of them.
        frames: Frames made so far.
        over: Whether the utterance has ended.
    """

    samples: torch.Tensor
    first: int = 0
    frames: int = 0
    over: bool = False

    @property
    def received(self) -> int:
        """Samples of the utterance so far."""
        return self.first + len(self.samples)


class StreamingFrontend:
    """The front end and the normalization of a model, packet by packet.

    Args:
        model: ESPnet's ASR model, in evaluation mode.

    Attributes:
        fs: Samples per second.
        takes_samples: Whether packets may be samples (N,).
        takes_features: Whether they may be features (N, D).

    Raises:
        CannotStream: a part needs the whole utterance.
    """

    def __init__(self, model: Any):
        reason = waits_for_end(model)
        if reason is not None:
            raise CannotStream(f"this model cannot stream: {reason}")
        self.normalize = model.normalize
        self.takes_samples = model.frontend is not None
        self.takes_features = not self.takes_samples or bool(
            getattr(model.frontend, "takes_features", False)
        )
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.cut: _LogMel | _Mfcc | None = None
        if isinstance(model.frontend, mfcc.MfccFrontend):
            self.cut = _Mfcc()
        elif model.frontend is not None:
            self.cut = _LogMel(model.frontend)

    def begin(self) -> FrontendState:
        """Return the state of an utterance of which nothing is there."""
        return FrontendState(torch.zeros(0, device=self.device, dtype=self.dtype))

    @torch.no_grad()
    def push(
        self, state: FrontendState, packet: torch.Tensor, final: bool = False
    ) -> tuple[torch.Tensor, FrontendState]:
        """Take in a packet.

        Args:
            state: From ``begin`` or the call before; it stays as it is.
            packet: Samples (N,) in +-1, any number of them; or features (N, D), for a
                model without a front end, or one that lets them through.
            final: Whether the utterance ends with it.

        Returns:
            Features (n, D), normalized; the state for the next call.

        Raises:
            ValueError: the utterance has ended, or the packet is of another shape.
        """
        if state.over:
            raise ValueError("this utterance has ended: begin another one")
        packet = packet.to(self.device, self.dtype)
        allowed = {1: self.takes_samples, 2: self.takes_features}
        if not allowed.get(packet.dim(), False):
            names = {1: "samples (N,)", 2: "features (N, D)"}
            what = " or ".join(name for dim, name in names.items() if allowed[dim])
            raise ValueError(
                f"a packet is {what} here, not of shape {tuple(packet.shape)}"
            )
        if self.cut is None or packet.dim() == 2:
            return self._normalized(packet), FrontendState(state.samples, over=final)
        samples = torch.cat((state.samples, packet))
        total = state.first + len(samples)
        frames = self.cut.frames_of(total) if final else self.cut.complete(total)
        if frames <= state.frames:
            feats = packet.new_zeros(0, self.cut.size)
            return feats, FrontendState(samples, state.first, state.frames, final)
        feats = self.cut.features(samples, state.first, state.frames, frames, final)
        keep = min(self.cut.begin_of(frames), total)
        gone = max(keep - state.first, 0)
        after = FrontendState(samples[gone:], state.first + gone, frames, final)
        return self._normalized(feats.to(self.dtype)), after

    def _normalized(self, feats: torch.Tensor) -> torch.Tensor:
        if self.normalize is None or not len(feats):
            return feats
        lengths = torch.tensor([len(feats)], device=feats.device)
        return self.normalize(feats[None].clone(), lengths)[0][0]  # works in place


class _LogMel:
    """ESPnet's STFT and log-mel energies.

    Args:
        frontend: ESPnet's DefaultFrontend.
    """

    def __init__(self, frontend: Any):
        stft = frontend.stft
        self.n_fft, self.hop = stft.n_fft, stft.hop_length
        self.window = stft.win_length or stft.n_fft
        self.centre = stft.n_fft // 2 if stft.center else 0
        self.size = frontend.output_size()
        self.logmel = frontend.logmel
        self.uncentred = Stft(
            n_fft=stft.n_fft,
            win_length=stft.win_length,
            hop_length=stft.hop_length,
            window=stft.window,
            center=False,
            normalized=stft.normalized,
            onesided=stft.onesided,
        )
        # Up to here the window of a centred frame is not zero. Without centring, a
        # frame is only made where all its n_fft samples are there.
        margin = (self.n_fft - self.window) // 2
        self.needed = margin + self.window if self.centre else self.n_fft
        # The first frame reflects up to this sample.
        self.reflected = self.centre - margin if self.centre else 0

    def complete(self, total: int) -> int:
        """Return how many frames have all their samples."""
        if total <= self.reflected:
            return 0
        last = total + self.centre - self.needed
        return max(last // self.hop + 1, 0)

    def frames_of(self, total: int) -> int:
        """Return how many frames an utterance of so many samples has."""
        if total <= self.centre:  # there is nothing to reflect
            return 0
        return max((total + 2 * self.centre - self.n_fft) // self.hop + 1, 0)

    def begin_of(self, frame: int) -> int:
        """Return the first sample that a frame needs; 0 where it reflects the begin."""
        first = frame * self.hop - self.centre
        return first if first > 0 else 0

    def features(
        self, samples: torch.Tensor, first: int, start: int, stop: int, final: bool
    ) -> torch.Tensor:
        """Return the features of the frames from ``start`` to before ``stop``."""
        low = start * self.hop - self.centre
        high = (stop - 1) * self.hop - self.centre + self.n_fft
        total = first + len(samples)
        index = torch.arange(low, high, device=samples.device).abs()
        if final and self.centre:
            index = torch.where(index >= total, 2 * (total - 1) - index, index)
        # Beyond what is there, the window is zero.
        known = (index >= first) & (index < total)
        at = (index - first).clamp(0, len(samples) - 1)
        padded = samples[at].where(known, 0.0)
        spectrum, _ = self.uncentred(padded[None])
        power = spectrum[..., 0] ** 2 + spectrum[..., 1] ** 2
        return self.logmel(power)[0][0]


class _Mfcc:
    """The MFCCs of ``mfcc_an4``."""

    size = mfcc.N_CEPSTRA

    def complete(self, total: int) -> int:
        """Return how many frames have all their samples."""
        return max((total - mfcc.WINDOW) // mfcc.HOP + 1, 0)

    def frames_of(self, total: int) -> int:
        """Return how many frames an utterance of so many samples has."""
        return int(mfcc.num_frames(torch.tensor(total)))

    def begin_of(self, frame: int) -> int:
        """Return the first sample that a frame needs: one more, for pre-emphasis."""
        return max(frame * mfcc.HOP - 1, 0)

    def features(
        self, samples: torch.Tensor, first: int, start: int, stop: int, final: bool
    ) -> torch.Tensor:
        """Return the features of the frames from ``start`` to before ``stop``."""
        offset = start * mfcc.HOP - first
        own = samples[offset:].float() * mfcc.SCALE
        before = samples[offset - 1 : offset].float() * mfcc.SCALE if offset else None
        # What follows the end is zero, and then its pre-emphasis.
        own = torch.nn.functional.pad(own, (0, mfcc.WINDOW))
        return mfcc.cepstra(mfcc.cut(mfcc.preemphasize(own, before), stop - start))
