"""The backlog that is drawn is that of the simulation."""

import numpy as np
import pytest
from plot_data import FRAME, make_utterance, random_bands

from espnet_dynlook.plots.backlog import Backlog, draw, polyline


def backlog(bands, arriving, budget):
    """Simulate a device step by step."""
    behind, steps = 0.0, []
    for work in arriving:
        behind = max(0.0, behind + work * budget - 1.0)
        steps.append(1000 * FRAME * behind)
    return Backlog(make_utterance(bands), np.array(arriving), np.array(steps), budget)


@pytest.fixture
def late():
    arriving = [0.0] * 30
    arriving[9] = arriving[19] = arriving[29] = 10.0
    return backlog(random_bands(0), arriving, 0.8)


def test_line_passes_through_the_backlog_after_each_frame(late):
    times, values = polyline(late)
    np.testing.assert_allclose(times, np.arange(31) * FRAME)
    np.testing.assert_allclose(values[1:], late.behind_ms)
    assert values[0] == 0


def test_user_waits_for_what_is_left(late):
    assert late.upl_ms == pytest.approx(1000 * FRAME * (10 * 0.8 - 1))
    figure = draw([late])
    texts = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert texts == [f"speech ends; the user waits {late.upl_ms:.0f} ms more"]
    assert figure.axes[-1].get_xlim()[1] > 30 * FRAME + late.upl_ms / 1000


def test_scales_are_common_but_for_those_that_wait_for_the_end(late):
    small = backlog(random_bands(1), [1.0] * 30, 0.8)
    whole = backlog(None, [0.0] * 29 + [30.0], 0.8)
    axes = draw([late, small, whole]).axes
    tops = [axes[index].get_ylim()[1] for index in (1, 3, 5)]
    assert tops[0] == tops[1] < tops[2]


def test_a_device_that_keeps_up_is_drawn():
    quick = backlog(random_bands(1), [1.0] * 30, 0.5)
    assert quick.upl_ms == 0
    draw([quick])
