"""The compiled part of ``search.reach``."""

import numpy as np

from espnet_dynlook.search.compiled import compiled


@compiled
def follow(lost, tokens, parents, children, blank, margin, token, behind, seen):
    """Follow the beginnings of names that are within a margin of the best path.

    A path gets no nearer by going on, so that what is outside the margin is forgotten:
    the work is that of the beginnings that are inside, not of the list.

    Args:
        lost: How far each label is below the best one (T, V), float32.
        tokens: The last token of each beginning (M,).
        parents: The beginning one token shorter (M,); -1: none.
        children: Where the beginnings one token longer start, of the root and then of
            each beginning (M + 2,); they end where the next ones start.
        blank: Number of the blank.
        margin: In nats, float32.
        token: Distance of paths that end with the last token (M,); changed.
        behind: Of those that end with a blank after it (M,); changed.
        seen: Receives which beginnings are within the margin in any frame (M,).

    Returns:
        How many visits there are until the end of each frame (T,), a visit being a
        beginning that is within the margin in it; their beginnings (E,), and these
        beginnings' distances without the frame and with it (E, 2).
    """
    # Which of many beginnings are near cannot be foretold: what is looked at is written
    # down always, and counted where it is kept. Numbers of rows have no sign, for which
    # numba would look. The root is row 0, behind its blank.
    limit, nowhere = -margin, np.float32(-np.inf)
    number = len(tokens) + 1
    ended = np.full(number, nowhere, dtype=np.float32)
    rested = np.full(number, nowhere, dtype=np.float32)
    ended[1:], rested[1:], rested[0] = token, behind, 0.0
    begin = (children + 1).astype(np.uint32)
    one = np.uint32(1)
    said = np.zeros(number, dtype=np.uint32)
    above = np.zeros(number, dtype=np.uint32)
    # A blank stands between two tokens that are alike.
    apart = np.zeros(number, dtype=np.float32)
    active = np.empty(number, dtype=np.uint32)
    there = 0
    for node in range(1, number):
        said[node], above[node] = tokens[node - 1], parents[node - 1] + 1
        if above[node] and said[above[node]] == said[node]:
            apart[node] = nowhere
        active[there] = node
        there += max(ended[node], rested[node]) >= limit
    some = np.empty(number, dtype=np.uint32)
    without = np.empty(number, dtype=np.float32)
    new_ended, new_rested = np.empty_like(without), np.empty_like(without)
    ends = np.empty(len(lost), dtype=np.int64)
    # Memory that is not written to costs nothing; what is moved does.
    visits = np.empty(min(len(lost) * number, 1 << 20), dtype=np.int32)
    near = np.empty((len(visits), 2), dtype=np.float32)
    used = 0
    for frame in range(len(lost)):
        row = lost[frame]
        some[:there] = active[:there]
        found = there
        active[there] = 0
        for place in range(there + 1):
            node = active[place]
            came = max(ended[node], rested[node])
            for child in range(begin[node], begin[node + one]):
                some[found] = child
                new = max(ended[child], rested[child]) < limit
                found += new & (came + row[said[child]] >= limit)
        for place in range(found):
            node = some[place]
            parent = above[node]
            last, paused = ended[node], rested[node]
            came = max(last, max(rested[parent], ended[parent] + apart[node]))
            without[place] = max(paused, came)
            new_ended[place] = row[said[node]] + came
            new_rested[place] = row[blank] + max(last, paused)
        if used + found > len(visits):
            room = max(2 * len(visits), used + found) - used
            visits = np.concatenate((visits[:used], np.empty(room, dtype=np.int32)))
            more = np.empty((room, 2), dtype=np.float32)
            near = np.concatenate((near[:used], more))
        there = 0
        for place in range(found):
            node = some[place]
            now = max(new_ended[place], new_rested[place])
            inside = now >= limit
            ended[node] = new_ended[place] if inside else nowhere
            rested[node] = new_rested[place] if inside else nowhere
            visits[used] = node - 1
            near[used, 0], near[used, 1] = without[place], now
            active[there] = node
            seen[node - 1] |= inside
            used += inside
            there += inside
        ends[frame] = used
    token[:], behind[:] = ended[1:], rested[1:]
    return ends, visits[:used], near[:used]


@compiled
def enter(ends, visits, near, columns, barred, distances):
    """Write the visits of an utterance.

    Args:
        ends: As ``follow`` returns them, as the next two.
        visits: The beginnings.
        near: Their distances.
        columns: The column of each beginning (M,).
        barred: Receives 0 where something is near (T, K).
        distances: Receives how near (2, T, K).
    """
    at = 0
    for frame in range(len(ends)):
        while at < ends[frame]:
            column = columns[visits[at]]
            barred[frame, column] = 0.0
            distances[0, frame, column] = near[at, 0]
            distances[1, frame, column] = near[at, 1]
            at += 1
