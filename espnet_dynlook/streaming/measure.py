# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Streams an utterance and measures, token by token, how long one waits for it.

Time is that of the audio: a packet arrives when its last sample was spoken, and its
computation, whose time is really measured, begins then or when that of the packet
before is over. What the audio alone decides does not depend on packets and machine:
when the frame was heard that shows a token, and when the one after which it cannot
change.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from espnet_dynlook.search.alignment import align, frames_needed
from espnet_dynlook.search.incremental import Search, Token
from espnet_dynlook.streaming.names import Names
from espnet_dynlook.streaming.pipeline import Pipeline


@dataclass(frozen=True)
class Recorded:
    """A search that keeps the frames it was given last.

    Attributes:
        search: What it does.
        head: Turns frames of the encoder into those of the search; None: they are.
        frames: Of the last step, as the search had them (n, ...).
    """

    search: Search
    head: Callable[[torch.Tensor], torch.Tensor] | None = None
    frames: torch.Tensor | None = None

    @property
    def tokens(self) -> list[Token]:
        """Tokens of the best hypothesis."""
        return self.search.tokens

    def tokens_from(self, first: int) -> list[Token]:
        """Return its tokens but for the first so many."""
        return self.search.tokens_from(first)

    @property
    def stable(self) -> int:
        """How many of them, from the first, cannot change any more."""
        return self.search.stable

    @property
    def score(self) -> float:
        """Log-probability of the best hypothesis."""
        return self.search.score

    @property
    def silence(self) -> int:
        """Frames behind the last one that says something."""
        return self.search.silence

    def step(self, frames: torch.Tensor) -> "Recorded":
        """Go on with frames (n, ...) of the encoder."""
        if self.head is not None:
            frames = self.head(frames)
        return replace(self, search=self.search.step(frames), frames=frames)

    def beginning_at(self, frame: int) -> "Recorded":
        """Return what is known before a frame, of nothing."""
        return Recorded(self.search.beginning_at(frame), self.head)

    def forgetting(self, first: int) -> "Recorded":
        """Return this without its first tokens."""
        return replace(self, search=self.search.forgetting(first))


@dataclass(frozen=True)
class Streamed:
    """What was recognised of an utterance and when; times and latencies in ms.

    Attributes:
        tokens: Of the final hypothesis.
        score: Its log-probability.
        frames: As the search had them (T, ...).
        lookahead: What each encoder frame waited for, (T,).
        audio: Length of the audio.
        spent: On computation in all.
        heard: When in the audio the last sample was heard that the frame needs since
            which a token is shown; by token.
        algorithmic: How much later that is than the end of the frame; by token.
        computational: From the arrival of the packet with that sample until the token
            is given out; by token.
        stable: From then to the sample after which the token cannot change; the end of
            the utterance settles the rest; by token.
        first_partial: From the beginning of the audio to the first text; None: there is
            no text.
        final: From the end of the audio to the final text.
    """

    tokens: tuple[Token, ...]
    score: float
    frames: torch.Tensor
    lookahead: tuple[float, ...]
    audio: float
    spent: float
    heard: tuple[float, ...]
    algorithmic: tuple[float, ...]
    computational: tuple[float, ...]
    stable: tuple[float, ...]
    first_partial: float | None
    final: float


class Watch:
    """Follows a search frame by frame, outside of the time that is measured.

    Args:
        search: Before the first frame.

    Attributes:
        shown: Frame since which each token of the best hypothesis is in its place,
            behind the same tokens as now.
        stable: Frame since which each of the first tokens cannot change.
    """

    def __init__(self, search: Search):
        self.search = search
        self.frames = 0
        self.tokens: list[int] = []
        self.shown: list[int] = []
        self.stable: list[int] = []

    @torch.inference_mode()
    def follow(self, frames: torch.Tensor) -> None:
        """Go on with frames (n, ...)."""
        for frame in frames:
            self.search = self.search.step(frame[None])
            settled = len(self.stable)
            tail = [one.token for one in self.search.tokens_from(settled)]
            same = 0
            for now, before in zip(tail, self.tokens[settled:], strict=False):
                if now != before:
                    break
                same += 1
            self.shown[settled + same :] = [self.frames] * (len(tail) - same)
            self.tokens[settled:] = tail
            self.stable += [self.frames] * (self.search.stable - len(self.stable))
            self.frames += 1


class Meter:
    """Streams utterances through a pipeline and measures their latencies.

    Args:
        pipeline: Its search is ``Recorded``.
        period: Of an encoder frame, in ms.
        constant: What front end and subsampling add to every wait, in ms.
        text_of: The text that tokens make, as it is given out.
        clock: Seconds of real time.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        period: float,
        constant: float,
        text_of: Callable[[Sequence[Token]], str],
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.pipeline = pipeline
        self.period = period
        self.constant = constant
        self.text_of = text_of
        self.clock = clock

    def __call__(
        self, speech: torch.Tensor, size: int, unit: float, names: Names | None = None
    ) -> Streamed:
        """Stream an utterance.

        Args:
            speech: Samples (N,) or features (N, D).
            size: Samples, or frames of features, in a packet; the last one has the
                rest, and ends the utterance.
            unit: Time of one of them, in ms.
            names: Its list, with a search that is ``Recorded``; None: no names.

        Raises:
            ValueError: the pipeline takes no such speech.
        """
        names = Names(self.pipeline.search) if names is None else names
        before = names.search
        assert isinstance(before, Recorded)
        watch, state = Watch(before.search), self.pipeline.begin(1, names=[names])
        recorded, waits, given = [], [], []
        first_partial, free, spent, kept = None, 0.0, 0.0, 0
        for first in range(0, max(len(speech), 1), size):
            packet = speech[first : first + size]
            arrival = unit * (first + len(packet))
            start = self.clock()
            last = first + size >= len(speech)
            state, (waited,) = self.pipeline.step(state, [packet], [last])
            # What cannot change has been given out before.
            tail = state.searches[0].tokens_from(kept)
            kept = state.searches[0].stable
            text = self.text_of(tail).strip()
            took = 1000.0 * (self.clock() - start)
            free = max(arrival, free) + took
            spent += took
            if text and first_partial is None:
                first_partial = free
            search = state.searches[0]
            assert isinstance(search, Recorded) and search.frames is not None
            watch.follow(search.frames)
            recorded.append(search.frames)
            waits += (waited * self.period + self.constant).tolist()
            given += [free - arrival] * len(waited)
        audio = unit * len(speech)
        heard = [(n + 1) * self.period + wait for n, wait in enumerate(waits)]
        shown = [heard[frame] for frame in watch.shown]
        settled = [heard[frame] for frame in watch.stable]
        settled += [max(audio, at) for at in shown[len(settled) :]]
        return Streamed(
            tuple(state.searches[0].tokens),
            state.searches[0].score,
            torch.cat(recorded),
            tuple(waits),
            audio,
            spent,
            tuple(shown),
            tuple(waits[frame] for frame in watch.shown),
            tuple(given[frame] for frame in watch.shown),
            tuple(b - a for a, b in zip(shown, settled, strict=True)),
            first_partial,
            free - audio,
        )


def aligned_emission(
    streamed: Streamed, log_probs: torch.Tensor, period: float, blank: int = 0
) -> tuple[float, ...] | None:
    """Return how long after its end in the audio each token was heard, in ms.

    The ends are those of the most probable CTC path of the final hypothesis.

    Args:
        streamed: The utterance.
        log_probs: Log-probabilities (T, V) of the model's CTC head.
        period: Of a frame, in ms.
        blank: Index of the blank.

    Returns:
        A value for every token; None where CTC has no path for so many tokens, as a
        transducer may emit them.
    """
    numbers = [one.token for one in streamed.tokens]
    if len(log_probs) < frames_needed(numbers):
        return None
    spans = align(log_probs, numbers, blank)
    pairs = zip(streamed.heard, spans, strict=True)
    return tuple(heard - span.end * period for heard, span in pairs)
