"""The compiled part of ``search.reach``."""

import numpy as np

from espnet_dynlook.search.compiled import compiled


@compiled
def follow(lost, tokens, parents, children, blank, margin, token, behind):
    """Follow the beginnings of names that are within a margin of the best path.

    A path gets no nearer by going on, so that what is outside the margin is forgotten:
    the work is that of the beginnings that are inside, not of the list.

    Args:
        lost: How far each label is below the best one (T, V), float32.
        tokens: The last token of each beginning (M,).
        parents: The beginning one token shorter (M,); -1: none.
        children: First beginning one token longer, and that after the last one, of the
            root and then of each beginning (M + 1, 2).
        blank: Number of the blank.
        margin: In nats, float32.
        token: Distance of paths that end with the last token (M,); changed.
        behind: Of those that end with a blank after it (M,); changed.

    Returns:
        How many visits there are until the end of each frame (T,), a visit being a
        beginning that is within the margin in it; their beginnings (E,), and these
        beginnings' distances without the frame and with it (E, 2).
    """
    limit = -margin
    number = len(tokens)
    new_token, new_behind = np.empty_like(token), np.empty_like(behind)
    before = np.empty_like(token)
    met = np.zeros(number, dtype=np.int64)  # the frame, from 1, that it was looked at
    active, some = np.empty(number, dtype=np.int64), np.empty(number, dtype=np.int64)
    ends = np.empty(len(lost), dtype=np.int64)
    visits = np.empty(1024, dtype=np.int64)
    near = np.empty((len(visits), 2), dtype=np.float32)
    used = 0
    there = 0
    for node in range(number):
        if max(token[node], behind[node]) >= limit:
            active[there] = node
            there += 1
    for frame in range(len(lost)):
        row = lost[frame]
        found = 0
        for place in range(-1, there):
            node = active[place] if place >= 0 else -1
            if node >= 0 and met[node] != frame + 1:
                met[node] = frame + 1
                some[found] = node
                found += 1
            came = max(token[node], behind[node]) if node >= 0 else np.float32(0.0)
            for child in range(children[node + 1, 0], children[node + 1, 1]):
                if met[child] != frame + 1 and came + row[tokens[child]] >= limit:
                    met[child] = frame + 1
                    some[found] = child
                    found += 1
        for place in range(found):
            node = some[place]
            parent = parents[node]
            came = np.float32(0.0)
            if parent >= 0:
                came = behind[parent]
                if tokens[parent] != tokens[node]:  # a blank stands between two alike
                    came = max(came, token[parent])
            came = max(token[node], came)
            before[node] = max(behind[node], came)
            new_token[node] = row[tokens[node]] + came
            new_behind[node] = row[blank] + max(token[node], behind[node])
        there = 0
        for place in range(found):
            node = some[place]
            token[node], behind[node] = new_token[node], new_behind[node]
            now = max(token[node], behind[node])
            if now >= limit:
                if used == len(visits):
                    visits = np.concatenate((visits, np.empty_like(visits)))
                    near = np.concatenate((near, np.empty_like(near)))
                visits[used], near[used, 0], near[used, 1] = node, before[node], now
                used += 1
                active[there] = node
                there += 1
            else:
                token[node] = behind[node] = np.float32(-np.inf)
        ends[frame] = used
    return ends, visits[:used], near[:used]


@compiled
def enter(ends, visits, near, columns, opened, distances):
    """Write the visits of an utterance into arrays of zeros.

    Args:
        ends: As ``follow`` returns them, as the next two.
        visits: The beginnings.
        near: Their distances.
        columns: The column of each beginning (M,).
        opened: Receives which are near (T, K).
        distances: Receives how near (2, T, K).
    """
    at = 0
    for frame in range(len(ends)):
        while at < ends[frame]:
            column = columns[visits[at]]
            opened[frame, column] = True
            distances[0, frame, column] = near[at, 0]
            distances[1, frame, column] = near[at, 1]
            at += 1
