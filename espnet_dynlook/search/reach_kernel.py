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
        The beginnings that are within the margin in any frame (K,), in no order; their
        distances without each frame and with it (T, K, 2), -inf outside the margin.
    """
    limit = -margin
    number = len(tokens)
    new_token, new_behind = np.empty_like(token), np.empty_like(behind)
    before = np.empty_like(token)
    met = np.zeros(number, dtype=np.int64)  # the frame, from 1, that it was looked at
    active, some = np.empty(number, dtype=np.int64), np.empty(number, dtype=np.int64)
    column = np.full(number, -1, dtype=np.int64)
    columns = np.empty(64, dtype=np.int64)
    near = np.full((len(lost), len(columns), 2), np.float32(-np.inf))
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
            for child in range(children[node + 1, 0], children[node + 1, 1]):
                if met[child] != frame + 1 and row[tokens[child]] >= limit:
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
                if column[node] < 0:
                    if used == len(columns):
                        columns = np.concatenate((columns, np.empty_like(columns)))
                        wider = np.full((len(lost), 2 * used, 2), np.float32(-np.inf))
                        wider[:, :used] = near
                        near = wider
                    column[node], columns[used] = used, node
                    used += 1
                near[frame, column[node], 0] = before[node]
                near[frame, column[node], 1] = now
                active[there] = node
                there += 1
            else:
                token[node] = behind[node] = np.float32(-np.inf)
    return columns[:used], near[:, :used]
