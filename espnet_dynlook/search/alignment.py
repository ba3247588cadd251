"""Forced alignment: where the tokens of a known transcript are in the audio."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torchaudio


@dataclass(frozen=True)
class TokenSpan:
    """Frames of one token.

    Attributes:
        token: Its number.
        start: First frame.
        end: Frame after the last.
    """

    token: int
    start: int
    end: int


def frames_needed(tokens: Sequence[int]) -> int:
    """Return the fewest frames of a CTC path: a blank between equal neighbours."""
    return len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))


def align(
    log_probs: torch.Tensor, tokens: Sequence[int], blank: int = 0
) -> list[TokenSpan]:
    """Take the most probable CTC path of a transcript (torchaudio's forced_align).

    Args:
        log_probs: Log-probabilities (T, V) of one utterance.
        tokens: The transcript; may be empty.
        blank: Index of the blank.

    Returns:
        A span for every token, in order; blanks between them belong to none.

    Raises:
        ValueError: the utterance has fewer frames than the transcript needs, or the
            transcript has a blank.
    """
    if not tokens:
        return []
    if blank in tokens:
        raise ValueError(f"tokens={list(tokens)} have the blank, {blank}")
    needed = frames_needed(tokens)
    if log_probs.size(0) < needed:
        raise ValueError(
            f"{log_probs.size(0)} frames are fewer than the {needed} that its "
            f"{len(tokens)} tokens need"
        )
    targets = torch.tensor([list(tokens)], dtype=torch.int32, device=log_probs.device)
    path, scores = torchaudio.functional.forced_align(
        log_probs[None].float().contiguous(), targets, blank=blank
    )
    spans = torchaudio.functional.merge_tokens(path[0], scores[0], blank=blank)
    return [TokenSpan(span.token, span.start, span.end) for span in spans]
