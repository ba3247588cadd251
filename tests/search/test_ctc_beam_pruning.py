"""What of a frame the CTC beam search keeps."""

import math

import numpy as np
import torch

from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ctc_beam_pruning import best_of, choose_tokens
from espnet_dynlook.search.ctc_beam_scratch import scratch_for
from espnet_dynlook.search.ctc_beam_workspace import Workspace
from espnet_dynlook.search.naive import NaiveCTCBeam

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
        scratch = scratch_for(1, number - 1, 1, 0)
        scratch.taken[:] = taken
        found = scratch.places[: best_of(values, number, least, wanted, scratch)]
        assert found.tolist() == sort[:wanted], (values, least, taken, wanted)


def test_tokens_of_a_frame_are_those_of_clear_code():
    """Of many labels, of which many are rare or alike; with names and without."""
    rng = np.random.default_rng(SEED)
    needed = 0
    for _ in range(600):
        size = int(rng.choice([5, 60, 300]))
        search = CTCBeamSearch(
            ["<blank>", *(f"w{n}" for n in range(1, size))],
            4,
            boosting=Boosting(
                top=int(rng.integers(1, 9)), floor=float(rng.choice([-3.0, -8.0]))
            ),
            candidates=int(rng.choice([1, 6, 40])),
            token_threshold=float(rng.choice([-2.0, -5.0])),
        )
        logits = rng.choice([rng.normal(0, 3, size), rng.integers(0, 3, size) * 2.0])
        logits[0] += rng.choice([0.0, 5.0, 12.0])
        logits[rng.random(size) < 0.1] = -math.inf
        logits[0] = max(logits[0], 0.0)
        row = torch.from_numpy(logits).log_softmax(0).numpy()
        workspace = Workspace.of(search.settings, size)
        for named in (False, True):
            entries = [([1], 1.0)] if named else []
            everyone, boosts = NaiveCTCBeam(search, entries, 1).tokens_of_frame(
                row.tolist()
            )
            count, common = choose_tokens(row, search.settings, named, workspace.frame)
            found = workspace.frame.tokens[:count].tolist()
            assert found[:common] == everyone
            assert set(found) == {*everyone, *boosts}
            for token, boost in zip(found, workspace.frame.boosts, strict=False):
                assert max(boost, 0.0) == boosts.get(token, 0.0)
            needed += count > common > 0
    assert needed > 50
