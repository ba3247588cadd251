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

from espnet_dynlook.lookahead.bands import inside
from espnet_dynlook.lookahead.dynamic import DynamicLookahead
from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.lookahead.segments import segment_band
from espnet_dynlook.lookahead.settling import (
    best_segments,
    price_for,
    row_waits,
    segment_teaching,
    unsettled,
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
        costs: Of each frame by what it sees (B, T, R + 1), see ``unsettled``.
        lengths: Frames of each utterance (B,).
    """

    inputs: dict[int, torch.Tensor]
    costs: torch.Tensor
    lengths: torch.Tensor


@dataclass(frozen=True)
class Taught:
    """How the teaching went, on utterances that were held out of it.

    Attributes:
        price: Of a frame of waiting in nats, found for the wanted wait.
        wait: Mean latency in frames, after the logits were shifted.
        cost: Mean cost of a frame in nats, see ``unsettled``.
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
        costs = unsettled(under, layers, scheduler.frames, lengths)
        found.append(Lesson(inputs, costs, lengths))
    return found


def teach(
    scheduler: DynamicLookahead,
    taught: Sequence[Lesson],
    target: float,
    epochs: int = 30,
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
    price = price_for([(one.costs, one.lengths) for one in taught], target)
    best = [_best_decisions(scheduler, one, price) for one in train]
    steering = Steering(target)
    optimizer = torch.optim.AdamW(scheduler.parameters(), lr=lr)
    steps = epochs * len(train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    before = float(scheduler.progress)
    scheduler.train()
    for epoch in range(epochs):
        imitates = 2 * epoch < epochs
        total = 0.0
        for n in torch.randperm(len(train), generator=generator).tolist():
            if imitates:
                loss = _imitation(scheduler, train[n], best[n])
                total += float(loss)
            else:
                cost, latency, rounded = _expected(scheduler, train[n])
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
    scheduler.set_progress(before)
    scheduler.eval()
    _shift_to(scheduler, taught, target)
    return _measure(scheduler, held_out, price)


def _best_decisions(
    scheduler: DynamicLookahead, lesson: Lesson, price: float
) -> Decisions:
    """Return the decisions of each layer that lead to the best masks."""
    frames, lengths = scheduler.frames, lesson.lengths
    if scheduler.shared:
        ends = best_segments(lesson.costs, price, lengths)
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
    scheduler: DynamicLookahead, lesson: Lesson
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return expected cost and latency of a frame, and its latency with rounded masks.

    Waits of several layers add up, and what they cost is known for one: beyond the
    lowest layer they are only paid for.
    """
    waits = [
        scheduler(layer, x, lesson.lengths)
        for layer, x in sorted(lesson.inputs.items())
    ]
    number = lesson.lengths.sum()
    stay = F.pad(waits[0].band, (1, 1))
    stay[:, :, 0] = 1.0
    stop = stay[:, :, :-1] - stay[:, :, 1:]  # how probably it waits 0 .. R frames
    cost = (stop * lesson.costs).sum() / number
    soft = algorithmic_latency([w.band for w in waits], lesson.lengths).sum() / number
    with torch.no_grad():
        hard = algorithmic_latency([w.hard for w in waits], lesson.lengths)
    return cost, soft, float(hard.sum() / number)


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

    def mean_cost(waits: Sequence[torch.Tensor]) -> float:
        total = 0.0
        for one, wait in zip(held_out, waits, strict=True):
            # Where others make a row wait longer than is known, take the longest.
            at = wait.long().clamp(max=scheduler.frames)[:, :, None]
            total += float(one.costs.gather(2, at).sum())
        return total / number

    def latency_of(ends: torch.Tensor, one: Lesson) -> torch.Tensor:
        band = segment_band(ends, scheduler.frames).float()
        return algorithmic_latency([band], one.lengths)

    def chunks(one: Lesson, size: int) -> torch.Tensor:
        index = torch.arange(one.costs.shape[1], device=one.costs.device)
        return (index % size == size - 1).expand(one.costs.shape[:2])

    best = [
        latency_of(best_segments(one.costs, price, one.lengths), one)
        for one in held_out
    ]
    by_chunks = {}
    for size in range(1, scheduler.frames + 2):
        waits = [latency_of(chunks(one, size), one) for one in held_out]
        wait = sum(float(one.sum()) for one in waits) / number
        by_chunks[round(wait, 3)] = round(mean_cost(waits), 5)
    own = [_latency(scheduler, one) for one in held_out]
    return Taught(
        price=price,
        wait=sum(float(one.sum()) for one in own) / number,
        cost=mean_cost(own),
        wait_best=sum(float(one.sum()) for one in best) / number,
        cost_best=mean_cost(best),
        cost_chunks=by_chunks,
    )
