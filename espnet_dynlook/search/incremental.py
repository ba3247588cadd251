"""Searches that go on where they stopped: what they know of an utterance so far."""

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch


@dataclass(frozen=True)
class Token:
    """A token of a hypothesis.

    Attributes:
        token: Its number.
        frame: Frame that emitted it.
        probability: That the model gave it there.
    """

    token: int
    frame: int
    probability: float


class Search(Protocol):
    """What a search knows of an utterance; a value that ``step`` leaves as it is."""

    @property
    def tokens(self) -> list[Token]:
        """Tokens of the best hypothesis."""

    @property
    def stable(self) -> int:
        """How many of them, from the first, cannot change any more."""

    @property
    def score(self) -> float:
        """Log-probability of the best hypothesis."""

    def step(self, frames: torch.Tensor) -> "Search":
        """Return what is known after further frames (n, ...)."""


def check_log_probs(log_probs: torch.Tensor) -> None:
    """Refuse what is no (n, V) of log-probabilities.

    Raises:
        ValueError: it has another shape, or NaN.
    """
    if log_probs.dim() != 2:
        raise ValueError(
            f"log_probs has shape {tuple(log_probs.shape)} and must be (n, V), frames "
            "of one utterance"
        )
    if log_probs.isnan().any():
        raise ValueError("log_probs has NaN: the model or its input is broken")


@dataclass(frozen=True)
class GreedyCTC:
    """The best label of every frame, collapsed; see ``search.greedy.best_path``.

    Attributes:
        blank: Index of the blank.
        tokens: So far.
        score: Log-probability of the path so far.
        frames: Frames so far.
        last: Label of the last frame.
    """

    blank: int = 0
    tokens: list[Token] = field(default_factory=list)
    score: float = 0.0
    frames: int = 0
    last: int = -1

    @property
    def stable(self) -> int:
        """All tokens: a greedy search never takes anything back."""
        return len(self.tokens)

    def step(self, frames: torch.Tensor) -> "GreedyCTC":
        """Go on with log-probabilities (n, V).

        Raises:
            ValueError: they are not (n, V), or have NaN.
        """
        check_log_probs(frames)
        if not len(frames):
            return self
        values, labels = frames.max(dim=1)
        tokens, last = list(self.tokens), self.last
        pairs = zip(labels.tolist(), values.tolist(), strict=True)
        for number, (label, value) in enumerate(pairs, self.frames):
            if label != last and label != self.blank:
                tokens.append(Token(label, number, math.exp(value)))
            last = label
        return GreedyCTC(
            self.blank,
            tokens,
            self.score + values.double().sum().item(),
            self.frames + len(frames),
            last,
        )
