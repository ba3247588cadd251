"""Searches that go on where they stopped: what they know of an utterance so far."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch


class Token(NamedTuple):  # there are many
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

    def tokens_from(self, first: int) -> list[Token]:
        """Return its tokens but for the first so many, without looking at those."""

    @property
    def stable(self) -> int:
        """How many of them, from the first, cannot change any more."""

    @property
    def score(self) -> float:
        """Log-probability of the best hypothesis."""

    @property
    def silence(self) -> int:
        """Frames behind the last one that says something."""

    def step(self, frames: torch.Tensor) -> "Search":
        """Return what is known after further frames (n, ...)."""

    def beginning_at(self, frame: int) -> "Search":
        """Return what is known before anything, if the next frame has that number."""

    def forgetting(self, first: int) -> "Search":
        """Return this without its first so many tokens, which have to be stable.

        They still count, but nobody may ask for them any more.
        """


def silence_behind(said: np.ndarray, before: int) -> int:
    """Return the frames behind the last one that says something.

    Args:
        said: Whether each frame does (n,) bool.
        before: Frames of silence before them.
    """
    at = np.flatnonzero(said)
    return len(said) - 1 - int(at[-1]) if len(at) else before + len(said)


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """Tokens as the last one and those before it: further ones need no copy.

    Attributes:
        token: The last one.
        before: Those before it.
        length: How many there are.
    """

    token: Token
    before: "Chain | None" = None
    length: int = 1


def chained(chain: Chain | None, token: Token) -> Chain:
    """Return a chain and one token more."""
    return Chain(token, chain, 1 if chain is None else chain.length + 1)


def tokens_of(chain: Chain | None, first: int = 0) -> list[Token]:
    """Return the tokens of a chain but for the first so many, in order."""
    found = []
    while chain is not None and chain.length > first:
        found.append(chain.token)
        chain = chain.before
    return found[::-1]


def as_tensor(values: Any, name: str) -> torch.Tensor:
    """Return a tensor as it is, and an array of NumPy as a tensor.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "fiu":
            raise TypeError(f"{name} is an array of {values.dtype}: give numbers")
        # Not on the memory itself, which may be read-only, or of another byte order.
        return torch.from_numpy(
            values.astype(values.dtype.newbyteorder("="), copy=True)
        )
    if not isinstance(values, torch.Tensor):
        raise TypeError(
            f"{name} is a {type(values).__name__} and must be a tensor, or an array of "
            "NumPy"
        )
    return values


#: Least sum of a frame's probabilities that is no rounding: a model in bfloat16 says -8
#: where -8.03 is right, and whoever gets that as float32 cannot tell.
MOST = 1.1


def checked_log_probs(log_probs: Any, name: str = "log_probs") -> torch.Tensor:
    """Return log-probabilities (n, V) as float64, if they can be that.

    Args:
        log_probs: A tensor, or an array of NumPy, of any floating type.
        name: Of the argument, for messages.

    Raises:
        TypeError: they are neither.
        ValueError: they have another shape, NaN, a frame whose probabilities sum to
            more than 1 (``MOST``), or one in which nothing is possible.
    """
    log_probs = as_tensor(log_probs, name)
    if log_probs.dim() != 2:
        raise ValueError(
            f"{name} has shape {tuple(log_probs.shape)} and must be (n, V), frames "
            "of one utterance"
        )
    if not log_probs.is_floating_point():
        raise ValueError(
            f"{name} has numbers of {log_probs.dtype}: give what log_softmax returns"
        )
    if not log_probs.numel():
        return log_probs.detach().double()
    log_probs = log_probs.detach().double()
    with np.errstate(over="ignore"):  # of what are no log-probabilities
        plain = np.exp(log_probs.cpu().numpy()).sum(axis=1)
    if ((plain > 0) & (plain <= MOST)).all():  # NaN is not, nor what underflows
        return log_probs
    if log_probs.isnan().any():
        raise ValueError(f"{name} has NaN: the model or its input is broken")
    sums = log_probs.logsumexp(1)
    wrong = ((sums > math.log(MOST)) | (sums == -math.inf)).nonzero()
    if len(wrong):
        at = int(wrong[0])
        total, largest = float(sums[at].exp()), float(log_probs[at].max())
        what = f"{name}: probabilities of frame {at} sum to {total:g}"
        if total > 1:
            raise ValueError(
                f"{what} (its largest is {largest:g}), at most {MOST:g} may be: give "
                "what log_softmax returns, not logits"
            )
        raise ValueError(f"{what}: every label is -inf; leave one possible")
    return log_probs


def without_first(chain: Chain | None, first: int) -> Chain | None:
    """Return a chain of the same length that has forgotten its first tokens."""
    if chain is None:
        return None
    first = min(first, chain.length - 1)  # the last one knows how many there are
    found = None
    for number, token in enumerate(tokens_of(chain, first), first + 1):
        found = Chain(token, found, number)
    return found


@dataclass(frozen=True)
class GreedyCTC:
    """The best label of every frame, collapsed; see ``search.greedy.best_path``.

    Attributes:
        blank: Index of the blank.
        said: Tokens so far.
        score: Log-probability of the path so far.
        frames: Frames so far.
        last: Label of the last frame.
        silence: Frames behind the last one that is not blank.
    """

    blank: int = 0
    said: Chain | None = None
    score: float = 0.0
    frames: int = 0
    last: int = -1
    silence: int = 0

    @property
    def tokens(self) -> list[Token]:
        """All tokens."""
        return tokens_of(self.said)

    def tokens_from(self, first: int) -> list[Token]:
        """Return the tokens but for the first so many."""
        return tokens_of(self.said, first)

    @property
    def stable(self) -> int:
        """All tokens: a greedy search never takes anything back."""
        return 0 if self.said is None else self.said.length

    def step(self, frames: torch.Tensor) -> "GreedyCTC":
        """Go on with log-probabilities (n, V).

        Raises:
            ValueError: they are no log-probabilities (n, V).
        """
        frames = checked_log_probs(frames)
        if not len(frames):
            return self
        values, labels = frames.max(dim=1)
        said, last = self.said, self.last
        pairs = zip(labels.tolist(), values.tolist(), strict=True)
        for number, (label, value) in enumerate(pairs, self.frames):
            if label != last and label != self.blank:
                said = chained(said, Token(label, number, math.exp(value)))
            last = label
        return GreedyCTC(
            self.blank,
            said,
            self.score + values.sum().item(),
            self.frames + len(frames),
            last,
            silence_behind(labels.cpu().numpy() != self.blank, self.silence),
        )

    def beginning_at(self, frame: int) -> "GreedyCTC":
        """Return what is known before a frame, of nothing."""
        return GreedyCTC(self.blank, frames=frame)

    def forgetting(self, first: int) -> "GreedyCTC":
        """Return this without its first tokens."""
        return replace(self, said=without_first(self.said, first))
