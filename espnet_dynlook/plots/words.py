"""Where the words of an utterance are: from a file, or from a model's CTC."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchaudio.functional

from espnet_dynlook.metrics.ctm import read_ctm
from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.utterance import Word
from espnet_dynlook.search.greedy import best_path

SPACE, BOUNDARY = "<space>", "▁"


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


def join_tokens(
    tokens: Sequence[str],
    starts: Sequence[int],
    ends: Sequence[int],
    token_type: str,
    frame_seconds: float,
) -> tuple[Word, ...]:
    """Join tokens and their frames into words.

    Args:
        tokens: Characters (``<space>`` between words), subwords (a word begins with
            ``▁``) or words.
        starts: First frame of each.
        ends: Last frame of each.
        token_type: ESPnet's ``char``, ``bpe`` or ``word``; any other type is taken as
            words.
        frame_seconds: Period of a frame.
    """
    parts: list[list[int]] = []  # indices of the tokens of each word
    begins = True
    for index, token in enumerate(tokens):
        if token_type == "char" and token == SPACE:
            begins = True
            continue
        if token_type not in ("char", "bpe") or token.startswith(BOUNDARY):
            begins = True
        if begins or not parts:
            parts.append([])
        parts[-1].append(index)
        begins = False
    words = []
    for part in parts:
        text = "".join(tokens[i] for i in part).replace(BOUNDARY, "")
        if text:
            start, end = starts[part[0]], ends[part[-1]] + 1
            words.append(Word(start * frame_seconds, end * frame_seconds, text))
    return tuple(words)


def recognised(
    log_probs: torch.Tensor, blank: int, args: Any, frame_seconds: float
) -> tuple[Word, ...]:
    """Return what CTC recognises, at the frames where it does.

    Args:
        log_probs: (T, V).
        blank: Index of the blank.
        args: Of the model's training: ``token_list``, ``token_type``.
        frame_seconds: Period of a frame.
    """
    path = best_path(log_probs, blank)
    tokens = [args.token_list[i] for i in path.tokens]
    return join_tokens(tokens, path.frames, path.frames, args.token_type, frame_seconds)


def aligned(
    log_probs: torch.Tensor,
    token_ids: Sequence[int],
    blank: int,
    args: Any,
    frame_seconds: float,
) -> tuple[Word, ...]:
    """Return where CTC puts the words of a transcript (its best path through them).

    Args:
        log_probs: (T, V).
        token_ids: The transcript.
        blank: Index of the blank.
        args: Of the model's training: ``token_list``, ``token_type``.
        frame_seconds: Period of a frame.

    Raises:
        PlotError: the transcript has more tokens than the audio can hold, or none.
    """
    targets = torch.as_tensor(list(token_ids), dtype=torch.int32)
    repeats = int((targets[1:] == targets[:-1]).sum())
    needed = len(targets) + repeats
    if not len(targets) or needed > len(log_probs):
        raise PlotError(
            f"the transcript has {len(targets)} tokens, for which CTC needs 1 to "
            f"{len(log_probs)} frames and these need {needed}: is it of this audio?"
        )
    labels, _ = torchaudio.functional.forced_align(
        log_probs[None].float(), targets[None], blank=blank
    )
    starts, ends, before = [], [], blank
    for frame, label in enumerate(labels[0].tolist()):
        if label == blank:
            pass
        elif label == before:
            ends[-1] = frame
        else:
            starts.append(frame)
            ends.append(frame)
        before = label
    tokens = [args.token_list[i] for i in token_ids]
    return join_tokens(tokens, starts, ends, args.token_type, frame_seconds)
