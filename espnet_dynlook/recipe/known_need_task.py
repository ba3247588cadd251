"""A task whose need for future frames is known: its sequences, and a small model.

A sequence has units in noise. Half of them are told by their own frame; the others are
of two classes that only a cue tells apart, which comes k frames later, k from 0 to 8
drawn for each. The label is due at the unit's own frame. The best policy waits for the
cue and for nothing else, so its latency is known exactly; a fixed lookahead has to be
as long as the longest k to make no errors, whatever the frame.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from espnet_dynlook.encoder.conformer import DynlookConformerEncoder
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.lookahead.penalty import LatencyPenalty

LONGEST = 8  # the largest k
NUM_FRAMES = 64
#: What a frame may hold; features are these, one dimension each, in noise.
PLAIN_A, PLAIN_B, UNSURE, CUE_C, CUE_D = range(5)
NUM_FEATURES = 5
#: Labels: 0 nothing, 1 and 2 the plain units, 3 and 4 those that a cue tells apart.
NUM_LABELS = 5
NOISE = 0.15
NUM_LAYERS = 2
LEFT_CONTEXT = 4  # past frames that a row sees


@dataclass(frozen=True)
class Batch:
    """Sequences with what is due and what it takes.

    Attributes:
        features: (B, T, NUM_FEATURES).
        labels: (B, T).
        waits: Frames that a row has to see ahead, (B, T).
    """

    features: torch.Tensor
    labels: torch.Tensor
    waits: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Frames of each sequence, (B,): all are equally long."""
        return torch.full((len(self.labels),), self.labels.shape[1])

    def oracle_band(self) -> torch.Tensor:
        """Return the band of the best policy, (B, T, LONGEST)."""
        return (torch.arange(1, LONGEST + 1) <= self.waits[:, :, None]).float()

    def oracle_latency(self) -> float:
        """Return the mean latency of the best policy in frames."""
        latency = algorithmic_latency([self.oracle_band()], self.lengths)
        return float(latency.mean())


def draw(size: int, rng: np.random.Generator) -> Batch:
    """Draw sequences.

    Args:
        size: B.
        rng: Of the random numbers.
    """
    shape = (size, NUM_FRAMES, NUM_FEATURES)
    features = NOISE * rng.standard_normal(shape, dtype=np.float32)
    labels = np.zeros(shape[:2], dtype=np.int64)
    waits = np.zeros(shape[:2], dtype=np.int64)
    for b in range(size):
        t = int(rng.integers(6))
        while t + LONGEST < NUM_FRAMES:
            which, k = int(rng.integers(4)), 0
            if which < 2:
                features[b, t, which] += 1
            else:
                k = int(rng.integers(LONGEST + 1))
                features[b, t, UNSURE] += 1
                features[b, t + k, CUE_C + which - 2] += 1
            labels[b, t], waits[b, t] = which + 1, k
            # The next unit is beyond what this one may see, and sees none of its cue.
            t += max(k + LEFT_CONTEXT, LONGEST) + 1 + int(rng.integers(4))
    return Batch(*map(torch.from_numpy, (features, labels, waits)))


@dataclass(frozen=True)
class KnownWaits(FixedLookahead):
    """The best policy as a kind of lookahead, for one batch.

    Args:
        band: What ``Batch.oracle_band`` returns.
    """

    band: torch.Tensor = field(default_factory=lambda: torch.zeros(1, 1, 0))

    def bands(
        self, num_frames: int, device: torch.device | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Return the band, which is the same in every layer."""
        return (self.band.to(device),) * self.num_layers


class Recogniser(torch.nn.Module):
    """A small encoder, a label for every frame, and the price of waiting.

    Args:
        encoder: Keys of its lookahead.
        penalty: Arguments of ``LatencyPenalty``; none: no penalty.
        oracle: Whether the rows see what the best policy waits for, and no more.
    """

    def __init__(
        self,
        encoder: dict[str, Any],
        penalty: dict[str, Any] | None = None,
        oracle: bool = False,
    ):
        super().__init__()
        self.oracle = oracle
        self.encoder = DynlookConformerEncoder(
            NUM_FEATURES,
            output_size=32,
            attention_heads=2,
            linear_units=64,
            num_blocks=NUM_LAYERS,
            dropout_rate=0.0,
            positional_dropout_rate=0.0,
            input_layer="linear",
            rel_pos_type="latest",
            use_cnn_module=False,
            left_context=LEFT_CONTEXT,
            **encoder,
        )
        self.head = torch.nn.Linear(32, NUM_LABELS)
        self.penalty = LatencyPenalty(**(penalty or {}))

    def logits(self, batch: Batch) -> torch.Tensor:
        """Return the scores of the labels, (B, T, NUM_LABELS)."""
        if self.oracle:
            known = KnownWaits("causal", NUM_LAYERS, band=batch.oracle_band())
            with self.encoder.override(known):
                out, _, _ = self.encoder(batch.features, batch.lengths)
        else:
            out, _, _ = self.encoder(batch.features, batch.lengths)
        return self.head(out)

    def task_loss(self, batch: Batch) -> torch.Tensor:
        """Return the cross entropy per unit."""
        loss = F.cross_entropy(
            self.logits(batch).transpose(1, 2), batch.labels, reduction="sum"
        )
        return loss / (batch.labels > 0).sum()


def train(model: Recogniser, steps: int, seed: int, lr: float = 0.003) -> None:
    """Train on fresh sequences at every step; the scheduler as the package does it.

    Args:
        model: Changed in place; in evaluation mode afterwards.
        steps: Batches of 16 sequences.
        seed: Of the sequences.
        lr: Highest learning rate; a scheduler's is multiplied by its factor.
    """
    rng = np.random.default_rng(seed)
    scheduler = model.encoder.scheduler
    faster = [] if scheduler is None else list(scheduler.parameters())
    known = {id(p) for p in faster}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if id(p) not in known]}
    ]
    if scheduler is not None:
        groups.append({"params": faster, "lr": lr * scheduler.lr_factor})
    optimizer = torch.optim.Adam(groups, lr=lr)
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50, 2 * (1 - step / steps) + 0.02)
    )
    model.train()
    for step in range(steps):
        model.encoder.set_progress(step / steps)
        model.penalty.set_progress(step / steps)
        batch = draw(16, rng)
        loss = model.task_loss(batch)
        if model.penalty.kind != "none":
            trace = model.encoder.lookahead
            assert trace is not None
            loss = loss + model.penalty(trace).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        decay.step()
    model.encoder.set_progress(1.0)
    model.eval()


@dataclass(frozen=True)
class Outcome:
    """What a system does on sequences that it has not seen.

    Attributes:
        system: Its name.
        seed: Of its training.
        error: Share of the units with a wrong label, or missed, in percent.
        loss: Cross entropy per unit.
        latency: Mean over the frames, in frames, with rounded masks.
        oracle: That of the best policy on the same sequences.
        soft_gap: Loss with soft masks minus ``loss``.
    """

    system: str
    seed: int
    error: float
    loss: float
    latency: float
    oracle: float
    soft_gap: float


@torch.no_grad()
def evaluate(model: Recogniser, system: str, seed: int) -> Outcome:
    """Measure on 512 sequences, the same for every system and seed."""
    batch = draw(512, np.random.default_rng(2**31))
    units = batch.labels > 0
    loss = float(model.task_loss(batch))
    trace = model.encoder.lookahead
    assert trace is not None
    latency = float(trace.algorithmic_latency().mean())
    wrong = (model.logits(batch).argmax(dim=2) != batch.labels) & units
    with model.encoder.soft_masks():
        soft_gap = float(model.task_loss(batch)) - loss
    error = 100 * float(wrong.sum() / units.sum())
    return Outcome(system, seed, error, loss, latency, batch.oracle_latency(), soft_gap)
