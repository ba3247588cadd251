# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Greedy transducer decoding that knows when it emitted what, and goes on."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.greedy import BestPath
from espnet_dynlook.search.incremental import (
    Chain,
    Token,
    chained,
    tokens_of,
    without_first,
)

with espnet_imports():
    from espnet2.asr.transducer.beam_search_transducer import Hypothesis


@dataclass(frozen=True)
class GreedyTransducer:
    """The best label of every frame, at most one a frame.

    ESPnet's greedy search (``BeamSearchTransducer`` with ``beam_size=1``), which says
    nothing of frames.

    Attributes:
        decoder: ESPnet's prediction network.
        joint_network: ESPnet's joint network.
        blank: Index of the blank.
        chain: Tokens so far.
        score: Log-probability of the tokens.
        frames: Number of the next frame.
        first: Of the first one.
        said: What the prediction network says after the last token; None before the
            first frame.
        memory: Its state there.
    """

    decoder: Any
    joint_network: Any
    blank: int = 0
    chain: Chain | None = None
    score: float = 0.0
    frames: int = 0
    first: int = 0
    said: torch.Tensor | None = None
    memory: Any = None

    @property
    def tokens(self) -> list[Token]:
        """All tokens."""
        return tokens_of(self.chain)

    def tokens_from(self, first: int) -> list[Token]:
        """Return the tokens but for the first so many."""
        return tokens_of(self.chain, first)

    @property
    def stable(self) -> int:
        """All tokens: a greedy search never takes anything back."""
        return 0 if self.chain is None else self.chain.length

    @property
    def silence(self) -> int:
        """Frames behind the last one with a label."""
        last = self.tokens_from(max(self.stable - 1, 0))
        return self.frames - (last[-1].frame + 1 if last else self.first)

    def step(self, frames: torch.Tensor) -> "GreedyTransducer":
        """Go on with encoder output (n, D)."""
        chain, score = self.chain, self.score
        said, memory = self.said, self.memory
        if said is None:
            self.decoder.set_device(frames.device)
            said, memory = self._predict(self.blank, self.decoder.init_state(1))
        for number, frame in enumerate(frames, self.frames):
            log_probs = torch.log_softmax(self.joint_network(frame, said), dim=-1)
            value, token = log_probs.max(dim=-1)
            if int(token) == self.blank:
                continue
            own = Token(int(token), number, math.exp(float(value)))
            chain = chained(chain, own)
            score += float(value)
            said, memory = self._predict(int(token), memory)
        return GreedyTransducer(
            self.decoder,
            self.joint_network,
            self.blank,
            chain,
            score,
            self.frames + len(frames),
            self.first,
            said,
            memory,
        )

    def beginning_at(self, frame: int) -> "GreedyTransducer":
        """Return what is known before a frame, of nothing."""
        return GreedyTransducer(
            self.decoder, self.joint_network, self.blank, frames=frame, first=frame
        )

    def forgetting(self, first: int) -> "GreedyTransducer":
        """Return this without its first tokens."""
        return replace(self, chain=without_first(self.chain, first))

    def _predict(self, token: int, state: Any) -> tuple[torch.Tensor, Any]:
        """Return what is said after a token, and the state of that."""
        hypothesis = Hypothesis(score=0.0, yseq=[token], dec_state=state)
        out, after, _ = self.decoder.score(hypothesis, {})
        return out, after


def greedy_transducer(
    enc: torch.Tensor, decoder: Any, joint_network: Any, blank: int = 0
) -> BestPath:
    """Search a whole utterance; see ``GreedyTransducer``.

    Args:
        enc: Encoder output (T, D) of one utterance.
        decoder: ESPnet's prediction network.
        joint_network: ESPnet's joint network.
        blank: Index of the blank.

    Returns:
        Tokens, the frame that emitted each, and the score of the tokens.
    """
    found = GreedyTransducer(decoder, joint_network, blank).step(enc)
    tokens = [one.token for one in found.tokens]
    return BestPath(tokens, [one.frame for one in found.tokens], found.score)
