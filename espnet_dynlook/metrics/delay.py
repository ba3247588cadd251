"""Token delay: how long after the end of its word a token is there.

Latency says how long a frame waits. A model can look prompt by it and still be late: by
waiting only in frames that emit something, or by emitting long after the sound. Both
show here.
"""

from collections.abc import Sequence

import jiwer

#: What words look like in tokens, by ESPnet's ``token_type``.
TOKEN_TYPES = ("char", "bpe", "word")
SPACE = "<space>"
BPE_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def words_of_tokens(tokens: Sequence[str], token_type: str) -> list[list[int]]:
    """Group the tokens of a transcript into words.

    Args:
        tokens: Of one utterance; spaces between characters are tokens of no word.
        token_type: char, bpe or word.

    Returns:
        Positions of its tokens, for each word.

    Raises:
        ValueError: words cannot be told from tokens of this type.
    """
    if token_type not in TOKEN_TYPES:
        raise ValueError(
            f"token_type={token_type!r}: words are told from tokens only of "
            f"{', '.join(TOKEN_TYPES)}"
        )
    words: list[list[int]] = []
    begins = True
    for position, token in enumerate(tokens):
        if token_type == "char" and token == SPACE:
            begins = True
            continue
        if token_type == "word" or (
            token_type == "bpe" and token.startswith(BPE_SPACE)
        ):
            begins = True
        if begins:
            words.append([])
        begins = False
        words[-1].append(position)
    return words


def matching_tokens(
    reference: Sequence[str], hypothesis: Sequence[str]
) -> list[tuple[int, int]]:
    """Pair the tokens that were recognised, by the least number of errors.

    Returns:
        Positions (in the reference, in the hypothesis), both growing.
    """
    if not reference or not hypothesis:
        return []
    found = jiwer.process_words(
        " ".join(reference),
        " ".join(hypothesis),
        reference_transform=_SPLIT,
        hypothesis_transform=_SPLIT,
    )
    pairs = []
    for chunk in found.alignments[0]:
        if chunk.type == "equal":
            size = chunk.ref_end_idx - chunk.ref_start_idx
            pairs += [
                (chunk.ref_start_idx + k, chunk.hyp_start_idx + k) for k in range(size)
            ]
    return pairs


_SPLIT = jiwer.Compose([jiwer.ReduceToListOfListOfWords(word_delimiter=" ")])


def token_delays(
    reference: Sequence[str],
    word_ends: Sequence[float],
    hypothesis: Sequence[str],
    emitted: Sequence[float],
    token_type: str,
) -> list[float]:
    """Return the delay of every token that was recognised, but for spaces.

    Args:
        reference: Tokens of the transcript.
        word_ends: When each of its words ends in the audio, in ms.
        hypothesis: Tokens recognised.
        emitted: When each of them was there, in ms: the end of the frame that emits
            it, and what that frame waits.
        token_type: char, bpe or word.

    Raises:
        ValueError: there is not one end for each word, or the type has no words.
    """
    words = words_of_tokens(reference, token_type)
    if len(words) != len(word_ends):
        raise ValueError(
            f"{len(word_ends)} word ends for {len(words)} words: the alignment is of "
            "another transcript"
        )
    end_of = {p: word_ends[n] for n, word in enumerate(words) for p in word}
    return [
        emitted[there] - end_of[here]
        for here, there in matching_tokens(reference, hypothesis)
        if here in end_of
    ]
