# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A start for schedulers that knows where waiting pays, taught by a parent.

The parent is at home under any mask (``lookahead: random``). How far its posteriors
still move when more is seen gives the best segments, or the best wait of each row
(``lookahead.settling``), at the price that makes the wanted mean wait. The scheduler
learns to predict them from what it may look at; nothing else of the model changes.
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
from espnet_dynlook.lookahead.random import segment_band
from espnet_dynlook.lookahead.settling import (
    best_segments,
    price_for,
    row_waits,
    segment_teaching,
    unsettled,
)
from espnet_dynlook.training.evaluation import Evaluator, Utterance

#: Utterances in one batch.
BATCH = 8
#: Share of the utterances on which the schedulers' wait is measured, not learned.
HELD_OUT = 0.1
#: Range in which the wait is set by adding to all logits.
OFFSETS = (-8.0, 8.0)
#: What a scheduler should say and where it is asked, by layer; shapes of its logits.
Answers = dict[int, tuple[torch.Tensor, torch.Tensor]]


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
        accuracy: Share of the decisions that are the best ones'.
        wait: Mean latency in frames, after the logits were shifted.
        cost: Mean cost of a frame in nats, see ``unsettled``.
        wait_best: Mean latency of the best segments, which know the utterance.
        cost_best: Their mean cost.
        cost_chunks: That of chunks of 1 .. R + 1 frames, by their mean latency.
    """

    price: float
    accuracy: float
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
    pairs = [(one.costs, one.lengths) for one in taught]
    price = price_for(pairs, target)
    answers = [_answers(scheduler, one, price) for one in taught]
    optimizer = torch.optim.AdamW(scheduler.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=epochs * len(train)
    )
    scheduler.train()
    for epoch in range(epochs):
        total = 0.0
        for n in torch.randperm(len(train), generator=generator).tolist():
            loss = _loss(scheduler, train[n], answers[n])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(scheduler.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        logging.info(f"teaching, epoch {epoch + 1}: loss {total / len(train):.4f}")
    scheduler.eval()
    _shift_to(scheduler, taught, target)
    return _measure(scheduler, held_out, answers[-number:], price)


def _decisions(
    scheduler: DynamicLookahead, lesson: Lesson, answers: Answers
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of a lesson that count, and their targets."""
    logits, targets = [], []
    for layer, (wanted, asked) in answers.items():
        logits.append(scheduler.logits(layer, lesson.inputs[layer])[asked])
        targets.append(wanted[asked])
    return torch.cat(logits), torch.cat(targets)


def _loss(
    scheduler: DynamicLookahead, lesson: Lesson, answers: Answers
) -> torch.Tensor:
    """Return the logistic loss of the decisions of a lesson."""
    return F.binary_cross_entropy_with_logits(*_decisions(scheduler, lesson, answers))


def _answers(scheduler: DynamicLookahead, lesson: Lesson, price: float) -> Answers:
    """Return the best decisions of each layer."""
    frames, lengths = scheduler.frames, lesson.lengths
    if scheduler.shared:
        ends = best_segments(lesson.costs, price, lengths)
        return {1: segment_teaching(ends, frames, lengths)}
    # The lowest layer that looks ahead waits for all: waits of several layers add up.
    waits = row_waits(lesson.costs, price)[:, :, None]
    distance = torch.arange(1, frames + 1, device=waits.device)
    valid = inside(waits.shape[1], frames, lengths)
    found = {}
    for place, layer in enumerate(sorted(lesson.inputs)):
        wanted = waits if place == 0 else torch.zeros_like(waits)
        asked = (distance <= wanted + 1) & valid
        found[layer] = ((distance <= wanted).float(), asked)
    return found


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
    answers: Sequence[Answers],
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

    right, asked = 0, 0
    for one, wanted in zip(held_out, answers, strict=True):
        z, targets = _decisions(scheduler, one, wanted)
        right += int(((z > 0) == (targets > 0.5)).sum())
        asked += len(z)
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
        accuracy=right / max(asked, 1),
        wait=sum(float(one.sum()) for one in own) / number,
        cost=mean_cost(own),
        wait_best=sum(float(one.sum()) for one in best) / number,
        cost_best=mean_cost(best),
        cost_chunks=by_chunks,
    )
