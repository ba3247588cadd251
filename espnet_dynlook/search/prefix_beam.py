"""CTC prefix beam search, frame by frame: sums over the paths of a labelling.

Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs", https://arxiv.org/abs/1408.2873, without its language
model.
"""

import math
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from espnet_dynlook.search.incremental import (
    Token,
    checked_log_probs,
    silence_behind,
)

NEVER = -math.inf
THRESHOLD = 5.0


@dataclass(frozen=True, eq=False)
class Prefix:
    """A labelling, as its last token and the labelling before it.

    Equal labellings are one object, so that they compare by identity.

    Attributes:
        token: Its last token; -1 for the empty one.
        before: Without it.
        length: Its number of tokens.
        longer: The labellings in use that go on from it, by token.
    """

    token: int = -1
    before: "Prefix | None" = None
    length: int = 0
    longer: "weakref.WeakValueDictionary[int, Prefix]" = field(
        default_factory=weakref.WeakValueDictionary, repr=False
    )

    def plus(self, token: int) -> "Prefix":
        """Return this labelling and one token more."""
        found = self.longer.get(token)
        if found is None:
            found = self.longer[token] = Prefix(token, self, self.length + 1)
        return found

    def tokens(self) -> list[int]:
        """Return all its tokens, in order."""
        found: list[int] = []
        at: Prefix | None = self
        while at is not None and at.before is not None:
            found.append(at.token)
            at = at.before
        return found[::-1]


@dataclass(frozen=True, eq=False)
class Emission:
    """When a token was emitted, and those before it.

    Attributes:
        frame: That emitted it.
        probability: That the model gave it there.
        before: Of the token before it.
    """

    frame: int
    probability: float
    before: "Emission | None"


def emitted(prefix: Prefix, emission: Emission | None, first: int = 0) -> list[Token]:
    """Return the tokens of a labelling with when they were emitted.

    Args:
        prefix: The labelling.
        emission: Of its last token.
        first: How many tokens at the beginning to leave out.
    """
    found = []
    while prefix.length > first and prefix.before is not None:
        assert emission is not None
        found.append(Token(prefix.token, emission.frame, emission.probability))
        prefix, emission = prefix.before, emission.before
    return found[::-1]


def shared_length(prefixes: Sequence[Prefix]) -> int:
    """Return the number of tokens at the beginning that all labellings share."""
    shortest = min(prefix.length for prefix in prefixes)
    at: set[Prefix] = set()
    for prefix in prefixes:
        while prefix.length > shortest:
            assert prefix.before is not None
            prefix = prefix.before
        at.add(prefix)
    while len(at) > 1:
        at = {prefix.before for prefix in at if prefix.before is not None}
    return at.pop().length


def without_beginning(hypotheses: Sequence[Any], first: int) -> tuple[Any, ...]:
    """Return hypotheses whose labellings have forgotten the tokens that they share.

    As long as they were; the last token that they share stays, because what follows
    depends on it.

    Args:
        hypotheses: With ``prefix`` and ``emission``.
        first: Tokens at the beginning that all share.
    """
    if first < 2:
        return tuple(hypotheses)
    root = Prefix(length=first - 1)
    made = []
    for one in hypotheses:
        prefix, emission = root, None
        for token in emitted(one.prefix, one.emission, first - 1):
            prefix = prefix.plus(token.token)
            emission = Emission(token.frame, token.probability, emission)
        made.append(replace(one, prefix=prefix, emission=emission))
    return tuple(made)


@dataclass(frozen=True)
class Hypothesis:
    """A labelling, and how probable the frames so far make it.

    Attributes:
        prefix: The labelling.
        blank: Log-probability of its paths that end with a blank.
        label: Of those that end with its last token.
        emission: Of its last token, on the most probable way to it.
    """

    prefix: Prefix
    blank: float
    label: float
    emission: Emission | None = None

    @property
    def score(self) -> float:
        """Log-probability of all its paths."""
        return add(self.blank, self.label)


def add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))


@dataclass(frozen=True)
class PrefixBeam:
    """What a prefix beam search knows of an utterance so far.

    Attributes:
        beam: Labellings that are kept.
        candidates: Tokens of a frame that may make them longer, the most probable.
        threshold: How much less probable than the best one a labelling may be, in nats:
            without it, the best words wait for the worst labelling that is kept.
        blank: Index of the blank.
        hypotheses: The most probable labellings, the best first.
        frames: Frames so far.
        silence: Frames behind the last one whose best label is not blank.
    """

    beam: int = 10
    candidates: int = 20
    threshold: float = THRESHOLD
    blank: int = 0
    hypotheses: tuple[Hypothesis, ...] = (Hypothesis(Prefix(), 0.0, NEVER),)
    frames: int = 0
    silence: int = 0

    @classmethod
    def begin(
        cls,
        beam: int = 10,
        candidates: int = 20,
        blank: int = 0,
        threshold: float = THRESHOLD,
    ) -> "PrefixBeam":
        """Return what is known before the first frame.

        Raises:
            ValueError: a number is out of range.
        """
        for name, value in (("beam", beam), ("candidates", candidates)):
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if not threshold > 0:
            raise ValueError(f"threshold={threshold} must be above 0 nats, such as 5")
        begin = (Hypothesis(Prefix(), 0.0, NEVER),)
        return cls(beam, candidates, threshold, blank, begin)

    @property
    def score(self) -> float:
        """Log-probability of the best labelling."""
        return self.hypotheses[0].score

    @property
    def tokens(self) -> list[Token]:
        """Tokens of the best labelling."""
        return self.tokens_from(0)

    def tokens_from(self, first: int) -> list[Token]:
        """Return its tokens but for the first so many."""
        best = self.hypotheses[0]
        return emitted(best.prefix, best.emission, first)

    @property
    def stable(self) -> int:
        """Tokens at the beginning that all labellings share: the others are gone."""
        return shared_length([one.prefix for one in self.hypotheses])

    def step(self, frames: torch.Tensor) -> "PrefixBeam":
        """Go on with log-probabilities (n, V).

        Raises:
            ValueError: they are no log-probabilities (n, V).
        """
        frames = checked_log_probs(frames)
        if not len(frames):
            return self
        width = min(self.candidates, frames.shape[1])
        best, tokens = frames.topk(width, dim=1)
        state = self
        rows = zip(frames.tolist(), tokens.tolist(), best.tolist(), strict=True)
        for row, numbers, values in rows:
            pairs = [
                (token, value)
                for token, value in zip(numbers, values, strict=True)
                if token != self.blank and value > NEVER
            ]
            hypotheses = tuple(state._follow(row, pairs))
            state = replace(state, hypotheses=hypotheses, frames=state.frames + 1)
        said = tokens[:, 0] != self.blank
        return replace(state, silence=silence_behind(said.cpu().numpy(), self.silence))

    def beginning_at(self, frame: int) -> "PrefixBeam":
        """Return what is known before a frame, of nothing."""
        begin = self.begin(self.beam, self.candidates, self.blank, self.threshold)
        return replace(begin, frames=frame)

    def forgetting(self, first: int) -> "PrefixBeam":
        """Return this without its first tokens."""
        return replace(self, hypotheses=without_beginning(self.hypotheses, first))

    def _follow(
        self, row: list[float], candidates: list[tuple[int, float]]
    ) -> Iterator[Hypothesis]:
        """Give out the best labellings after one more frame."""
        blank: dict[Prefix, float] = {}
        label: dict[Prefix, float] = {}
        # The most probable single way into each labelling brings its emissions.
        ways: dict[Prefix, tuple[float, Emission | None]] = {}

        def reach(
            into: dict[Prefix, float],
            prefix: Prefix,
            score: float,
            emission: Emission | None,
        ) -> None:
            into[prefix] = add(into.get(prefix, NEVER), score)
            if prefix not in ways or score > ways[prefix][0]:
                ways[prefix] = (score, emission)

        for one in self.hypotheses:
            reach(blank, one.prefix, one.score + row[self.blank], one.emission)
            if one.prefix.before is not None:
                again = one.label + row[one.prefix.token]
                reach(label, one.prefix, again, one.emission)
            for token, value in candidates:
                # A token after itself is another one only behind a blank.
                before = one.blank if token == one.prefix.token else one.score
                if before == NEVER:
                    continue
                emission = Emission(self.frames, math.exp(value), one.emission)
                reach(label, one.prefix.plus(token), before + value, emission)
        made = [
            Hypothesis(
                prefix,
                blank.get(prefix, NEVER),
                label.get(prefix, NEVER),
                ways[prefix][1],
            )
            for prefix in ways
        ]
        made.sort(key=lambda one: -one.score)
        least = made[0].score - self.threshold
        yield from (one for one in made[: self.beam] if one.score >= least)
