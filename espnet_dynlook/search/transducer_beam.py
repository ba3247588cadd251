"""Transducer beam search, frame by frame: at most one label a frame.

Sums over the alignments of a labelling (Graves, https://arxiv.org/abs/1211.3711), of
those that emit at most one label in each frame.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.incremental import Token
from espnet_dynlook.search.prefix_beam import (
    Emission,
    Prefix,
    add,
    emitted,
    shared_length,
    without_beginning,
)

with espnet_imports():
    from espnet2.asr.transducer.beam_search_transducer import Hypothesis as Spoken


@dataclass(frozen=True)
class TransducerHypothesis:
    """A labelling, and how probable the frames so far make it.

    Attributes:
        prefix: The labelling.
        score: Log-probability of its alignments.
        emission: Of its last token, on the most probable way to it.
        said: What the prediction network says after it.
        memory: Its state there.
    """

    prefix: Prefix
    score: float
    emission: Emission | None
    said: torch.Tensor
    memory: Any


@dataclass(frozen=True)
class TransducerBeam:
    """What a transducer beam search knows of an utterance so far.

    Attributes:
        decoder: ESPnet's prediction network.
        joint_network: ESPnet's joint network.
        beam: Labellings that are kept.
        blank: Index of the blank.
        hypotheses: The most probable labellings, the best first; none before the first
            frame.
        frames: Number of the next frame.
        first: Of the first one.
    """

    decoder: Any
    joint_network: Any
    beam: int = 5
    blank: int = 0
    hypotheses: tuple[TransducerHypothesis, ...] = ()
    frames: int = 0
    first: int = 0

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam={self.beam} must be at least 1")

    @property
    def score(self) -> float:
        """Log-probability of the best labelling."""
        return self.hypotheses[0].score if self.hypotheses else 0.0

    @property
    def tokens(self) -> list[Token]:
        """Tokens of the best labelling."""
        return self.tokens_from(0)

    def tokens_from(self, first: int) -> list[Token]:
        """Return its tokens but for the first so many."""
        if not self.hypotheses:
            return []
        best = self.hypotheses[0]
        return emitted(best.prefix, best.emission, first)

    @property
    def stable(self) -> int:
        """Tokens at the beginning that all labellings share: the others are gone."""
        if not self.hypotheses:
            return 0
        return shared_length([one.prefix for one in self.hypotheses])

    @property
    def silence(self) -> int:
        """Frames behind the last one with a label."""
        last = self.tokens_from(max(self.stable - 1, 0))
        return self.frames - (last[-1].frame + 1 if last else self.first)

    def step(self, frames: torch.Tensor) -> "TransducerBeam":
        """Go on with encoder output (n, D)."""
        state = self
        if not self.hypotheses and len(frames):
            self.decoder.set_device(frames.device)
            empty = Prefix()
            said, memory = self._predict(empty, self.decoder.init_state(1))
            begin = TransducerHypothesis(empty, 0.0, None, said, memory)
            state = replace(self, hypotheses=(begin,))
        for frame in frames:
            state = replace(
                state, hypotheses=state._follow(frame), frames=state.frames + 1
            )
        return state

    def beginning_at(self, frame: int) -> "TransducerBeam":
        """Return what is known before a frame, of nothing."""
        return replace(self, hypotheses=(), frames=frame, first=frame)

    def forgetting(self, first: int) -> "TransducerBeam":
        """Return this without its first tokens."""
        return replace(self, hypotheses=without_beginning(self.hypotheses, first))

    def _follow(self, frame: torch.Tensor) -> tuple[TransducerHypothesis, ...]:
        """Return the best labellings after one more frame."""
        said = torch.stack([one.said for one in self.hypotheses])
        joint = self.joint_network(frame.expand(len(said), -1), said)
        log_probs = torch.log_softmax(joint.float(), dim=-1)
        width = min(self.beam + 1, log_probs.shape[1])
        best, tokens = log_probs.topk(width, dim=1)
        # By labelling: its score; the most probable single way to it, what it comes
        # from, and its emission.
        scores: dict[Prefix, float] = {}
        ways: dict[Prefix, tuple[float, TransducerHypothesis, Emission | None]] = {}

        def reach(
            prefix: Prefix,
            score: float,
            source: TransducerHypothesis,
            emission: Emission | None,
        ) -> None:
            scores[prefix] = add(scores.get(prefix, -math.inf), score)
            if prefix not in ways or score > ways[prefix][0]:
                ways[prefix] = (score, source, emission)

        for n, one in enumerate(self.hypotheses):
            stay = float(log_probs[n, self.blank])
            reach(one.prefix, one.score + stay, one, one.emission)
            pairs = zip(tokens[n].tolist(), best[n].tolist(), strict=True)
            for token, value in pairs:
                if token == self.blank:
                    continue
                emission = Emission(self.frames, math.exp(value), one.emission)
                reach(one.prefix.plus(token), one.score + value, one, emission)
        known = {one.prefix: one for one in self.hypotheses}
        kept = sorted(scores, key=lambda prefix: -scores[prefix])[: self.beam]
        made = []
        for prefix in kept:
            _, source, way = ways[prefix]
            if prefix in known:  # it has been said before
                said, memory = known[prefix].said, known[prefix].memory
            else:
                said, memory = self._predict(prefix, source.memory)
            made.append(TransducerHypothesis(prefix, scores[prefix], way, said, memory))
        return tuple(made)

    def _predict(self, prefix: Prefix, state: Any) -> tuple[torch.Tensor, Any]:
        """Return what is said after a labelling, whose last token is new; the state."""
        last = prefix.token if prefix.length else self.blank
        spoken = Spoken(score=0.0, yseq=[last], dec_state=state)
        out, after, _ = self.decoder.score(spoken, {})
        return out, after
