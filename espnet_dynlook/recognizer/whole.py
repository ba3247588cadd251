"""Utterances that are decoded as a whole, by techniques that read all of them."""

import math
from collections.abc import Iterator, Sequence

import torch

from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.streaming.names import Names
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.streaming.words import Word


def pieces(
    samples: Sequence[torch.Tensor], size: int
) -> Iterator[tuple[list[torch.Tensor], bool]]:
    """Cut utterances into pieces of so many samples; also give out if they are last."""
    longest = max(map(len, samples))
    starts = range(0, max(longest - 1, 0), size) or range(1)
    for at in starts:
        last = at == starts[-1]
        yield [one[at:] if last else one[at : at + size] for one in samples], last


def decode_whole(
    pipeline: Pipeline,
    decoder: BiasedDecoder,
    samples: Sequence[torch.Tensor],
    size: int,
    names: Sequence[Names],
) -> list[tuple[Hypothesis, torch.Tensor, torch.Tensor]]:
    """Decode utterances together, each with its list.

    Args:
        pipeline: Gives out posteriors, of phones too.
        decoder: What searches them.
        samples: Of each utterance (N,).
        size: Samples that are computed at a time.
        names: Of each utterance.

    Returns:
        Of each utterance its best hypothesis, the log-probabilities (T, V), and how
        many encoder frames each frame had to wait for (T,).
    """
    state = pipeline.begin(len(samples), names=names)
    found = []
    for packets, last in pieces(samples, size):
        state, encoded = pipeline.encode(state, packets, [last] * len(packets))
        found.append(encoded)
    decoded = []
    for n, own in enumerate(names):
        frames = torch.cat([one.frames[n] for one in found])
        phones = torch.cat([one.phones[n] for one in found])
        waited = torch.cat([one.waited[n] for one in found])
        best = decoder(frames, own.catalog, phones, 1)[0]
        decoded.append((best, frames, waited))
    return decoded


def words_of(
    hypothesis: Hypothesis, log_probs: torch.Tensor, period: float
) -> tuple[Word, ...]:
    """Return the words of a hypothesis with their times.

    Args:
        hypothesis: The frames of its words are those of its tokens.
        log_probs: That it was found in (T, V).
        period: Of a frame, in seconds.
    """
    pairs = list(zip(hypothesis.frames, hypothesis.tokens, strict=True))
    words = []
    for word in hypothesis.words:
        own = [
            float(log_probs[frame, token])
            for frame, token in pairs
            if word.start <= frame < word.end
        ]
        mean = sum(own) / max(len(own), 1)
        words.append(
            Word(word.text, word.start * period, word.end * period, math.exp(mean))
        )
    return tuple(words)
