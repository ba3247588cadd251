# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A start for schedulers that knows where waiting pays, taught by a parent.

The parent is at home under any mask (``lookahead: random``). How far its posteriors
still move when more is seen is what a mask costs (``lookahead.settling``). The
scheduler learns masks of low cost at the wanted mean wait, from what it may look at;
nothing else of the model changes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from espnet_dynlook.lookahead.bands import CLOSED, contiguous_log_band, inside
from espnet_dynlook.lookahead.dynamic import DynamicLookahead
from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.lookahead.segments import segment_ends, segment_probabilities
from espnet_dynlook.lookahead.settling import (
    Costs,
    best_segments,
    cost_of,
    measure_costs,
    price_for,
    row_waits,
    segment_teaching,
    waits_of,
)
from espnet_dynlook.lookahead.steering import Steering
from espnet_dynlook.training.evaluation import Evaluator, Utterance

#: Utterances in one batch.
BATCH = 8
#: Share of the utterances on which the schedulers' wait is measured, not learned.
HELD_OUT = 0.1
#: Range in which the wait is set by adding to all logits.
OFFSETS = (-8.0, 8.0)
#: Whether to go on and where it is decided, by layer: both (B, T, R).
Decisions = dict[int, tuple[torch.Tensor, torch.Tensor]]


@dataclass
class Lesson:
    """A batch of what a scheduler sees and should say.

    Attributes:
        inputs: Input of each layer that looks ahead (of the first one, for segments),
            by its number from 1, (B, T, size).
        costs: What its masks cost.
    """

    inputs: dict[int, torch.Tensor]
    costs: Costs

    @property
    def lengths(self) -> torch.Tensor:
        """Frames of each utterance (B,)."""
        return self.costs.lengths


@dataclass(frozen=True)
class Taught:
    """How the teaching went, on utterances that were held out of it.

    Attributes:
        price: Of a frame of waiting in nats, found for the wanted wait.
        wait: Mean latency in frames, after the logits were shifted.
        cost: Mean cost of a frame in nats, see ``Costs``.
        wait_best: Mean latency of the best segments, which know the utterance.
        cost_best: Their mean cost.
        cost_chunks: That of chunks of 1 .. R + 1 frames, by their mean latency.
    """

    price: float
    wait: float
    cost: float
    wait_best: float
    cost_best: float
    cost_chunks: dict[float, float]


@torch.no_grad()
def lessons(model: Any, utterances: Sequence[Utterance]) -> list[Lesson]:
    """Measure where waiting pays.

    Args:
        model: ESPnet's ASR model with a CTC head and a dynamic encoder that holds the
            parent's parameters, in evaluation mode.
        utterances: Of the training data.
    """
    evaluator = Evaluator(model)
    encoder = model.encoder
    scheduler: DynamicLookahead = encoder.scheduler
    found = []
    for features in evaluator.feature_batches(utterances, BATCH):
        inputs: dict[int, torch.Tensor] = {}

        def keep(module: Any, args: Any, inputs: Any = inputs) -> None:
            inputs[args[0]] = args[1]

        handle = scheduler.register_forward_pre_hook(keep)
        try:
            _, lengths = evaluator.log_probs(features)
        finally:
            handle.remove()

        def under(kind: Any, features: Any = features) -> torch.Tensor:
            with encoder.override(kind):
                return evaluator.log_probs(features)[0]

        layers = len(encoder.encoders)
        costs = measure_costs(under, layers, scheduler.frames, lengths)
        found.append(Lesson(inputs, costs))
    return found


def teach(
    scheduler: DynamicLookahead,
    taught: Sequence[Lesson],
    target: float,
    epochs: int = 60,
    lr: float = 0.003,
    seed: int = 0,
) -> Taught:
    """Train a scheduler on lessons, then shift its logits to the wanted mean wait.

    In the first half it imitates the best masks (logistic loss on each decision). They
    know the whole utterance, and what they gain from noise in the costs nobody can
    learn; so in the second half it minimises the cost that its own soft masks are
    expected to have, plus a price of waiting that is steered to the target.

    Args:
        scheduler: Changed in place.
        taught: From ``lessons``; a tenth is held out.
        target: Mean wait in frames.
        epochs: Passes over the lessons.
        lr: Highest learning rate.
        seed: Of which lessons are held out, and of the order of the others.

    Raises:
        ValueError: there is no such wait, or there are too few lessons.
    """
    number = max(1, round(HELD_OUT * len(taught)))
    if len(taught) < 2:
        raise ValueError(
            f"teaching needs more than {BATCH} utterances: give more of them"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(taught), generator=generator).tolist()
    taught = [taught[n] for n in order]  # they come sorted by length
    train, held_out = taught[:-number], taught[-number:]
    price = price_for([one.costs for one in taught], target)
    best = [_best_decisions(scheduler, one, price) for one in train]
    steering = Steering(target)
    optimizer = torch.optim.AdamW(scheduler.parameters(), lr=lr)
    steps = epochs * len(train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for epoch in range(epochs):
        imitates = 2 * epoch < epochs
        # In the second half gates harden, as in a training.
        half = max(0.0, 2 * epoch / epochs - 1)
        tau = scheduler.tau[0] * (scheduler.tau[1] / scheduler.tau[0]) ** half
        total = 0.0
        for n in torch.randperm(len(train), generator=generator).tolist():
            if imitates:
                loss = _imitation(scheduler, train[n], best[n])
                total += float(loss)
            else:
                cost, latency, rounded = _expected(scheduler, train[n], tau)
                loss = cost + price * steering.factor() * latency
                steering.step(rounded, in_force=True)
                total += float(cost)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(scheduler.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        said = "logistic loss" if imitates else "expected cost"
        logging.info(f"teaching, epoch {epoch + 1}: {said} {total / len(train):.5f}")
    _shift_to(scheduler, taught, target)
    return _measure(scheduler, held_out, price)


def _best_decisions(
    scheduler: DynamicLookahead, lesson: Lesson, price: float
) -> Decisions:
    """Return the decisions of each layer that lead to the best masks."""
    frames, lengths = scheduler.frames, lesson.lengths
    if scheduler.shared:
        ends = best_segments(lesson.costs, price)
        return {1: segment_teaching(ends, frames, lengths)}
    # The lowest layer waits for all: waits of several layers add up.
    waits = row_waits(lesson.costs, price)[:, :, None]
    distance = torch.arange(1, frames + 1, device=waits.device)
    valid = inside(waits.shape[1], frames, lengths)
    found = {}
    for place, layer in enumerate(sorted(lesson.inputs)):
        own = waits if place == 0 else torch.zeros_like(waits)
        found[layer] = ((distance <= own).float(), (distance <= own + 1) & valid)
    return found


def _imitation(
    scheduler: DynamicLookahead, lesson: Lesson, best: Decisions
) -> torch.Tensor:
    """Return the logistic loss of the decisions."""
    logits, targets = [], []
    for layer, (wanted, asked) in best.items():
        logits.append(scheduler.logits(layer, lesson.inputs[layer])[asked])
        targets.append(wanted[asked])
    return F.binary_cross_entropy_with_logits(torch.cat(logits), torch.cat(targets))


def _expected(
    scheduler: DynamicLookahead, lesson: Lesson, tau: float
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return expected cost and latency of a frame, and its latency with rounded masks.

    Waits of several layers add up, and what they cost is known for one: beyond the
    lowest layer they are only paid for.
    """
    lengths, costs, frames = lesson.lengths, lesson.costs, scheduler.frames
    logits = {n: scheduler.logits(n, x) / tau for n, x in sorted(lesson.inputs.items())}
    valid = inside(costs.rows.shape[1], frames, lengths)
    log_gates = [F.logsigmoid(z) for z in logits.values()]
    if scheduler.shared:
        # The last frame of an utterance ends its segment.
        gates = log_gates[0].masked_fill(~valid[:, :, :1], CLOSED)
        probability = segment_probabilities(gates)
        possible = costs.segments.isfinite()
        cost = (probability * costs.segments.where(possible, 0.0)).sum()
        more = torch.arange(frames + 1, device=lengths.device)
        latency = (probability * possible * more * (more + 1) / 2).sum()
    else:
        bands = [contiguous_log_band(z).exp() * valid for z in log_gates]
        stay = F.pad(bands[0], (1, 1))
        stay[:, :, 0] = 1.0
        stop = stay[:, :, :-1] - stay[:, :, 1:]  # how probably it waits 0 .. R frames
        cost = (stop * costs.rows).sum()
        latency = algorithmic_latency(bands, lengths).sum()
    number = lengths.sum()
    with torch.no_grad():
        rounded = _latency(scheduler, lesson).sum() / number
    return cost / number, latency / number, float(rounded)


@torch.no_grad()
def _latency(scheduler: DynamicLookahead, lesson: Lesson) -> torch.Tensor:
    """Return the latency of each frame under rounded masks (B, T)."""
    bands = [
        scheduler(layer, x, lesson.lengths).hard
        for layer, x in sorted(lesson.inputs.items())
    ]
    return algorithmic_latency(bands, lesson.lengths)


def _mean_latency(scheduler: DynamicLookahead, taught: Sequence[Lesson]) -> float:
    frames = sum(float(_latency(scheduler, one).sum()) for one in taught)
    return frames / sum(int(one.lengths.sum()) for one in taught)


def _shift_to(
    scheduler: DynamicLookahead, taught: Sequence[Lesson], target: float
) -> None:
    """Add to all logits what brings the mean latency nearest to a target."""
    low, high = OFFSETS
    scheduler.shift(low)
    at = low
    for _ in range(12):
        middle = (low + high) / 2
        scheduler.shift(middle - at)
        at = middle
        if _mean_latency(scheduler, taught) < target:
            low = middle
        else:
            high = middle


@torch.no_grad()
def _measure(
    scheduler: DynamicLookahead,
    held_out: Sequence[Lesson],
    price: float,
) -> Taught:
    """Compare what is decided with the best decisions and with chunks."""
    number = sum(int(one.lengths.sum()) for one in held_out)

    frames = scheduler.frames

    def mean_cost(all_ends: Sequence[torch.Tensor]) -> float:
        pairs = zip(all_ends, held_out, strict=True)
        return sum(cost_of(ends, one.costs) for ends, one in pairs) / number

    def mean_wait(all_ends: Sequence[torch.Tensor]) -> float:
        pairs = zip(all_ends, held_out, strict=True)
        waits = [waits_of(ends, one.lengths) for ends, one in pairs]
        return sum(float(wait.sum()) for wait in waits) / number

    def chunks(one: Lesson, size: int) -> torch.Tensor:
        index = torch.arange(one.costs.rows.shape[1], device=one.lengths.device)
        return (index % size == size - 1).expand(one.costs.rows.shape[:2])

    by_chunks = {}
    for size in range(1, frames + 2):
        ends = [chunks(one, size) for one in held_out]
        by_chunks[round(mean_wait(ends), 3)] = round(mean_cost(ends), 5)
    best = [best_segments(one.costs, price) for one in held_out]
    own = [_latency(scheduler, one) for one in held_out]
    if scheduler.shared:
        logits = [scheduler.logits(1, one.inputs[1]) for one in held_out]
        cost = mean_cost([segment_ends(z >= 0) for z in logits])
    else:
        # Where others make a row wait longer than is known, take the longest.
        at = [wait.long().clamp(max=frames)[:, :, None] for wait in own]
        pairs = zip(held_out, at, strict=True)
        cost = (
            sum(float(one.costs.rows.gather(2, d).sum()) for one, d in pairs) / number
        )
    return Taught(
        price=price,
        wait=sum(float(one.sum()) for one in own) / number,
        cost=cost,
        wait_best=mean_wait(best),
        cost_best=mean_cost(best),
        cost_chunks=by_chunks,
    )
