"""Alignment of words, with the weights of sclite and of the biasing benchmark."""

from collections.abc import Sequence

# Two errors (6 or 7 of these) lose against substitutions, yet a word in common is worth
# moving its neighbours for: names are then found where they were said.
INSERTION, DELETION, SUBSTITUTION = 3, 3, 4

#: Positions in the reference and in the hypothesis; None: a word missing on that side.
Pair = tuple[int | None, int | None]


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Align two sequences of words at the least cost.

    Insertions and deletions cost 3 and substitutions 4, as in NIST's sclite, where
    plain edit distance has 1 for all. So the errors counted here can be a few more.
    Among equal costs, from the end: a pair, then an insertion, then a deletion, as the
    benchmark's scoring does (Le et al. 2021, fbai-speech, is21_deep_bias/score.py).

    Returns:
        Pairs in order: every position of both sides in exactly one of them.
    """
    width = len(hypothesis) + 1
    costs = [INSERTION * j for j in range(width)]
    moves = [[(0, 1)] * width]  # what leads to each cell: words taken of either side
    for i, word in enumerate(reference, 1):
        row = [DELETION * i]
        came = [(1, 0)]
        for j, other in enumerate(hypothesis, 1):
            best = costs[j - 1] + (0 if word == other else SUBSTITUTION)
            move = (1, 1)
            if row[j - 1] + INSERTION < best:
                best, move = row[j - 1] + INSERTION, (0, 1)
            if costs[j] + DELETION < best:
                best, move = costs[j] + DELETION, (1, 0)
            row.append(best)
            came.append(move)
        costs = row
        moves.append(came)
    pairs: list[Pair] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        down, right = moves[i][j]
        i, j = i - down, j - right
        pairs.append((i if down else None, j if right else None))
    return pairs[::-1]
