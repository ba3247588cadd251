# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Attention of a row that has not decided how long it waits: the expected output.

A soft mask that is added to the scores as log m can be cheated: attention makes up for
a small weight by a large score, so that a frame that is hardly paid for is as good as
seen; and where a frame is all that a row attends to, its gate gets no gradient. What a
row will be, on the average, is neither::

    out(i) = sum_d P(i, d) softmax_{j <= i + d}(score(i, j)) v(j)

with P(i, d) = m(i, d) - m(i, d + 1) the probability that it waits for d frames. With
Z(i, d) the sum of exp(score) over what it then sees, this is attention again::

    out(i) = sum_j exp(score(i, j)) W(i, j - i) v(j),   W(i, d) = sum_{e >= d} P / Z

so that log W is its additive mask, one for each head. On binary masks it is the plain
masked attention.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from espnet_dynlook.lookahead.bands import CLOSED

#: Added to probabilities, so that what is never seen has a gradient, too.
TINY = 1e-9


@dataclass(frozen=True)
class ExpectedMask:
    """Mask of a layer whose rows have not decided.

    Attributes:
        band: Weights of future frames, contiguous (B, T, R), with gradients.
        past: Additive mask that closes the future, padding, and what is beyond the
            left context (B or 1, 1, T, T).
        hard: Additive mask of what was drawn, for straight-through gradients: the
            output is that under ``hard``, and its gradient by the band that of the
            expected output. None: the expected output itself.
    """

    band: torch.Tensor
    past: torch.Tensor
    hard: torch.Tensor | None = None


def expected_bias(scores: torch.Tensor, mask: ExpectedMask) -> torch.Tensor:
    """Return what added to the scores gives the expected output.

    Args:
        scores: Of every key for every row (B, heads, T, T), before any mask.
        mask: Of the layer.

    Returns:
        (B, heads, T, T), in float32.
    """
    with torch.autocast(scores.device.type, enabled=False):
        scores, past = scores.float(), mask.past.float()
        num_frames, frames = mask.band.shape[-2:]
        band = mask.band.float()
        stay = F.pad(band, (1, 0), value=1.0)  # m(i, 0) = 1
        stop = stay - F.pad(band, (0, 1))  # P (B, T, R + 1)
        index = torch.arange(num_frames, device=scores.device)
        ahead = index[:, None] + torch.arange(1, frames + 1, device=scores.device)
        key = ahead.clamp(max=num_frames - 1).expand(*scores.shape[:2], -1, -1)
        future = scores.gather(3, key)
        future = future.masked_fill(ahead >= num_frames, CLOSED)  # (B, heads, T, R)
        before = (scores + past).logsumexp(dim=3, keepdim=True)
        # log Z(i, d) / Z(i, 0) >= 0, and rising.
        growth = F.pad(future - before, (1, 0)).logcumsumexp(dim=3)
        log_weight = (stop[:, None] + TINY).log() - growth
        # log W(i, d) Z(i, 0), (B, heads, T, R + 1)
        log_weight = log_weight.flip(3).logcumsumexp(dim=3).flip(3)
        # One column more, which stands for everything beyond the band.
        columns = F.pad(log_weight, (0, 1), value=CLOSED)
        distance = (index - index[:, None]).clamp(0, frames + 1)
        bias = columns.gather(3, distance.expand(*scores.shape[:2], -1, -1))
        return torch.where(index > index[:, None], bias, past + bias)
