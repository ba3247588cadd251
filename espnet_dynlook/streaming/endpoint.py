"""Endpoints: where a stream's speech is cut into utterances.

The rules that online recognisers have (Kaldi's ``OnlineEndpointConfig``), decided frame
by frame, so that they do not depend on packets. Only the search begins anew: the
encoder goes on, and no audio is lost.
"""

from dataclasses import dataclass

import torch

from espnet_dynlook.search.incremental import Search


@dataclass(frozen=True)
class Endpoint:
    """When an utterance of a stream is over; None switches a rule off.

    Silence are frames behind the last one that says something: blanks, of CTC.

    Attributes:
        silence_ms: After so much silence behind words.
        empty_ms: After so much silence without any words.
        longest_ms: When it is so long, even within a word.

    Raises:
        ValueError: a time is not above 0, or all rules are off.
    """

    silence_ms: float | None = 800.0
    empty_ms: float | None = None
    longest_ms: float | None = None

    def __post_init__(self) -> None:
        times = {
            "silence_ms": self.silence_ms,
            "empty_ms": self.empty_ms,
            "longest_ms": self.longest_ms,
        }
        for name, value in times.items():
            if value is not None and not value > 0:
                raise ValueError(
                    f"{name}={value} must be above 0, or None: no such end"
                )
        if all(value is None for value in times.values()):
            raise ValueError(
                f"{', '.join(times)} are all None, and nothing would end an utterance: "
                "give one, or no endpoint"
            )

    def rules(self, frame_ms: float) -> "Rules":
        """Return the rules in frames of so many ms."""

        def frames(ms: float | None) -> int | None:
            return None if ms is None else max(1, round(ms / frame_ms))

        return Rules(
            frames(self.silence_ms), frames(self.empty_ms), frames(self.longest_ms)
        )


@dataclass(frozen=True)
class Rules:
    """An ``Endpoint`` in frames of the encoder.

    Attributes:
        silence: Behind words.
        empty: Without words.
        longest: In all.
    """

    silence: int | None
    empty: int | None
    longest: int | None

    def over(self, segment: "Segment") -> bool:
        """Whether an utterance is over behind its last frame."""
        if self.longest is not None and segment.stop - segment.start >= self.longest:
            return True
        search = segment.search
        spoken = search.stable > 0 or bool(search.tokens_from(0))
        limit = self.silence if spoken else self.empty
        return limit is not None and search.silence >= limit


@dataclass(frozen=True)
class Segment:
    """An utterance of a stream.

    Attributes:
        search: What is known of it.
        start: Its first frame.
        stop: The frame after its last one, so far.
    """

    search: Search
    start: int = 0
    stop: int = 0

    def step(self, frames: torch.Tensor) -> "Segment":
        """Go on with frames (n, ...)."""
        stop = self.stop + len(frames)
        return Segment(self.search.step(frames), self.start, stop)

    def next(self) -> "Segment":
        """Return the segment that begins behind this one."""
        return Segment(self.search.beginning_at(self.stop), self.stop, self.stop)


def follow(
    segment: Segment, frames: torch.Tensor, rules: Rules | None
) -> tuple[Segment, tuple[Segment, ...]]:
    """Go on with frames, through the ends of utterances.

    Args:
        segment: That the stream is in.
        frames: (n, ...).
        rules: None: it never ends.

    Returns:
        The segment that the stream is in now; those that ended.
    """
    if rules is None:
        return segment.step(frames), ()
    ended = []
    for frame in frames:
        segment = segment.step(frame[None])
        if rules.over(segment):
            ended.append(segment)
            segment = segment.next()
    return segment, tuple(ended)
