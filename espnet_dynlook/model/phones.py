# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The phone CTC head of a model (``phone_ctc_layer``, ``phone_ctc_weight``)."""

from typing import Any

import torch

from espnet_dynlook.biasing.phone_head import (
    PhoneCTC,
    PhoneTargets,
    phone_error_rate,
)
from espnet_dynlook.model.taps import LayerTaps


class PhoneBranch:
    """What goes with a phone head: the layer it reads, targets, loss and statistics.

    No module: the head alone has parameters, and is the model's ``phone_ctc``.

    Args:
        head: The head.
        taps: Of its one layer.
        targets: Makes phones of transcripts.
        weight: Of the loss.
    """

    def __init__(
        self, head: PhoneCTC, taps: LayerTaps, targets: PhoneTargets, weight: float
    ):
        self.head, self.taps, self.targets, self.weight = head, taps, targets, weight
        self._read: tuple[torch.Tensor | None, torch.Tensor] | None = None

    def read(self, olens: torch.Tensor) -> None:
        """Keep the layer's output of the forward pass that has just been done.

        Args:
            olens: Frames of each utterance (B,).
        """
        found = self.taps.take()
        self._read = (None if found is None else found[0], olens)

    def log_probs(self) -> torch.Tensor:
        """Return log-probabilities of the phones in what was encoded last (B, T, P).

        Raises:
            RuntimeError: nothing was encoded.
        """
        if self._read is None or self._read[0] is None:
            raise RuntimeError("encode an utterance first: its phones are read then")
        return self.head.log_probs(self._read[0])

    def __call__(
        self, text: torch.Tensor, text_lengths: torch.Tensor, training: bool
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the loss of the batch that was encoded last, and statistics.

        Args:
            text: Token numbers (B, U).
            text_lengths: (B,).
            training: Whether to leave the error rate out.

        Raises:
            MissingPackage: what says how words are said is not installed.
        """
        assert self._read is not None
        hs, olens = self._read
        self._read = None
        if hs is None:  # all layers up to the head's were dropped
            zero = self.head.output.weight.sum() * 0.0
            return zero, {"loss_phone": zero.detach(), "phone_skipped": 1.0}
        lengths = text_lengths.tolist()
        ids = [row[:n] for row, n in zip(text.tolist(), lengths, strict=True)]
        targets = self.targets(ids)
        log_probs = self.head.log_probs(hs)
        loss = self.head.loss(log_probs, olens, targets)
        skipped = sum(phones is None for phones in targets) / len(targets)
        stats: dict[str, Any] = {
            "loss_phone": loss.detach(),
            "phone_skipped": skipped,
        }
        if not training:
            stats["per"] = phone_error_rate(log_probs, olens, targets)
        return loss, stats


def build_phone_branch(
    model: Any, layer: int | None, weight: float
) -> tuple[PhoneCTC, PhoneBranch]:
    """Return the phone head of a model, and what goes with it.

    Args:
        model: ESPnet's ASR model.
        layer: From 1.
        weight: Of the loss.

    Raises:
        ValueError: a value is out of range, or the encoder has no such layer.
    """
    if weight < 0:
        raise ValueError(
            f"phone_ctc_weight={weight} must be 0 (no phone head) or more, such as 0.3"
        )
    if not weight:
        raise ValueError(
            f"phone_ctc_layer={layer} needs phone_ctc_weight, what the loss of the "
            "phone head is multiplied by, such as 0.3; or leave phone_ctc_layer out "
            "(null): no phone head"
        )
    if layer is None:
        raise ValueError(
            f"phone_ctc_weight={weight} needs phone_ctc_layer: the layer, from 1, that "
            "the phone head reads, such as half of the encoder's num_blocks"
        )
    if model.postencoder is not None:
        raise ValueError(
            "phone_ctc_layer does not go with a postencoder, which may change the "
            "number of frames; leave one of them out"
        )
    taps = LayerTaps(model.encoder, [layer], "phone_ctc_layer")
    head = PhoneCTC(model.encoder.output_size())
    return head, PhoneBranch(head, taps, PhoneTargets(model.token_list), weight)
