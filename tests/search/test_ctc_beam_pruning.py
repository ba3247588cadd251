"""What of a frame the CTC beam search keeps."""

import math

import numpy as np

from espnet_dynlook.search.ctc_beam_pruning import best_of

SEED = 20261130


def test_the_best_are_those_of_a_full_sort_and_ties_stay_in_order():
    rng = np.random.default_rng(SEED)
    for _ in range(3000):
        number = rng.integers(1, rng.choice([40, 400]))
        values = rng.choice([rng.normal(size=number), rng.integers(0, 5, number)])
        values[rng.random(number) < 0.1] = -math.inf
        if rng.random() < 0.1:
            values[rng.integers(number)] = -1e6  # squeezes all others together
        taken = rng.random(number) < 0.2
        least = rng.choice([-math.inf, 0.0, 2.0])
        wanted = rng.integers(0, number + 5)
        may = [n for n in range(number) if not taken[n] and values[n] >= least]
        sort = sorted(may, key=lambda n: (-values[n], n))
        found = best_of(values, least, taken, wanted)
        assert found.tolist() == sort[:wanted], (values, least, taken, wanted)
