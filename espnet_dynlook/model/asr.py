# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ESPnet's ASR model with a price on waiting (``model: dynlook``)."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook.biasing.phone_head import PhoneCTC
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.lookahead.closing import close_band
from espnet_dynlook.lookahead.compute import user_perceived_latency
from espnet_dynlook.lookahead.trace import LookaheadTrace
from espnet_dynlook.model.latency import LatencyConf, build_penalty
from espnet_dynlook.model.phones import PhoneBranch, build_phone_branch
from espnet_dynlook.model.transducer import torchaudio_transducer_loss

with espnet_imports():
    from espnet2.asr.espnet_model import ESPnetASRModel
    from espnet2.torch_utils.device_funcs import force_gatherable


class DynlookASRModel(ESPnetASRModel):
    """ESPnet's ASR model plus a latency penalty: CTC, hybrid or transducer.

    The loss of the task is ESPnet's, of an utterance. The penalty's weight is meant
    beside a loss *per token*, so that one weight suits long and short utterances:
    ``loss = loss_task + tokens * weight * penalty``, ``tokens`` being the mean number
    of tokens in the batch's utterances (1 where the loss is one per token already:
    attention alone, with ``length_normalized_loss``). With ``latency_loss: absolute``
    the unit of the weight is thus nats per token and frame.

    Statistics besides ESPnet's, with a learned lookahead: ``loss_task`` (the criterion
    without the penalty), ``loss_latency``, ``latency_ms`` (soft masks) and
    ``latency_rounded_ms``, ``lookahead_layerN`` (mean frames that layer N looks ahead),
    ``undecided`` (share of gates between 0.1 and 0.9), ``latency_weight`` (in force),
    and in validation ``loss_soft`` and ``soft_gap`` (the loss under soft masks, and the
    share by which it is lower than under rounded ones). With a compute budget
    ``upl_ms``. With a phone head ``loss_task``, ``loss_phone``, ``phone_skipped``
    (share of the utterances that have no phone loss, since a word of theirs cannot be
    pronounced), and in validation ``per`` (phone error rate of the best path).

    Args:
        args: As ESPnet's.
        latency_loss: none, naive, absolute, relative, excess or upl; see
            ``LatencyPenalty``.
        latency_weight: Price, in nats per token; or [lo, hi] for one model at many
            latencies: drawn per batch, log-uniformly, and told to the encoder.
        latency_target: Mean latency in ms (rounded masks, front end and subsampling
            included) that the weight is steered to.
        latency_warmup: Fraction of the training without a penalty: CTC first has to
            leave its all-blank plateau.
        latency_ramp: Fraction over which it then grows to its whole weight.
        latency_floor: Frames added to the running mean, for ``relative``.
        compute_budget: Real-time factor of the device that the model is to run on;
            ``upl`` needs it, and it makes decoding report user-perceived latencies.
        phone_ctc_layer: Layer, from 1, whose output a CTC head over phones reads.
        phone_ctc_weight: What its loss is multiplied by before it is added; without
            ``phone_ctc_layer`` 0: there is no such head.
        kwargs: As ESPnet's.

    Raises:
        ValueError: a value is out of range, or the encoder has no learned lookahead to
            train; says what to write instead.
    """

    def __init__(
        self,
        *args: Any,
        latency_loss: str = LatencyConf.latency_loss,
        latency_weight: float | Sequence[float] = LatencyConf.latency_weight,
        latency_target: float | None = LatencyConf.latency_target,
        latency_warmup: float = LatencyConf.latency_warmup,
        latency_ramp: float = LatencyConf.latency_ramp,
        latency_floor: float = LatencyConf.latency_floor,
        compute_budget: float | None = LatencyConf.compute_budget,
        phone_ctc_layer: int | None = None,
        phone_ctc_weight: float = 0.0,
        **kwargs: Any,
    ):
        with torchaudio_transducer_loss():
            super().__init__(*args, **kwargs)
        self.timing = FrontendTiming(self)
        self.compute_budget = compute_budget
        conf = LatencyConf(
            latency_loss,
            latency_weight,
            latency_target,
            latency_warmup,
            latency_ramp,
            latency_floor,
            compute_budget,
        )
        self.latency_penalty, work = build_penalty(self.encoder, self.timing, conf)
        self.ranged = self.latency_penalty is not None and self.latency_penalty.ranged
        self.register_buffer("work", work, persistent=False)
        attention_only = not self.use_transducer_decoder and self.ctc is None
        normalized = getattr(
            getattr(self, "criterion_att", None), "normalize_length", False
        )
        self.loss_per_token = bool(attention_only and normalized)
        self.phone_ctc: PhoneCTC | None = None
        self.phones: PhoneBranch | None = None
        if phone_ctc_weight or phone_ctc_layer is not None:
            self.phone_ctc, self.phones = build_phone_branch(
                self, phone_ctc_layer, phone_ctc_weight
            )

    def set_progress(self, epoch: int, progress: float) -> None:
        """Tell the penalty how much of the training is done, in [0, 1]."""
        if self.latency_penalty is not None:
            self.latency_penalty.set_progress(progress)

    def train(self, mode: bool = True) -> "DynlookASRModel":
        """Switch modes; training leaves a range of weights at its middle."""
        ends = self.training and not mode
        super().train(mode)
        if ends:  # not again, so that what set_wait was told stays
            self._draw()
        return self

    def set_wait(self, wait: float) -> None:
        """Choose where in its range of latency weights the model decodes.

        Args:
            wait: 0, the shortest latency, to 1, the longest.

        Raises:
            ValueError: it is out of range, or the model was trained for one latency.
        """
        if not self.ranged:
            raise ValueError(
                f"wait={wait} needs a model of many latencies, and this one was "
                "trained for one: leave it out, or train with latency_weight: [lo, hi]"
            )
        self.eval()
        self.encoder.set_wait(wait)

    def _follow(self) -> None:
        """Let the penalty be as far as the schedulers, where those count batches."""
        if self.encoder.scheduler.counts:
            self.set_progress(1, float(self.encoder.scheduler.progress))

    def _draw(self) -> None:
        penalty = self.latency_penalty
        if penalty is not None and penalty.ranged:
            penalty.draw()
            self.encoder.set_wait(penalty.wait)

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the loss of a batch, statistics, and the batch's weight.

        Args:
            speech: Samples (B, N), or features (B, N, D).
            speech_lengths: (B,).
            text: Token numbers (B, U).
            text_lengths: (B,).
            kwargs: As ESPnet's.
        """
        batch = (speech, speech_lengths, text, text_lengths)
        loss_soft = None
        # ESPnet lengthens the text in place where a language token is prepended.
        said = (text.clone(), text_lengths.clone())
        if self.latency_penalty is not None:
            if self.training:
                self._follow()
                self._draw()
            else:  # before the rest, so that the trace of that is what remains
                loss_soft = self._soft_loss(*batch, **kwargs)
        loss, stats, weight = super().forward(*batch, **kwargs)
        more: dict[str, Any] = {}
        if self.phones is not None and self.phones.weight:
            more["loss_task"] = loss.detach()
            loss_phone, found = self.phones(*said, self.training)
            loss = loss + self.phones.weight * loss_phone
            more.update(found, loss=loss.detach())
        trace: LookaheadTrace | None = getattr(self.encoder, "lookahead", None)
        if self.latency_penalty is not None:
            assert trace is not None
            tokens = 1.0 if self.loss_per_token else said[1].float().mean()
            term = self.latency_penalty(trace)
            more.setdefault("loss_task", loss.detach())
            more["loss_latency"] = (tokens * term.loss).detach()
            loss = loss + tokens * term.loss
            more["loss"] = loss.detach()
            constant = self.timing.constant_ms(self.encoder)
            period = self.timing.frame_ms(self.encoder)
            more["latency_ms"] = term.latency.detach() * period + constant
            more["latency_rounded_ms"] = term.rounded * period + constant
            more["latency_weight"] = term.weight
            for layer, frames in enumerate(trace.mean_lookahead().detach(), 1):
                more[f"lookahead_layer{layer}"] = frames
            more["undecided"] = trace.undecided()
            if loss_soft is not None:
                more["loss_soft"] = loss_soft
                more["soft_gap"] = (more["loss_task"] - loss_soft) / loss_soft
        if trace is not None and self.compute_budget is not None:
            more["upl_ms"] = self.upl_ms(trace).mean()
        shaped = {
            key: value.reshape(-1) if isinstance(value, torch.Tensor) else value
            for key, value in more.items()
        }
        stats = {**stats, **force_gatherable(shaped, loss.device)}
        return loss, stats, weight

    def encode(
        self, speech: torch.Tensor, speech_lengths: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """Encode, as ESPnet's; what a phone head reads is kept for the loss.

        Args:
            speech: Samples (B, N), or features (B, N, D).
            speech_lengths: (B,).
        """
        out, olens = super().encode(speech, speech_lengths)
        if self.phones is not None:
            self.phones.read(olens)
        return out, olens

    @torch.no_grad()
    def upl_ms(self, trace: LookaheadTrace) -> torch.Tensor:
        """Return the user-perceived latency of utterances with rounded masks, in ms.

        How long after the end of speech a device that needs ``compute_budget`` seconds
        for a second of speech has encoded the last frame, by simulation.

        Args:
            trace: Of the encoder's forward pass.

        Returns:
            (B,), from the last encoder frame on; front end, subsampling and decoder are
            not in it.

        Raises:
            ValueError: the model has no ``compute_budget``.
        """
        if self.compute_budget is None:
            raise ValueError(
                "user-perceived latency needs the speed of a device: set "
                "compute_budget in model_conf to its real-time factor on this encoder, "
                "such as 0.8"
            )
        bands = trace.rounded().bands
        scheduler = getattr(self.encoder, "scheduler", None)
        if bands is not None and scheduler is not None and scheduler.share_wait:
            # A row's work begins when all is there that it sees, shared or waited for.
            closed = {id(band): close_band(band) for band in bands}
            bands = tuple(closed[id(band)] for band in bands)
        periods = user_perceived_latency(
            bands, trace.lengths, self.work, self.compute_budget
        )
        return periods * self.timing.frame_ms(self.encoder)

    @torch.no_grad()
    def _soft_loss(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the loss of the task under soft masks, without decoding."""
        names = ("error_calculator", "error_calculator_trans")
        calculators = {name: getattr(self, name, None) for name in names}
        try:
            for name in names:
                setattr(self, name, None)
            with self.encoder.soft_masks():
                # ESPnet works in place: it normalizes features that come from outside,
                # and changes lengths where a language token is prepended.
                loss, _, _ = super().forward(
                    speech.clone(), speech_lengths, text, text_lengths.clone(), **kwargs
                )
        finally:
            for name, calculator in calculators.items():
                setattr(self, name, calculator)
        return loss


def _signature() -> inspect.Signature:
    """Return ESPnet's parameters and ours: configurations are checked against them."""
    merged = {}
    for cls in (ESPnetASRModel, DynlookASRModel):
        for name, parameter in inspect.signature(cls.__init__).parameters.items():
            variable = parameter.kind in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            )
            if name != "self" and (cls is ESPnetASRModel or not variable):
                merged[name] = parameter.replace(kind=parameter.KEYWORD_ONLY)
    return inspect.Signature(list(merged.values()))


DynlookASRModel.__signature__ = _signature()  # type: ignore[attr-defined]
