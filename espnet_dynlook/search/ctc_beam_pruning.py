"""What of a frame the CTC beam search keeps: tokens, and hypotheses."""

import numpy as np

from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.ctc_beam_arrays import NEVER

BUCKETS = 128  # for some hundreds of values


@compiled
def choose_tokens(row, settings, named, frame):
    """Choose the tokens of a frame, and what entries get for them.

    The best label of a frame always stays; of what is rarer than the pruning allows,
    the best few may still follow within an entry.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        named: Whether there is a catalog.
        frame: Its ``tokens`` and ``boosts`` are filled.

    Returns:
        How many tokens; how many of them may follow any hypothesis.
    """
    tokens, boosts = frame.tokens, frame.boosts
    boosting = settings.boosting
    slope, cap, floor = boosting[0], boosting[1], boosting[3]
    rarest, sure_blank = settings.pruning[0], settings.pruning[1]
    few = int(boosting[2]) if named else 0
    limit = min(max(settings.candidates, few), len(row))
    least = min(rarest, floor) if named else rarest
    top = np.max(row)
    count = 0
    for token in range(len(row)):  # the best, in order; ties by number
        value = row[token]
        if token == settings.blank or value == NEVER:
            continue
        if value < least and value < top:
            continue
        if count == limit and value <= row[tokens[count - 1]]:
            continue
        at = min(count, limit - 1)
        while at > 0 and row[tokens[at - 1]] < value:
            tokens[at] = tokens[at - 1]
            at -= 1
        tokens[at] = token
        count = min(count + 1, limit)
    common = 0
    if row[settings.blank] < sure_blank:
        while common < min(count, settings.candidates) and (
            row[tokens[common]] >= rarest or row[tokens[common]] == top
        ):
            common += 1
    needed = 0
    while needed < min(count, few) and row[tokens[needed]] >= floor:
        needed += 1
    for at in range(max(common, needed)):
        boosts[at] = -1.0
        if at < needed and top >= boosting[4]:
            boosts[at] = min(slope * (top - row[tokens[at]]), cap)
    return max(common, needed), common


@compiled
def select(scores, ranks, beam, reserve, threshold):
    """Choose hypotheses: the best ones, and those that open entries make the best.

    The reserve keeps what is spoken, however large a weight is: only so many places of
    the beam can be taken by entries that are not complete.
    """
    least = np.max(scores) - threshold
    taken = np.zeros(len(scores), dtype=np.bool_)
    chosen = np.empty(min(beam, len(scores)), dtype=np.int64)
    count = 0
    for at in best_of(scores, least, taken, beam - reserve):
        chosen[count] = at
        taken[at] = True
        count += 1
    if reserve:
        for at in best_of(ranks, least, taken, len(chosen) - count):
            chosen[count] = at
            count += 1
    return chosen[:count]


@compiled
def best_of(values, least, taken, number):
    """Return where at most so many values are that are large enough, the largest first.

    Of equal ones the first come first. They are put in buckets by size, and the first
    buckets in order: a library's sorting takes numba seconds to compile.
    """
    places = np.empty(len(values), dtype=np.int64)
    count = 0
    ordered = True
    top, bottom = -np.inf, np.inf
    for n in range(len(values)):
        value = values[n]
        if taken[n] or value < least:
            continue
        if count and value > values[places[count - 1]]:
            ordered = False
        top = max(top, value)
        if value > NEVER:
            bottom = min(bottom, value)
        places[count] = n
        count += 1
    number = min(number, count)
    if ordered:  # as frames of silence leave them
        return places[:number]
    scale = (BUCKETS - 1) / (top - bottom) if top > bottom else 0.0
    begins = np.empty(BUCKETS + 1, dtype=np.int64)
    begins[:] = 0
    for at in range(count):
        begins[bucket(values[places[at]], top, bottom, scale) + 1] += 1
    held = 0  # of the first buckets that have enough
    for at in range(BUCKETS):
        begins[at + 1] += begins[at]
        if held < number:
            held = begins[at + 1]
    best = np.empty(held, dtype=np.int64)
    for at in range(count):
        into = bucket(values[places[at]], top, bottom, scale)
        if begins[into] < held:
            best[begins[into]] = places[at]
        begins[into] += 1
    for at in range(1, held):
        moved, to = best[at], at
        while to and values[best[to - 1]] < values[moved]:
            best[to] = best[to - 1]
            to -= 1
        best[to] = moved
    return best[:number]


@compiled
def bucket(value, top, bottom, scale):
    """Return the bucket of a value, the first one for the largest values."""
    return BUCKETS - 1 if value <= bottom else int((top - value) * scale)
