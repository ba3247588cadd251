"""What of a frame the CTC beam search keeps: tokens, and hypotheses."""

from espnet_dynlook.search.compiled import bare
from espnet_dynlook.search.ctc_beam_arrays import NEVER

#: A part of so many places is put in order one by one.
FEW = 12


@bare
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
    top = NEVER
    for value in row:
        top = max(top, value)
    count = 0
    for token in range(len(row)):  # the best, in order; ties by number
        value = row[token]
        if token == settings.blank or value == NEVER:
            continue
        if value < least and value < top:
            continue
        # The rarer ones are only for entries, and of those only the best few count.
        most = limit if value >= rarest or value == top else min(limit, few)
        if count >= most and value <= row[tokens[most - 1]]:
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


@bare
def select(number, lifted, bounds, settings, scratch):
    """Choose hypotheses: the best ones, and those that open entries make the best.

    Args:
        number: Of candidates.
        lifted: Whether their ranks differ from their totals.
        bounds: At least as many as the beam holds have so much, by totals and by ranks.
        settings: Of the search.
        scratch: Has ``totals`` and ``ranks``; its ``chosen`` is filled.

    Returns:
        How many are chosen.
    """
    totals, taken, chosen = scratch.totals, scratch.taken, scratch.chosen
    reserve = reserve_of(lifted, settings)
    least = NEVER
    for at in range(number):
        least = max(least, totals[at])
        taken[at] = False
    least -= settings.pruning[2]
    places = settings.beam - reserve
    count = best_of(totals, number, max(least, bounds[0]), places, scratch)
    for n in range(count):
        chosen[n] = scratch.places[n]
        taken[chosen[n]] = True
    if reserve:
        places = settings.beam - count
        found = best_of(scratch.ranks, number, max(least, bounds[1]), places, scratch)
        for n in range(found):
            chosen[count + n] = scratch.places[n]
        count += found
    return count


@bare
def selected_already(held, lifted, settings, scratch):
    """Tell whether ``select`` would choose all, in the order that they are in."""
    scores, ranks = scratch.totals, scratch.ranks
    least = scores[0] - settings.pruning[2]
    places = min(settings.beam - reserve_of(lifted, settings), held)
    first = 0  # so many are chosen by their scores
    while first < places and scores[first] >= least:
        if first and scores[first] > scores[first - 1]:
            return False
        first += 1
    for h in range(first, held):
        if ranks[h] < least or (h > first and ranks[h] > ranks[h - 1]):
            return False
        if scores[h] >= least and (first < places or scores[h] > scores[first - 1]):
            return False
    return True


@bare
def reserve_of(lifted, settings):
    """Return how many places of the beam are for what open entries make the best.

    The others keep what is spoken, however large a weight is.
    """
    return (settings.beam + 3) // 4 if lifted and settings.beam > 1 else 0


@bare
def best_of(values, length, least, number, scratch):
    """Find where at most so many values are that are large enough, the largest first.

    Of equal ones the first come first. With a sort of its own: a library's takes numba
    seconds to compile, and puts in order what is not wanted.

    Args:
        values: Of candidates.
        length: How many candidates there are.
        least: Smaller ones are not wanted.
        number: How many are.
        scratch: What is ``taken`` is left out; its ``places`` are filled.

    Returns:
        How many there are.
    """
    places, taken = scratch.places, scratch.taken
    count = 0
    ordered = True
    for n in range(length):
        if not taken[n] and values[n] >= least:
            places[count] = n
            ordered &= count == 0 or not before(values, n, places[count - 1])
            count += 1
    number = min(number, count)
    if not ordered:  # after frames of silence it mostly is
        put_in_order(values, places, count, number, scratch.ends)
    return number


@bare
def put_in_order(values, places, count, number, ends):
    """Put so many places in order, at least the first of them: a quicksort.

    Without a call of itself: loaded from disk, numba's code crashed in one.
    """
    first = 0  # those before it are done
    ends[0], parts = count, 1  # of the parts behind it, the next last
    while parts and first < number:
        end = ends[parts - 1]
        if end - first > FEW:
            ends[parts] = split(values, places, first, end)
            parts += 1
            continue
        for at in range(first + 1, end):
            moved, to = places[at], at
            while to > first and before(values, moved, places[to - 1]):
                places[to] = places[to - 1]
                to -= 1
            places[to] = moved
        first = end
        parts -= 1


@bare
def split(values, places, first, beyond):
    """Move what comes first before the rest (Hoare); return where the rest begins."""
    middle = places[first + (beyond - first - 1) // 2]
    left, right = first, beyond - 1
    while True:
        while before(values, middle, places[right]):
            right -= 1
        while before(values, places[left], middle):
            left += 1
        if left >= right:
            return right + 1
        places[left], places[right] = places[right], places[left]
        left += 1
        right -= 1


@bare
def before(values, one, other):
    """Tell whether one place comes before another."""
    if values[one] == values[other]:
        return one < other
    return values[one] > values[other]
