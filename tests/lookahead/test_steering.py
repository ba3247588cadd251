"""The price of waiting comes to where the mean wait is the target."""

import pytest
import torch

from espnet_dynlook.lookahead.steering import Steering


def train(target, weight, start=2.5, steps=2500, worth_of_all=0.02):
    """Train 300 gates that each wait 4 frames or not; waiting is worth 0 to 0.02.

    Returns:
        Mean wait with rounded gates over the last steps, the gates' logits, the worths.
    """
    generator = torch.Generator().manual_seed(0)
    worth = worth_of_all * torch.rand(300, generator=generator)
    z = torch.full((300,), start, requires_grad=True)
    optimizer = torch.optim.Adam([z], lr=0.01)
    steering, history = Steering(target), []
    for step in range(steps):
        tau = 0.2 ** min(step / (0.8 * steps), 1.0)
        noise = torch.rand(300, generator=generator).logit()
        gate = torch.sigmoid((z + noise) / tau)
        wait = 4 * float((z > 0).float().mean())
        noisy_worth = worth + 0.02 * torch.randn(300, generator=generator)
        loss = (
            weight * steering.factor() * 4 * gate.mean() - (noisy_worth * gate).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steering.step(wait, in_force=step > steps // 10)
        history.append(wait)
    return sum(history[-200:]) / 200, z.detach(), worth


@pytest.mark.parametrize(
    ("target", "weight"), [(0.6, 0.0002), (1.5, 0.002), (1.5, 0.05), (3.0, 0.01)]
)
def test_comes_to_the_target_from_any_weight(target, weight):
    mean, z, worth = train(target, weight)
    assert mean == pytest.approx(target, rel=0.1)
    # And keeps the waits that pay.
    assert worth[z > 0].mean() > worth[z <= 0].mean() + 0.003


def test_pays_for_waiting_where_the_task_does_not():
    mean, _, _ = train(1.5, 0.002, start=0.5, worth_of_all=0.0)
    assert mean == pytest.approx(1.5, rel=0.15)


def test_a_target_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must be above 0"):
        Steering(0.0)
