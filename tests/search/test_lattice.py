"""What chains of a lattice share, beside sets of all their links."""

import numpy as np

from espnet_dynlook.search.lattice import shared, steps_from

SEED = 20261201


def links_of(link, before):
    found = [link]
    while link:
        link = before[link]
        found.append(link)
    return found[::-1]


def test_the_last_shared_link_is_that_of_all_sets_of_links():
    rng = np.random.default_rng(SEED)
    deep = 0
    for _ in range(500):
        size = int(rng.integers(1, 60))
        # Each link comes from one of the few before it, so that chains are long.
        nearest = int(rng.integers(1, 9))
        before = np.array(
            [-1, *(int(rng.integers(max(0, n - nearest), n)) for n in range(1, size))]
        )
        chains = rng.integers(size - min(size, 9), size, int(rng.integers(1, 9)))
        sets = [set(links_of(int(link), before)) for link in chains]
        expected = max(set.intersection(*sets))
        assert shared(chains, before) == expected
        steps = steps_from(expected, 0, before).tolist()
        assert [0, *steps] == links_of(expected, before)
        deep += expected > 0
    assert deep > 200
