"""Choose weights one after the other, on data that are held out of training."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: A weight by name; 0: off.
Setting = dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """What a setting does to a set.

    Attributes:
        f1: Of the names, 0 to 1.
        u_wer: WER of the other words, in percent.
        false_insertions: Per 100 utterances, with lists of which nothing is said.
        texts: Hypotheses, in the order of the utterances.
    """

    f1: float
    u_wer: float
    false_insertions: float
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What a setting may cost at most.

    Attributes:
        u_wer: Points of U-WER above that without names.
        false_insertions: Per 100 utterances, with lists of which nothing is said.
    """

    u_wer: float = 0.3
    false_insertions: float = 1.0

    def keeps(self, outcome: Outcome, base: Outcome) -> bool:
        """Tell whether a setting is within them."""
        return (
            outcome.u_wer <= base.u_wer + self.u_wer
            and outcome.false_insertions <= self.false_insertions
        )


@dataclass(frozen=True)
class Trial:
    """A setting that was tried.

    Attributes:
        setting: Its weights.
        outcome: What it did.
        allowed: Whether it is within the limits.
    """

    setting: Setting
    outcome: Outcome
    allowed: bool


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        best: The setting and its outcome.
        trials: All that were tried, in their order.
        changed: Of each weight that is best at 0, how many hypotheses its most
            promising other value changes.
    """

    best: Trial
    trials: list[Trial]
    changed: dict[str, int]


def choose(
    grid: Mapping[str, Sequence[float]],
    evaluate: Callable[[Setting], Outcome],
    base: Outcome,
    limits: Limits,
    rounds: int = 2,
    parts: Mapping[str, str] | None = None,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> Choice:
    """Find weights with the largest F1 within limits, one weight at a time.

    From all weights 0, each in the order of the grid gets its best value, the others
    being as they are then; and again, until nothing changes. Of equal F1 the lower
    U-WER counts, then fewer false insertions, then the smaller weight: what does
    nothing stays off.

    Args:
        grid: Values to try of each weight, beside 0.
        evaluate: Decodes with a setting.
        base: Outcome without names.
        limits: What a setting may cost.
        rounds: At most so many.
        parts: Numbers that do nothing without another one, by its name: both are tried
            together, with all their pairs.
        tell: Is called with every setting that was tried, when it was.

    Raises:
        ValueError: ``rounds`` is less than 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds={rounds} must be 1 or more")
    parts = {p: w for p, w in (parts or {}).items() if p in grid and w in grid}
    known: dict[tuple[float, ...], Trial] = {}

    def trial(setting: Setting) -> Trial:
        key = tuple(setting.values())
        if key not in known:
            outcome = evaluate(setting) if any(key) else base
            # To be without all of it is always allowed.
            allowed = not any(key) or limits.keeps(outcome, base)
            known[key] = Trial(setting, outcome, allowed)
            tell(known[key])
        return known[key]

    best = trial(dict.fromkeys(grid, 0.0))
    for _ in range(rounds):
        before = best.setting
        for name in grid:
            if name in parts:
                continue
            more = [part for part, whole in parts.items() if whole == name]
            tried = [
                trial({**best.setting, **dict(zip([name, *more], some, strict=True))})
                for some in itertools.product(
                    *(sorted({0.0, *grid[one]}) for one in (name, *more))
                )
                if some[0] or not any(some)
            ]
            best = max((one for one in [best, *tried] if one.allowed), key=_rank(name))
        if best.setting == before:
            break
    changed = {}
    for name, values in grid.items():
        if best.setting[name] or (name in parts and not best.setting[parts[name]]):
            continue
        others = [trial({**best.setting, name: value}) for value in values if value]
        if others:
            other = max(others, key=lambda one: (one.allowed, *_rank(name)(one)))
            pairs = zip(best.outcome.texts, other.outcome.texts, strict=True)
            changed[name] = sum(one != two for one, two in pairs)
    return Choice(best, list(known.values()), changed)


def _rank(name: str) -> Callable[[Trial], tuple[float, ...]]:
    """Return what trials of different values of one weight are ordered by."""

    def rank(one: Trial) -> tuple[float, ...]:
        found = one.outcome
        return found.f1, -found.u_wer, -found.false_insertions, -one.setting[name]

    return rank
