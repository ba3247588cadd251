"""Steer the price of waiting so that the mean wait comes to a target."""

import math

import torch

#: Share by which the integral part changes per step at a relative error of 1.
RATE = 0.01
#: Weight of the error now, beside its history: what keeps the loop from swinging.
PROPORTIONAL = 2.0
#: Steps over which the measured latency is smoothed.
MEMORY = 20
#: Bounds of the integral part, in multiples of the configured weight.
LOWEST, HIGHEST = -100.0, 1000.0


class Steering(torch.nn.Module):
    """A proportional-integral controller of a penalty's weight.

    The penalty is the multiplier of an equality constraint (mean latency = target), so
    it may turn negative and then pays for waiting: the pull of a task's loss toward
    waiting alone is weak and noisy. The integral part begins at 1, the configured
    weight; it changes by a share of itself above 1, and evenly below, through zero.

    Its state is in float buffers: a resumed training goes on, and averaging checkpoints
    averages it.

    Args:
        target: Mean latency in frames, above 0.
    """

    integral: torch.Tensor
    mean: torch.Tensor
    steps: torch.Tensor

    def __init__(self, target: float):
        super().__init__()
        if not 0 < target < math.inf:
            raise ValueError(
                f"a target of {target:g} frames must be above 0 and finite"
            )
        self.target = target
        self.register_buffer("integral", torch.ones(()))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("steps", torch.zeros(()))

    def error(self) -> float:
        """Return how far the mean is above the target, as a share of it, -1 to 1."""
        if not float(self.steps):
            return 0.0
        difference = (float(self.mean) - self.target) / max(self.target, 1.0)
        return min(max(difference, -1.0), 1.0)

    def factor(self) -> float:
        """Return what to multiply the configured weight by."""
        integral = float(self.integral)
        return integral + PROPORTIONAL * self.error() * max(1.0, abs(integral))

    def step(self, latency: float, in_force: bool) -> None:
        """Take in a step's mean latency.

        Args:
            latency: In frames, with rounded masks.
            in_force: Whether there is a penalty yet; before, only the mean is kept, so
                that no error piles up that nothing could have mended.
        """
        self.steps.add_(1.0)
        rate = max(1.0 / float(self.steps), 1.0 / MEMORY)
        self.mean.add_(rate * (latency - float(self.mean)))
        if in_force:
            change = RATE * self.error() * max(1.0, abs(float(self.integral)))
            self.integral.add_(change).clamp_(LOWEST, HIGHEST)
