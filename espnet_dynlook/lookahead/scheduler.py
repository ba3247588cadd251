"""Schedulers: networks that decide how long a frame waits.

Each returns gate logits z; the probability of going on waiting is sigmoid(z / tau). No
decision looks at a frame that it has not waited for.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F

from espnet_dynlook.lookahead.values import is_number

#: Logits stay within this, so that no gate is beyond the reach of a gradient.
BOUND = 3.0


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(z)
        return z.clamp(-BOUND, BOUND)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        (z,) = ctx.saved_tensors
        outward = (z >= BOUND) & (gradient < 0) | (z <= -BOUND) & (gradient > 0)
        return gradient.masked_fill(outward, 0.0)


def bounded(z: torch.Tensor) -> torch.Tensor:
    """Clip logits to ``BOUND``, with a gradient wherever a step leads back inside.

    Where waiting costs nothing yet, logits rise as far as they can. A smooth bound,
    such as a tanh, would keep them there: it has no gradient at its ends.
    """
    return _Bounded.apply(z)


def _checked_bias(bias: float) -> float:
    """Return it, within the bounds: beyond, it would say nothing that they do not.

    Raises:
        ValueError: it is outside.
    """
    if not is_number(bias) or not -BOUND <= bias <= BOUND:
        raise ValueError(
            f"scheduler_bias={bias!r} must be a number from {-BOUND:g} to {BOUND:g}, "
            "which logits are clipped to; like 2.5, for gates that are open at first"
        )
    return bias


class _Hidden(torch.nn.Module):
    """A hidden layer that also knows how much the caller is ready to wait.

    Args:
        size: Dimension of the input.
        hidden: Units.
    """

    def __init__(self, size: int, hidden: int):
        super().__init__()
        self.norm = torch.nn.LayerNorm(size)
        self.linear = torch.nn.Linear(size, hidden)
        self.wait = torch.nn.Linear(1, hidden, bias=False)

    def forward(self, x: torch.Tensor, wait: torch.Tensor) -> torch.Tensor:
        """Return (B, T, hidden) of x (B, T, size) and wait () in 0 .. 1."""
        willing = self.wait((2 * wait - 1).reshape(1))
        return F.silu(self.linear(self.norm(x)) + willing)


def _starting_at_zero(layer: torch.nn.Linear) -> torch.nn.Linear:
    torch.nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        torch.nn.init.zeros_(layer.bias)
    return layer


class FrameScheduler(torch.nn.Module):
    """Decides when frame i arrives, from x_i alone: z(i, d) = MLP(x_i)_d.

    Args:
        size: Dimension of x.
        frames: R.
        hidden: Units of the hidden layer.
        bias: Added to every logit; within ``BOUND``.
    """

    def __init__(self, size: int, frames: int, hidden: int, bias: float):
        super().__init__()
        self.bias = _checked_bias(bias)
        self.hidden = _Hidden(size, hidden)
        self.out = _starting_at_zero(torch.nn.Linear(hidden, frames))

    @property
    def offset(self) -> torch.Tensor:
        """Parameter that is added to all logits, (R,) or (1,)."""
        return self.out.bias

    def forward(self, x: torch.Tensor, wait: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T, R) of x (B, T, size)."""
        return bounded(self.out(self.hidden(x, wait)) + self.bias)


class SequentialScheduler(torch.nn.Module):
    """Decides to wait for frame i + d after having seen frame i + d - 1.

    ::

        z(i, d) = <a(x_i), b(x_{i+d-1})> / sqrt(h) + u(x_i) + v(x_{i+d-1}) + c_d

    Args:
        size: Dimension of x.
        frames: R.
        hidden: h.
        bias: Added to every logit; within ``BOUND``.
    """

    def __init__(self, size: int, frames: int, hidden: int, bias: float):
        super().__init__()
        self.frames = frames
        self.bias = _checked_bias(bias)
        self.hidden = _Hidden(size, hidden)
        self.waiting = torch.nn.Linear(hidden, hidden, bias=False)  # a
        self.seen = _starting_at_zero(torch.nn.Linear(hidden, hidden, bias=False))  # b
        self.waiting_alone = _starting_at_zero(torch.nn.Linear(hidden, 1))  # u
        self.seen_alone = _starting_at_zero(torch.nn.Linear(hidden, 1, bias=False))  # v
        self.distance = torch.nn.Parameter(torch.zeros(frames))  # c

    @property
    def offset(self) -> torch.Tensor:
        """Parameter that is added to all logits, (R,) or (1,)."""
        return self.waiting_alone.bias

    def forward(self, x: torch.Tensor, wait: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T, R) of x (B, T, size)."""
        h = self.hidden(x, wait)  # (B, T, h)
        num_frames = x.shape[1]
        seen = torch.cat((self.seen(h), self.seen_alone(h)), dim=2)
        # Past the end there is nothing to wait for, so any value will do there.
        seen = F.pad(seen, (0, 0, 0, self.frames - 1))
        seen = seen.unfold(1, num_frames, 1).transpose(2, 3)  # (B, R, T, h + 1)
        product = torch.einsum("bth,brth->btr", self.waiting(h), seen[..., :-1])
        z = product / math.sqrt(h.shape[2]) + seen[..., -1].transpose(1, 2)
        return bounded(z + self.waiting_alone(h) + self.distance + self.bias)


class SegmentScheduler(torch.nn.Module):
    """Says after each frame whether its segment goes on, from a causal convolution.

    ::

        z(t, a) = f(x_{t-kernel_size+1}, .., x_t) + c_a

    for a frame t that is the frame of age a = 0 .. R - 1 of its segment. With c alone,
    segments are chunks of any size up to R + 1.

    Args:
        size: Dimension of x.
        frames: R.
        hidden: Units of the hidden layer.
        bias: Added to every logit; within ``BOUND``.
        kernel_size: Frames that a decision sees, the last of them its own.
    """

    def __init__(
        self, size: int, frames: int, hidden: int, bias: float, kernel_size: int = 9
    ):
        super().__init__()
        self.bias = _checked_bias(bias)
        self.hidden = _Hidden(size, hidden)
        self.depthwise = torch.nn.Conv1d(hidden, hidden, kernel_size, groups=hidden)
        self.mix = torch.nn.Linear(hidden, hidden)
        self.out = _starting_at_zero(torch.nn.Linear(hidden, 1))
        self.age = torch.nn.Parameter(torch.zeros(frames))  # c

    @property
    def offset(self) -> torch.Tensor:
        """Parameter that is added to all logits, (R,) or (1,)."""
        return self.out.bias

    def forward(self, x: torch.Tensor, wait: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T, R) of x (B, T, size): that no segment ends here."""
        h = self.hidden(x, wait)
        past = self.depthwise.kernel_size[0] - 1
        around = self.depthwise(F.pad(h.transpose(1, 2), (past, 0))).transpose(1, 2)
        h = h + F.silu(self.mix(F.silu(around)))
        return bounded(self.out(h) + self.age + self.bias)
