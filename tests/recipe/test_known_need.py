"""A scheduler finds the waits that are needed, on a task where they are known."""

import numpy as np
import pytest
import torch

from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.recipe import known_need
from espnet_dynlook.recipe.known_need_task import (
    CUE_C,
    LONGEST,
    UNSURE,
    draw,
    evaluate,
)


def test_sequences_are_what_they_are_said_to_be():
    batch = draw(200, np.random.default_rng(0))
    units = batch.labels > 0
    unsure = batch.labels >= 3
    assert 0.4 < unsure.sum() / units.sum() < 0.6
    assert set(batch.waits[unsure].tolist()) == set(range(LONGEST + 1))
    assert not batch.waits[~unsure].any()
    for b, t in unsure.nonzero().tolist():
        cue = int(batch.labels[b, t]) - 3 + CUE_C
        assert batch.features[b, t, UNSURE] > 0.3
        assert batch.features[b, t + batch.waits[b, t], cue] > 0.3
        assert not units[b, t + 1 : t + LONGEST + 1].any(), "another unit is in sight"


def test_oracle_latency_is_that_of_its_band():
    batch = draw(50, np.random.default_rng(1))
    latency = algorithmic_latency([batch.oracle_band()], batch.lengths)
    total = sum(k * (k + 1) / 2 for k in batch.waits.flatten().tolist())
    assert float(latency.sum()) == total
    assert batch.oracle_latency() == pytest.approx(total / latency.numel())


def test_segments_wait_where_it_is_needed():
    """The task in short: chunks that wait seven times as long make far more errors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = known_need.parent(3, steps=450)
    chunks = evaluate(start, "chunks of 9", 3)
    assert chunks.error < 13, "the parent has not learned the task"
    learned = known_need.system("dynamic, segment", start, 3, steps=400)
    found = evaluate(learned, "segment", 3)
    torch.set_num_threads(threads)
    assert found.error < 2 < 8 < chunks.error
    assert found.latency < 1.6 * found.oracle < 0.3 * chunks.latency
    # Nats; by processor 0.0002 to 0.0006, of a loss of 0.01 that causal has 30 times.
    assert abs(found.soft_gap) < 0.001


def test_command_writes_table_results_and_picture(tmp_path):
    keys = ["--seeds", "1", "--parent_steps", "2", "--steps", "2"]
    systems = ["oracle", "chunks of 9", "dynamic, segment"]
    found = known_need.main(
        [*keys, "--systems", *systems, "--output", str(tmp_path / "need")]
    )
    assert [one.system for one in found] == systems
    table = (tmp_path / "need" / "table.md").read_text()
    assert all(name in table for name in systems)
    assert (tmp_path / "need" / "masks.png").stat().st_size > 10_000
    oracle = found[0]
    assert oracle.latency == pytest.approx(oracle.oracle)
