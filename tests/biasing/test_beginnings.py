"""The beginnings of names, against sets of tuples."""

import itertools
import random

import numpy as np
import pytest

from espnet_dynlook.biasing.beginnings import Beginnings


def spelled(found, node):
    """Return the tokens of a beginning."""
    ids = []
    while node >= 0:
        ids.append(int(found.tokens[node]))
        node = int(found.parents[node])
    return tuple(reversed(ids))


@pytest.mark.parametrize("seed", range(50))
def test_every_beginning_is_there_once_and_paths_spell_names(seed):
    rng = random.Random(seed)
    names = [
        [
            tuple(rng.randrange(5) for _ in range(rng.randint(1, 6)))
            for _ in range(rng.randint(1, 3))
        ]
        for _ in range(rng.randint(0, 30))
    ]
    found = Beginnings.of(names)
    expected = {
        way[:n] for name in names for way in name for n in range(1, 1 + len(way))
    }
    assert sorted(spelled(found, node) for node in range(len(found))) == sorted(
        expected
    )
    for name, paths in zip(names, found.paths, strict=True):
        for way, path in zip(name, paths, strict=True):
            assert [spelled(found, node) for node in path] == [
                way[:n] for n in range(1, 1 + len(way))
            ]
    for length, (start, end) in enumerate(itertools.pairwise(found.levels), 1):
        assert {len(spelled(found, node)) for node in range(start, end)} == {length}
    pairs = {(name, node) for name, node in found.pairs.T.tolist()}
    assert len(pairs) == found.pairs.shape[1]
    assert pairs == {
        (name, node)
        for name, paths in enumerate(found.paths)
        for path in paths
        for node in path
    }
    order = rng.sample(names, len(names))
    assert np.array_equal(Beginnings.of(order).tokens, found.tokens)
    assert np.array_equal(Beginnings.of(order).parents, found.parents)
