# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Attention to names, judged by where the base finds them in the audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from espnet_dynlook.biasing.draws import Draw
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.occurrences import Attended, attended, attention_targets
from espnet_dynlook.search.alignment import align, frames_needed


@dataclass
class Bias:
    """A list that utterances are encoded with, and what came of it.

    Attributes:
        catalog: The list.
        scale: What the bias is multiplied by.
        attention: Of the last call (B, T, N + 1); the first column is ``<no-bias>``.
        unbiased: What the encoder gave then, (B, T, D).
        lengths: Its frames (B,).
    """

    catalog: EncodedCatalog
    scale: float = 1.0
    attention: torch.Tensor | None = None
    unbiased: torch.Tensor | None = None
    lengths: torch.Tensor | None = None


def judge(
    bias: Bias, draw: Draw, ids: Sequence[Sequence[int]], ctc: Any, blank: int
) -> Attended:
    """Compare the attention of a batch with a forced alignment of its transcripts.

    A name is where the tokens that spell it are: from the first frame of the first to
    the last frame of the last. An utterance that cannot be aligned does not count.

    Args:
        bias: Of the batch, encoded.
        draw: Its list.
        ids: Its transcripts.
        ctc: The base's head, which aligns what the encoder gave without a list.
        blank: Number of the blank.
    """
    assert bias.attention is not None and bias.lengths is not None
    with torch.no_grad():
        log_probs = ctc.log_softmax(bias.unbiased).float()
    spans: list[list[tuple[int, int, int]] | None] = []
    for row, length, tokens, said in zip(
        log_probs, bias.lengths.tolist(), ids, draw.occurrences, strict=True
    ):
        if not said:
            spans.append([])
            continue
        if blank in tokens or frames_needed(tokens) > length:
            spans.append(None)
            continue
        at = align(row[:length], tokens, blank)
        spans.append(
            [(one.name, at[one.start].start, at[one.end - 1].end) for one in said]
        )
    targets = attention_targets(spans, bias.attention.shape)
    return attended(bias.attention, targets.to(bias.attention.device), bias.lengths)
