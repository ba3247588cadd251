# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What a trained model makes of utterances: loss, best path, latencies, in batches.

Every figure is that of the utterance alone: features are computed one utterance at a
time, since a centred STFT sees the padding of a batch, and only encoders whose output
does not depend on padding get batches.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import torchaudio

from espnet_dynlook.encoder.subsampling import TooShortUttError
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.search.alignment import TokenSpan, align, frames_needed
from espnet_dynlook.search.greedy import BestPath, best_path
from espnet_dynlook.search.transducer import greedy_transducer
from espnet_dynlook.training.latency import FrontendTiming, frame_latencies, time_to_end
from espnet_dynlook.training.substitute import substitute

#: Padded feature frames in one batch.
BATCH_FRAMES = 20_000


@dataclass(frozen=True)
class Utterance:
    """What goes in.

    Attributes:
        speech: Samples (N,), or features (N, D).
        tokens: Numbers of the transcript's tokens, (U,).
    """

    speech: torch.Tensor
    tokens: torch.Tensor


@dataclass(frozen=True)
class Evaluated:
    """What comes out, of one utterance.

    Attributes:
        loss: Negative log-probability of the transcript; infinite where it has more
            tokens than there are frames for.
        loss_soft: The same under soft masks; None where there are none.
        path: Best path: tokens, and the frame that emits each.
        latencies: Of each encoder frame, (T,), in ms from the end of the frame.
        period: Of a frame, in ms.
        upl: User-perceived latency in ms; None without a compute budget.
        spans: Forced alignment under full lookahead, where it was asked for; None also
            where the transcript does not fit.
    """

    loss: float
    loss_soft: float | None
    path: BestPath
    latencies: torch.Tensor
    period: float
    upl: float | None = None
    spans: list[TokenSpan] | None = None


class Evaluator:
    """Evaluates utterances with one model, and nothing of it is changed.

    Args:
        model: ESPnet's ASR model, with a CTC head or a transducer.
        override: A fixed kind of lookahead in place of the encoder's own.
        alignment: Whether to align the transcripts, under full lookahead.

    Attributes:
        criterion: Whose loss is measured: "transducer" where there is one, else "ctc".
        timing: Of the model's front end.

    Raises:
        ValueError: the model has neither, or cannot do what is asked for.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        override: FixedLookahead | None = None,
        alignment: bool = False,
    ):
        self.model: Any = model
        self.encoder: Any = self.model.encoder
        transducer = bool(getattr(model, "use_transducer_decoder", False))
        if not transducer and self.model.ctc is None:
            raise ValueError(
                "the model has no CTC head (ctc_weight: 0) and no transducer"
            )
        self.criterion = "transducer" if transducer else "ctc"
        self.ours = hasattr(self.encoder, "override")
        if override is not None and not self.ours:
            raise ValueError(
                f"the encoder {type(self.encoder).__name__} has no kind of lookahead "
                "to override; train with encoder: dynlook_conformer"
            )
        if alignment and self.model.ctc is None:
            raise ValueError(
                "forced alignment needs a CTC head: train with ctc_weight above 0, or "
                "take the alignment of another model"
            )
        self.override = override
        self.alignment = alignment
        self.timing = FrontendTiming(model)

    def check_length(self, size: int) -> None:
        """Refuse an utterance that the front end cannot take.

        Raises:
            TooShortUttError: it has fewer samples than half a window.
        """
        needed = self.timing.padding + 1
        if size < needed:
            raise TooShortUttError(
                f"has {size} samples and the front end needs at least {needed}",
                size,
                needed,
            )

    @torch.inference_mode()
    def __call__(self, utterances: Sequence[Utterance]) -> list[Evaluated | None]:
        """Evaluate, in the order given; None for an utterance that is too short."""
        features = [self._features(one) for one in utterances]
        found: list[Evaluated | None] = [None] * len(utterances)
        fit = [n for n, one in enumerate(features) if one is not None]
        for batch in self._batches(fit, features):
            results = self._evaluate(
                [utterances[n] for n in batch], [features[n] for n in batch]
            )
            for n, result in zip(batch, results, strict=True):
                found[n] = result
        return found

    def feature_batches(
        self, utterances: Sequence[Utterance], size: int
    ) -> list[list[torch.Tensor]]:
        """Return the features (N, D) of utterances in batches of similar length.

        Args:
            utterances: Those that are too short are left out.
            size: The most in one batch.
        """
        features: list[Any] = [self._features(one) for one in utterances]
        fit = [n for n, one in enumerate(features) if one is not None]
        batches = self._batches(fit, features, size)
        return [[features[n] for n in batch] for batch in batches]

    def log_probs(
        self, features: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the CTC log-posteriors (B, T, V) of a batch, and its lengths (B,)."""
        enc, olens = self._encode(features)
        return self._log_probs(enc), olens

    def _features(self, utterance: Utterance) -> torch.Tensor | None:
        """Return features (N, D), or None where the utterance is too short."""
        parameter = next(self.model.parameters())
        speech = utterance.speech.to(parameter)[None]
        try:
            if utterance.speech.dim() == 1:
                self.check_length(speech.size(1))
        except TooShortUttError:
            return None
        lengths = torch.tensor([speech.size(1)], device=parameter.device)
        nothing = lengths.new_zeros(1, 0)
        feats = self.model.collect_feats(speech, lengths, nothing, lengths)["feats"][0]
        arithmetic = getattr(self.encoder, "arithmetic", None)
        if arithmetic is not None and len(feats) < arithmetic.window:
            return None
        return feats

    def _batches(
        self, numbers: Sequence[int], features: Sequence[Any], most: int | None = None
    ) -> list[list[int]]:
        """Return batches of similar length; ESPnet's own encoders see padding."""
        most = most or len(features)
        batches: list[list[int]] = []
        for n in sorted(numbers, key=lambda n: len(features[n])):
            size = len(features[n])  # the longest of its batch, so far
            if (
                not batches
                or not self.ours
                or len(batches[-1]) == most
                or size * (len(batches[-1]) + 1) > BATCH_FRAMES
            ):
                batches.append([])
            batches[-1].append(n)
        return batches

    def _evaluate(
        self, utterances: Sequence[Utterance], features: Sequence[Any]
    ) -> list[Evaluated | None]:
        overridden: Any = contextlib.nullcontext()
        if self.override is not None:
            overridden = self.encoder.override(self.override)
        try:
            with overridden:
                enc, olens = self._encode(features)
                latencies = self._latencies(utterances, olens)
                upl = self._upl(len(utterances))
        except TooShortUttError:
            if len(utterances) > 1:
                raise
            return [None]  # ESPnet's own encoders say so only now
        losses = self._losses(enc, olens, utterances)
        soft: list[float | None] = [None] * len(utterances)
        if (
            self.override is None
            and getattr(self.encoder, "scheduler", None) is not None
        ):
            with self.encoder.soft_masks():
                soft_enc, soft_olens = self._encode(features)
            soft = [*self._losses(soft_enc, soft_olens, utterances)]
        spans = self._spans(utterances, features)
        paths = [
            self._path(one[:n]) for one, n in zip(enc, olens.tolist(), strict=True)
        ]
        results: list[Evaluated | None] = []
        for n in range(len(utterances)):
            period = self._period(utterances[n], int(olens[n]))
            results.append(
                Evaluated(
                    loss=losses[n],
                    loss_soft=soft[n],
                    path=paths[n],
                    latencies=latencies[n],
                    period=period,
                    upl=upl[n],
                    spans=spans[n],
                )
            )
        return results

    def _encode(
        self, features: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = torch.tensor(
            [len(one) for one in features], device=features[0].device
        )
        padded = torch.nn.utils.rnn.pad_sequence([*features], batch_first=True)
        with substitute(self.model, frontend=None):  # its work is done
            enc, olens = self.model.encode(padded, lengths)
        return (enc[0] if isinstance(enc, tuple) else enc), olens

    def _latencies(
        self, utterances: Sequence[Utterance], olens: torch.Tensor
    ) -> list[torch.Tensor]:
        found = frame_latencies(self.encoder, self.timing)
        if found is not None:
            values = found[0].cpu()
            return [row[:n] for row, n in zip(values, olens.tolist(), strict=True)]
        return [
            time_to_end(n, self.seconds(one.speech))
            for one, n in zip(utterances, olens.tolist(), strict=True)
        ]

    def _upl(self, size: int) -> Sequence[float | None]:
        if getattr(self.model, "compute_budget", None) is None:
            return [None] * size
        return self.model.upl_ms(self.encoder.lookahead).tolist()

    def seconds(self, speech: torch.Tensor) -> float:
        """Return how long an utterance is, given as samples (N,) or features (N, D)."""
        hop = 1 if speech.dim() == 1 else self.timing.hop_length
        return len(speech) * hop / self.timing.fs

    def _period(self, utterance: Utterance, frames: int) -> float:
        shift = getattr(self.encoder, "frame_shift", None)
        if shift is not None:
            return 1000.0 * shift * self.timing.hop_length / self.timing.fs
        return 1000.0 * self.seconds(utterance.speech) / max(frames, 1)

    def _log_probs(self, enc: torch.Tensor) -> torch.Tensor:
        return self.model.ctc.ctc_lo(enc).float().log_softmax(dim=-1)

    def _losses(
        self, enc: torch.Tensor, olens: torch.Tensor, utterances: Sequence[Utterance]
    ) -> list[float]:
        tokens = [one.tokens.to(enc.device) for one in utterances]
        sizes = torch.tensor([len(one) for one in tokens], device=enc.device)
        if self.criterion == "transducer":
            pairs = zip(enc, olens.tolist(), tokens, strict=True)
            return [self._transducer_loss(one[:n], y) for one, n, y in pairs]
        losses = F.ctc_loss(
            self._log_probs(enc).transpose(0, 1),
            torch.cat(tokens).long(),
            olens,
            sizes,
            blank=self.model.blank_id,
            reduction="none",
        )
        return losses.tolist()

    def _transducer_loss(self, enc: torch.Tensor, tokens: torch.Tensor) -> float:
        # One at a time: the joint network's output is (T, U + 1, V) for each.
        model = self.model
        model.decoder.set_device(enc.device)
        decoder_in = F.pad(tokens.long(), (1, 0), value=model.blank_id)[None]
        joint = model.joint_network(
            enc[None, :, None], model.decoder(decoder_in)[:, None]
        )
        sizes = torch.tensor([[len(enc)], [len(tokens)]], device=enc.device).int()
        loss = torchaudio.functional.rnnt_loss(
            joint.float(), tokens[None].int(), *sizes, blank=model.blank_id
        )
        return float(loss)

    def _path(self, enc: torch.Tensor) -> BestPath:
        model = self.model
        if self.criterion == "transducer":
            return greedy_transducer(
                enc, model.decoder, model.joint_network, model.blank_id
            )
        return best_path(self._log_probs(enc).cpu(), model.blank_id)

    def _spans(
        self, utterances: Sequence[Utterance], features: Sequence[torch.Tensor]
    ) -> list[list[TokenSpan] | None]:
        """Align the transcripts, under full lookahead where the encoder has a kind."""
        found: list[list[TokenSpan] | None] = [None] * len(utterances)
        if not self.alignment:
            return found
        everything: Any = contextlib.nullcontext()
        if self.ours:
            everything = self.encoder.override(
                FixedLookahead("full", len(self.encoder.encoders))
            )
        with everything:
            enc, olens = self._encode(features)
        log_probs = self._log_probs(enc).cpu()
        for n, one in enumerate(utterances):
            tokens = one.tokens.tolist()
            if frames_needed(tokens) <= int(olens[n]):
                row = log_probs[n, : int(olens[n])]
                found[n] = align(row, tokens, self.model.blank_id)
        return found
