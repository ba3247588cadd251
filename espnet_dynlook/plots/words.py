"""Where the words of an utterance are: from a file, or from a model's CTC."""

from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_dynlook.metrics.ctm import read_ctm
from espnet_dynlook.metrics.delay import BPE_SPACE, SPACE, words_of_tokens
from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.utterance import Word
from espnet_dynlook.search.alignment import align
from espnet_dynlook.search.greedy import best_path


def read_words(path: Path | str, utt: str | None) -> tuple[Word, ...]:
    """Read the words of one utterance of a CTM file.

    Args:
        path: The file.
        utt: The utterance; None: the only one in the file.

    Raises:
        PlotError: the file or a line of it cannot be read, or the utterance is missing.
    """
    try:
        found = read_ctm(path)
    except (OSError, ValueError) as error:
        raise PlotError(f"--words {error}") from error
    if utt is None and len(found) == 1:
        utt = next(iter(found))
    if utt is None or utt not in found:
        some = ", ".join(list(found)[:3])
        raise PlotError(
            f"--words {path} has the words of {len(found)} utterances ({some}), not of "
            f"{utt}: name one of them with --utt"
        )
    return tuple(Word(w.start / 1000, w.end / 1000, w.word) for w in found[utt])


def token_type_of(token_list: Sequence[str]) -> str:
    """Tell characters, subwords and words apart, as ESPnet's ``token_type``."""
    if any(token.startswith(BPE_SPACE) for token in token_list):
        return "bpe"
    return "char" if SPACE in token_list else "word"


def join_tokens(
    token_list: Sequence[str],
    token_ids: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
    frame_seconds: float,
) -> tuple[Word, ...]:
    """Join tokens and their frames into words.

    Args:
        token_list: Of the model: characters (``<space>`` between words), subwords (a
            word begins with U+2581) or words.
        token_ids: The tokens.
        starts: First frame of each.
        ends: Frame after the last of each.
        frame_seconds: Period of a frame.
    """
    tokens = [token_list[i] for i in token_ids]
    words = []
    for part in words_of_tokens(tokens, token_type_of(token_list)):
        text = "".join(tokens[i] for i in part).replace(BPE_SPACE, "")
        if text:
            start, end = starts[part[0]], ends[part[-1]]
            words.append(Word(start * frame_seconds, end * frame_seconds, text))
    return tuple(words)


def recognised(
    log_probs: torch.Tensor,
    blank: int,
    token_list: Sequence[str],
    frame_seconds: float,
) -> tuple[Word, ...]:
    """Return what CTC recognises, at the frames where it does.

    Args:
        log_probs: (T, V).
        blank: Index of the blank.
        token_list: Of the model.
        frame_seconds: Period of a frame.
    """
    path = best_path(log_probs, blank)
    ends = [frame + 1 for frame in path.frames]
    return join_tokens(token_list, path.tokens, path.frames, ends, frame_seconds)


def aligned(
    log_probs: torch.Tensor,
    token_ids: Sequence[int],
    blank: int,
    token_list: Sequence[str],
    frame_seconds: float,
) -> tuple[Word, ...]:
    """Return where CTC puts the words of a transcript (its best path through them).

    Args:
        log_probs: (T, V).
        token_ids: The transcript.
        blank: Index of the blank.
        token_list: Of the model.
        frame_seconds: Period of a frame.

    Raises:
        PlotError: the transcript has more tokens than the audio can hold.
    """
    try:
        spans = align(log_probs, list(token_ids), blank)
    except ValueError as error:
        raise PlotError(f"--text: {error}: is it of this audio?") from error
    starts, ends = [span.start for span in spans], [span.end for span in spans]
    return join_tokens(token_list, token_ids, starts, ends, frame_seconds)
