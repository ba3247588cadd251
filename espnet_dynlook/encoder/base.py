# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What both encoders share: the forward pass under a kind of lookahead."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports, espnet_nets
from espnet_dynlook.encoder.masks import Kind, LayerMasks
from espnet_dynlook.encoder.stream_state import EncoderState, restarted
from espnet_dynlook.encoder.streaming import StreamingEncoder
from espnet_dynlook.encoder.subsampling import (
    CONVOLUTIONAL,
    FrameArithmetic,
    TooShortUttError,
)
from espnet_dynlook.lookahead.dynamic import DynamicLookahead
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.latency import LookaheadLatency
from espnet_dynlook.lookahead.random import RandomLookahead
from espnet_dynlook.lookahead.trace import LookaheadTrace
from espnet_dynlook.lookahead.values import is_whole

with espnet_imports():
    from espnet2.asr.ctc import CTC
    from espnet2.asr.encoder.abs_encoder import AbsEncoder

LayerNorm = espnet_nets("pytorch_backend.transformer.layer_norm").LayerNorm
MultiSequential = espnet_nets("pytorch_backend.transformer.repeat").MultiSequential
#: Samples in an analysis window of ESPnet's DefaultFrontend.
ESPNET_WINDOW = 512


class DynlookEncoder(AbsEncoder):
    """Encoder whose layers see what its kind of lookahead lets them see.

    Args:
        name: Name in the configuration, for messages.
        output_size: Dimension of attention.
        embed: Input layer, positions included; None: the input is used as it is.
        arithmetic: Which input frames an output of the input layer depends on.
        layers: L modules, each called with (x, pos_emb, mask, padding).
        layer_drop_rate: Probability of skipping a layer in training.
        normalize_before: Whether layers normalize their input, not their output.
        interctc_layer_idx: Layers (from 1) whose output gets a CTC loss.
        interctc_use_conditioning: Whether those posteriors are fed back.
        kind: What fills in the masks.
        left_context: Past frames that a row sees in one layer; -1: all.

    Attributes:
        lookahead: Trace of the last forward pass; None before the first.
        scheduler: What learns the lookahead; None for the kinds that are fixed.
        frame_shift: Input frames per output frame.
    """

    def __init__(
        self,
        name: str,
        output_size: int,
        embed: torch.nn.Module | None,
        arithmetic: FrameArithmetic,
        layers: Sequence[torch.nn.Module],
        layer_drop_rate: float,
        normalize_before: bool,
        interctc_layer_idx: list[int],
        interctc_use_conditioning: bool,
        kind: Kind,
        left_context: int,
    ):
        super().__init__()
        outside = [i for i in interctc_layer_idx if not 0 < i < len(layers)]
        if outside:
            raise ValueError(
                f"interctc_layer_idx={interctc_layer_idx}: {outside} is not in 1 .. "
                f"{len(layers) - 1}, the layers below the last of num_blocks="
                f"{len(layers)}"
            )
        if not is_whole(left_context) or left_context < -1:
            raise ValueError(
                f"left_context={left_context!r} must be -1 (all past frames) or a "
                "whole number of frames from 0"
            )
        self.name = name
        self._output_size = output_size
        self.embed = embed
        self.arithmetic = arithmetic
        self.frame_shift = arithmetic.stride
        # ESPnet's container, for its parameter names.
        self.encoders = MultiSequential(*layers, layer_drop_rate=layer_drop_rate)
        self.normalize_before = normalize_before
        if normalize_before:
            self.after_norm = LayerNorm(output_size)
        self.interctc_layer_idx = interctc_layer_idx
        self.interctc_use_conditioning = interctc_use_conditioning
        self.conditioning_layer = None  # ESPnet's model puts it here
        # Parameters of the schedulers are ``encoder.scheduler.*``: all other names and
        # shapes are ESPnet's.
        self.scheduler = kind if isinstance(kind, DynamicLookahead) else None
        self._fixed = kind if self.scheduler is None else None
        self._override: FixedLookahead | None = None
        self.left_context = left_context
        self.lookahead: LookaheadTrace | None = None

    def output_size(self) -> int:
        """Return the dimension of the output."""
        return self._output_size

    @property
    def kind(self) -> Kind:
        """What fills in the masks; its ``name`` is that in the configuration."""
        kind = self._override or self.scheduler or self._fixed
        assert kind is not None
        return kind

    @property
    def annealed(self) -> bool:
        """Whether masks are as they will be at inference."""
        return self.scheduler is None or self.scheduler.annealed

    def set_progress(self, progress: float) -> None:
        """Tell the schedulers how much of the training is done, in [0, 1]."""
        if self.scheduler is not None:
            self.scheduler.set_progress(progress)

    def set_wait(self, wait: float) -> None:
        """Tell the schedulers how much to wait, from 0 to 1, the most.

        For models that were trained with a range of latency weights; 0.5 until it is
        called.

        Raises:
            ValueError: it is out of range, or the lookahead is not learned.
        """
        if self.scheduler is None:
            raise ValueError(
                f"wait={wait} needs lookahead: dynamic; this encoder has lookahead: "
                f"{self.kind.name}"
            )
        self.scheduler.set_wait(wait)

    @contextlib.contextmanager
    def soft_masks(self) -> Iterator[None]:
        """Evaluate with soft masks inside a ``with`` block."""
        with contextlib.ExitStack() as stack:
            if self.scheduler is not None:
                stack.enter_context(self.scheduler.soft_masks())
            yield

    @contextlib.contextmanager
    def override(self, kind: FixedLookahead) -> Iterator[None]:
        """Use another, fixed kind of lookahead inside a ``with`` block."""
        before, self._override = self._override, kind
        try:
            yield
        finally:
            self._override = before

    def constant_ms(
        self, hop_length: int, fs: int, win_length: int | None = None
    ) -> float:
        """Return the latency of front end and subsampling in ms.

        What an output frame needs beyond the end of its own frame period when no layer
        looks ahead: the rest of the convolutions' window, and half an analysis window
        (ESPnet's STFT is centred) beyond the hop that a feature frame stands for.

        Args:
            hop_length: Samples between feature frames.
            fs: Samples per second.
            win_length: Samples in an analysis window; None: the 512 that ESPnet's
                front end has when nothing else is configured.
        """
        window = ESPNET_WINDOW if win_length is None else win_length
        samples = self.arithmetic.lookahead * hop_length + window / 2 - hop_length
        return 1000.0 * samples / fs

    def lookahead_ms(
        self, hop_length: int, fs: int, win_length: int | None = None
    ) -> LookaheadLatency:
        """Return the latency of a frame in ms, counted from the end of the frame.

        Front end and subsampling included; see ``constant_ms`` for the arguments.
        Infinite for ``lookahead: full``, where every frame waits for the end.

        Raises:
            ValueError: the lookahead is learned, so that it depends on the input.
        """
        kind = self.kind
        if isinstance(kind, DynamicLookahead):
            raise ValueError(
                "with lookahead: dynamic the latency depends on the input: read "
                "encoder.lookahead.algorithmic_latency() after a forward pass, or the "
                "file lookahead_ms that decoding writes"
            )
        if isinstance(kind, RandomLookahead):
            kind = kind.evaluated()
        waits = kind.waits()
        if waits is None:
            infinite = float("inf")
            return LookaheadLatency(infinite, infinite, infinite, infinite)
        period = 1000.0 * self.frame_shift * hop_length / fs
        constant = self.constant_ms(hop_length, fs, win_length)
        return LookaheadLatency.of(torch.tensor(waits) * period + constant)

    def _check_input(self, xs_pad: torch.Tensor, ilens: torch.Tensor) -> None:
        shortest = int(ilens.min())
        if shortest < self.arithmetic.window:
            which = int(ilens.argmin())
            raise TooShortUttError(
                f"has {shortest} frames (utterance {which} of the batch) and is too "
                f"short for {self.name}, whose subsampling needs at least "
                f"{self.arithmetic.window}; remove it, or raise --min_wav_duration",
                shortest,
                self.arithmetic.window,
            )
        if int(ilens.max()) > xs_pad.size(1):
            raise ValueError(
                f"ilens={ilens.tolist()} is longer than the input, which has "
                f"{xs_pad.size(1)} frames"
            )

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
        ctc: CTC | None = None,
        return_all_hs: bool = False,
    ) -> tuple[
        torch.Tensor | tuple[torch.Tensor, list], torch.Tensor, torch.Tensor | None
    ]:
        """Encode.

        Args:
            xs_pad: Input tensor (#batch, L, input_size).
            ilens: Input length (#batch).
            prev_states: Not used.
            masks: True for frames that are padding (#batch, L), instead of ``ilens``;
                padding is at the end.
            ctc: CTC module, for self-conditioning on intermediate CTC.
            return_all_hs: Whether to return the output of every layer.

        Returns:
            Output tensor (#batch, T, output_size), or that and a list of the
            intermediate outputs: (layer, tensor) of the intermediate CTC layers, else
            with ``return_all_hs`` every layer's tensor.
            Output length (#batch).
            None.

        Raises:
            TooShortUttError: an utterance is shorter than the subsampling.
            ValueError: the input has NaN or infinite values, or lengths do not fit.
        """
        if masks is not None:
            ilens = (~masks).sum(dim=1)
        ilens = ilens.to(xs_pad.device)
        self._check_input(xs_pad, ilens)
        if self.training and self.scheduler is not None:
            self.scheduler.advance()
        xs_pad = xs_pad[:, : int(ilens.max())]
        olens = self.arithmetic.output_lengths(ilens)

        x, pos_emb = self._embed(xs_pad)
        num_frames = x.size(1)
        padding = None
        if int(olens.min()) < num_frames:
            index = torch.arange(num_frames, device=x.device)
            padding = index >= olens[:, None]  # (#batch, T)
            x = x.masked_fill(padding[:, :, None], 0.0)
        self._check_finite(x)

        masks_of = LayerMasks(
            self.kind, self.training, len(self.encoders), olens, self.left_context, x
        )
        outputs: list[Any] = []
        for number, layer in enumerate(self.encoders, 1):
            if not self._drops_layer():
                x = layer(x, pos_emb, masks_of.layer(number, x), padding)
            if number in self.interctc_layer_idx:
                intermediate = self.after_norm(x) if self.normalize_before else x
                outputs.append((number, intermediate))
                if self.interctc_use_conditioning:
                    assert ctc is not None and self.conditioning_layer is not None
                    x = x + self.conditioning_layer(ctc.softmax(intermediate))
            elif return_all_hs and not self.interctc_layer_idx:
                outputs.append(x)
        self.lookahead = masks_of.trace()
        if self.normalize_before:
            x = self.after_norm(x)
        return ((x, outputs) if outputs else x), olens, None

    def initial_state(
        self, batch_size: int = 1, taps: Sequence[int] = ()
    ) -> EncoderState:
        """Return the state of streams that have heard nothing.

        Args:
            batch_size: How many.
            taps: Layers, from 1, whose outputs ``intermediate`` of the states to come
                has, besides those of ``interctc_layer_idx``.

        Raises:
            ValueError: the encoder cannot stream, is in training mode, or has no such
                layers.
        """
        return StreamingEncoder(self).begin(batch_size, taps)

    def step(
        self,
        state: EncoderState,
        feats: torch.Tensor,
        lengths: torch.Tensor | None = None,
        final: bool | torch.Tensor = False,
        ctc: CTC | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, EncoderState]:
        """Encode further frames of streams.

        What all calls return together is what ``forward`` returns for the whole.

        Args:
            state: From ``initial_state`` or the call before; it stays as it is.
            feats: New features (B, N, input_size).
            lengths: How many of them are each stream's (B,), 0 where it pauses; None:
                all.
            final: Whether streams end with these, for all or (B,) bool.
            ctc: CTC module, for self-conditioning on intermediate CTC.

        Returns:
            Output frames that became final (B, n, output_size), 0 past a stream's
            number; how many of each stream (B,); the state for the next call, whose
            ``latency`` says how many frames each of them had to wait for, and whose
            ``intermediate`` has their intermediate outputs.

        Raises:
            ValueError: shapes or lengths do not fit, a stream that has ended gets more
                frames, or the input has NaN or infinite values.
        """
        return StreamingEncoder(self).step(state, feats, lengths, final, ctc)

    def restart(self, state: EncoderState, streams: torch.Tensor) -> EncoderState:
        """Return a state in which some streams begin anew.

        Args:
            state: Of all streams.
            streams: Which (B,) bool.
        """
        return restarted(state, streams)

    def _embed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.embed is None:
            return x, None
        if isinstance(self.embed, tuple(c for c, _ in CONVOLUTIONAL.values())):
            embedded, _ = self.embed(x, None)
        else:
            embedded = self.embed(x)
        # Relative positions come as a pair.
        return embedded if isinstance(embedded, tuple) else (embedded, None)

    def _check_finite(self, x: torch.Tensor) -> None:
        # The sum is NaN or infinite where any value is: one reduction, and padding,
        # which may hold anything, has been cleared before.
        if torch.isfinite(x.detach().sum(dtype=torch.float32)):
            return
        broken = (~torch.isfinite(x)).flatten(1).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(
            f"utterances {broken} of the batch have NaN or infinite values after the "
            f"input layer of {self.name}: check the audio and the normalization "
            "statistics, or, when the loss has just exploded, lower the learning rate"
        )

    def _drops_layer(self) -> bool:
        rate = self.encoders.layer_drop_rate
        return self.training and rate > 0 and torch.rand(1).item() < rate
