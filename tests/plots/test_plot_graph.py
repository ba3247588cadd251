"""The path that is drawn is the reason of the latency."""

import numpy as np
import pytest
import torch
from plot_data import random_bands

from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.lookahead.naive import allowed
from espnet_dynlook.plots.graph import draw, slowest, window, winning_path
from espnet_dynlook.plots.style import PlotError


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_path_explains_the_algorithmic_latency(seed, binary):
    bands = random_bands(seed, layers=1 + seed % 4, most=seed % 5, binary=binary)
    tensors = [torch.from_numpy(band) for band in bands]
    latency = algorithmic_latency(tensors, torch.tensor([30]))[0].numpy()
    lists = [band.tolist() for band in bands]
    for output in range(30):
        path = winning_path(bands, output)
        assert path.latency == pytest.approx(latency[output], abs=1e-5)
        assert [layer for layer, _ in path.steps] == list(range(len(bands), -1, -1))
        assert path.steps[0][1] <= output  # outputs leave in order
        for (layer, row), (_, column) in zip(path.steps, path.steps[1:], strict=False):
            assert allowed(lists, layer - 1, row, column)
        if binary:
            assert path.steps[-1][1] == output + path.latency


def test_without_lookahead_the_path_goes_straight_down():
    path = winning_path([np.zeros((10, 0))] * 3, 4)
    assert path.steps == ((3, 4), (2, 4), (1, 4), (0, 4))
    assert path.latency == 0


def test_a_frame_that_does_not_exist_is_refused():
    with pytest.raises(PlotError, match=r"frame 30 is not in 0 \.\. 29"):
        winning_path(random_bands(0), 30)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("frames", [2, 12, 100])
def test_window_holds_the_path_and_stays_in_the_utterance(seed, frames):
    bands = random_bands(seed, binary=True)
    for output in (0, 14, 29):
        path = winning_path(bands, output)
        first, last = window(path, 30, frames)
        used = [output, *(frame for _, frame in path.steps)]
        assert 0 <= first <= min(used) and max(used) <= last <= 29
        assert last - first + 1 >= min(frames, 30)
        draw(bands, path, 0.04, first, last)


def test_a_window_that_cuts_the_path_is_refused():
    bands = random_bands(1, binary=True)
    path = next(p for p in (winning_path(bands, i) for i in range(30)) if p.latency > 1)
    with pytest.raises(PlotError, match="show more"):
        draw(bands, path, 0.04, path.output, path.output)


def test_title_says_frames_and_milliseconds():
    bands = [np.ones((10, 2))]
    figure = draw(bands, winning_path(bands, 3), 0.04, 0, 9, "me", constant_ms=32.0)
    title = figure.axes[0].get_title(loc="left")
    assert title.startswith("me: output 3 waits for 2 frames: 80 ms + 32 ms")


def test_weights_stand_on_soft_paths_only():
    for binary in (True, False):
        bands = random_bands(2, binary=binary)
        path = winning_path(bands, 10)
        numbers = [t for t in draw(bands, path, 0.04, 0, 29).axes[0].texts]
        shown = [t.get_text() for t in numbers if t.get_text()]
        assert bool(shown) is not binary


def test_slowest_frame_is_searched_among_those_shown():
    latency = np.array([9.0, 1.0, 2.0, 5.0, 3.0, 8.0])
    assert slowest(latency, 0.04, 0.04, 4) == 3
    with pytest.raises(PlotError, match=r"0\.24 s"):
        slowest(latency, 1.0, 0.04, 4)
