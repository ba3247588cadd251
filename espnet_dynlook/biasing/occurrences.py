"""Where the names of a list are in transcripts, and what attention makes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.biasing.transcripts import TranscriptWord

Ids = tuple[int, ...]
#: Frames around a name that may be of its sound, although CTC puts no token there: they
#: count for nothing.
NEAR = 4


@dataclass(frozen=True)
class Occurrence:
    """A name in a transcript.

    Attributes:
        name: Its number in the list.
        start: Position of its first token.
        end: Position after its last token.
    """

    name: int
    start: int
    end: int


class NameFinder:
    """Finds the names of one list in transcripts.

    Args:
        names: Tokens of each name, as transcripts have them.
        whole: Which names are words and phrases: found only between the borders of
            words. The others are found anywhere.
    """

    def __init__(self, names: Sequence[Ids], whole: Sequence[bool]):
        self.names, self.whole = names, whole
        self._by_first: dict[int, list[int]] = {}
        for number, ids in enumerate(names):
            self._by_first.setdefault(ids[0], []).append(number)

    def __call__(
        self, ids: Sequence[int], words: Sequence[TranscriptWord]
    ) -> Iterator[Occurrence]:
        """Yield where names are in a transcript; they may overlap.

        Args:
            ids: Its tokens.
            words: Its words.
        """
        begins = {word.start for word in words}
        ends = {word.end for word in words}
        for start, first in enumerate(ids):
            for number in self._by_first.get(first, ()):
                name = self.names[number]
                end = start + len(name)
                if tuple(ids[start:end]) != name:
                    continue
                if not self.whole[number] or (start in begins and end in ends):
                    yield Occurrence(number, start, end)


#: Beginnings of names that are right, first frame, frame after the last.
Span = tuple[Sequence[int], int, int]


def attention_targets(
    spans: Sequence[Sequence[Span] | None], shape: torch.Size
) -> torch.Tensor:
    """Return which columns of attention are right in each frame (B, n, M + 1) bool.

    Those of the beginnings that are spoken there, else ``<no-bias>``, the first; around
    names none.

    Args:
        spans: Of each utterance; None: it is not known where its names are, and no
            column is right.
        shape: That of the attention.
    """
    targets = torch.zeros(shape, dtype=torch.bool)
    for row, own in zip(targets, spans, strict=True):
        if own is None:
            continue
        near = torch.zeros(len(row), dtype=torch.bool)
        for beginnings, start, end in own:
            for beginning in beginnings:
                row[start:end, 1 + beginning] = True
            near[max(start - NEAR, 0) : end + NEAR] = True
        row[:, 0] = ~near
    return targets


@dataclass(frozen=True)
class Attended:
    """How attention agrees with where names are.

    Attributes:
        loss: -log of the attention on what is right: half the mean over the frames
            of names, half that over the others.
        recall: Mean attention on what is right in the frames of names; NaN: there is
            no name.
        no_bias: Mean attention on ``<no-bias>`` in all other frames; NaN: there is
            no such frame.
    """

    loss: torch.Tensor
    recall: torch.Tensor
    no_bias: torch.Tensor


def attended(
    attention: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
) -> Attended:
    """Compare attention with where names are.

    Args:
        attention: (B, n, M + 1), float32.
        targets: From ``attention_targets``.
        lengths: Frames of each utterance (B,).
    """
    frames = torch.arange(attention.size(1), device=attention.device)
    inside = (frames < lengths.to(attention.device)[:, None]) & targets.any(dim=2)
    right = (attention * targets).sum(dim=2)
    loss = -right.clamp(min=1e-8).log()
    elsewhere = inside & targets[:, :, 0]
    spoken = inside & ~targets[:, :, 0]
    total = attention.sum() * 0.0
    means: list[torch.Tensor] = []
    for where in (spoken, elsewhere):
        if not bool(where.any()):
            means.append(total.new_tensor(float("nan")))
            continue
        total = total + 0.5 * loss[where].mean()
        means.append(right[where].mean().detach())
    return Attended(total, *means)
