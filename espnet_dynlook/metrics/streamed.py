"""The kinds of latency that streaming measures, and the files that have them.

A file is ``1best_recog/NAME`` of a decoding: an utterance a line, its values in ms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espnet_dynlook.metrics.summary import spread


@dataclass(frozen=True)
class Latency:
    """A kind of latency.

    Attributes:
        name: In tables.
        file: That has it.
        unit: What it is measured of: token or utterance.
        meaning: From when to when.
    """

    name: str
    file: str
    unit: str
    meaning: str


LATENCIES = (
    Latency(
        "algorithmic",
        "token_algorithmic_ms",
        "token",
        "from the end of the frame that emits it to the last sample which that frame "
        "needs",
    ),
    Latency(
        "emission",
        "token_emission_ms",
        "token",
        "from its end in the audio to that sample",
    ),
    Latency(
        "computational",
        "token_computational_ms",
        "token",
        "from the arrival of the packet with that sample until it is given out",
    ),
    Latency(
        "stable",
        "token_stable_ms",
        "token",
        "from that sample to the one after which it cannot change any more",
    ),
    Latency(
        "first partial",
        "first_partial_ms",
        "utterance",
        "from the beginning of the audio until there is text",
    ),
    Latency(
        "final",
        "final_ms",
        "utterance",
        "from the end of the audio until the text is final",
    ),
)


def report(values: Mapping[str, Sequence[float]]) -> str:
    """Return lines with mean, median and 90th percentile of each kind, in ms.

    Args:
        values: Of all tokens, or of all utterances, by the kind's name.
    """
    lines = []
    for name, own in values.items():
        mean, p50, p90 = spread(name, own).values()
        figures = f"mean {mean:.1f}, p50 {p50:.1f}, p90 {p90:.1f}" if own else "none"
        lines.append(f"  {name:<13} {figures}")
    return "\n".join(lines)
