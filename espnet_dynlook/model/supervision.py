# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Attention to names, judged by where the base finds them in the audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from espnet_dynlook.biasing.draws import Draw
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.biasing.occurrences import (
    Attended,
    Span,
    attended,
    attention_targets,
)
from espnet_dynlook.search.alignment import align, frames_needed


@dataclass
class Bias:
    """A list that utterances are encoded with, and what came of it.

    Attributes:
        catalog: The list.
        scale: What the bias is multiplied by.
        heads: Attention of every head in the last call (B, H, T, M + 1), on beginnings
            of names; the first column is ``<no-bias>``.
        unbiased: What the encoder gave then, (B, T, D).
        lengths: Its frames (B,).
        near: Which beginnings each frame could attend to; None: all.
    """

    catalog: EncodedCatalog
    scale: float = 1.0
    heads: torch.Tensor | None = None
    unbiased: torch.Tensor | None = None
    lengths: torch.Tensor | None = None
    near: Near | None = None

    @property
    def attention(self) -> torch.Tensor | None:
        """That of the last call on names, a mean over the heads (B, T, N + 1)."""
        if self.heads is None:
            return None
        return self.catalog.by_name(self.heads.mean(dim=1))


def judge(
    bias: Bias, draw: Draw, ids: Sequence[Sequence[int]], ctc: Any, blank: int
) -> Attended:
    """Compare the attention of a batch with a forced alignment of its transcripts.

    Every head is judged by itself. Of their mean, heads would divide the work: one on
    ``<no-bias>`` and another on names wherever they are, each right half of the time.

    A name is where the tokens that spell it are: from the first frame of the first to
    the last frame of the last. Behind a token, what is right is the beginning that has
    the next one, too: what was said tells what may come, and its bias is there before
    the frame that has to say it. All beginnings are right where the list has the name
    in other tokens. An utterance that cannot be aligned does not count, nor does a
    frame that is too far from what is right to attend to it.

    Args:
        bias: Of the batch, encoded.
        draw: Its list.
        ids: Its transcripts.
        ctc: The base's head, which aligns what the encoder gave without a list.
        blank: Number of the blank.
    """
    assert bias.heads is not None and bias.lengths is not None
    with torch.no_grad():
        log_probs = ctc.log_softmax(bias.unbiased).float()
    [names] = bias.catalog.lists
    spans: list[list[Span] | None] = []
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
        found: list[Span] = []
        for one in said:
            path = names.paths[one.name][0]
            spelled = names.tokens[list(path)].tolist()
            as_said = spelled == list(tokens[one.start : one.end])
            begin = at[one.start].start
            for n, span in enumerate(at[one.start : one.end]):
                found.append(((path[n],) if as_said else path, begin, span.end))
                begin = span.end
        spans.append(found)
    number = bias.heads.size(1)
    spans = [one for one in spans for _ in range(number)]
    attention = bias.heads.flatten(0, 1)  # (B H, T, M + 1)
    targets = attention_targets(spans, attention.shape).to(attention.device)
    if bias.near is not None:
        near = bias.near.among(attention.size(2) - 1)
        targets[..., 1:] &= near.repeat_interleave(number, dim=0)
    lengths = bias.lengths.repeat_interleave(number)
    return attended(attention, targets, lengths)
