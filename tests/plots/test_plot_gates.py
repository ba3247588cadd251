"""Gates under annealing: the shares that are drawn, and the course of a training."""

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from espnet_dynlook.plots import course
from espnet_dynlook.plots.gates import Sweep, draw, shares
from espnet_dynlook.plots.style import PlotError


def sweep(schedulers=2, frames=40, words=()):
    """Return the gates of random logits at temperatures from 1 to 0.2."""
    progress = np.linspace(0, 1, 11)
    temperature = 0.2 ** np.minimum(progress / 0.8, 1)
    z = np.random.default_rng(0).normal(0.5, 1.5, (schedulers, frames))
    gates = 1 / (1 + np.exp(-z / temperature[:, None, None]))
    values = tuple(g.ravel() for g in gates)
    return Sweep("me", progress, temperature, gates, values, 0.8, 0.04, words)


def test_shares_of_gates_are_whole_and_at_the_limits():
    assert shares(np.array([0.05, 0.5, 0.5, 0.95])) == (0.25, 0.5, 0.25)
    assert shares(np.array([0.1, 0.9])) == (0.0, 1.0, 0.0)
    assert shares(np.array([])) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("schedulers", [1, 3])
def test_every_scheduler_has_its_gates_over_time(schedulers, words):
    made = sweep(schedulers, words=words)
    maps = [axes.images[0] for axes in draw(made).axes if axes.images]
    assert len(maps) == schedulers
    for number, image in enumerate(maps):
        np.testing.assert_array_equal(image.get_array(), made.gates[:, number])
        assert image.get_extent()[:2] == [0, 1.6]


def test_title_says_how_many_are_undecided():
    made = sweep()
    first, last = (100 * shares(v)[1] for v in (made.values[0], made.values[-1]))
    assert last < first  # the annealing decides
    titles = [axes.get_title(loc="left") for axes in draw(made).axes]
    assert f"undecided: {first:.0f} % at first, {last:.0f} % at the end" in titles


def write(folder, **curves):
    with SummaryWriter(str(folder)) as writer:
        for name, values in curves.items():
            for step, value in enumerate(values, 1):
                writer.add_scalar(name, value, 10 * step)


def test_course_shows_what_the_training_wrote(tmp_path):
    values = {"undecided": [0.5, 0.25], "latency_ms": [300.0, 200.0]}
    layers = {f"lookahead_layer{i}": [float(i)] * 2 for i in (1, 2, 10)}
    write(tmp_path / "tensorboard" / "valid", **values, **layers, loss=[1.0, 0.5])
    write(tmp_path / "tensorboard" / "train", undecided=[0.9, 0.9])
    curves = course.read(tmp_path / "tensorboard")
    figure = course.draw(curves)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    share = panels["undecided gates"].lines[0]
    np.testing.assert_allclose(share.get_xdata(), [10, 20])
    np.testing.assert_allclose(share.get_ydata(), [50, 25])
    assert len(panels["mean lookahead by layer"].lines) == 3
    names = [t.get_text() for t in panels["mean lookahead by layer"].legend_.texts]
    assert names == ["layer 1", "layer 10"]
    assert "weight of the latency" not in panels


def test_course_without_learned_lookahead_is_refused(tmp_path):
    write(tmp_path, loss=[1.0])
    with pytest.raises(PlotError, match="lookahead: dynamic"):
        course.draw(course.read(tmp_path))


def test_course_of_a_folder_without_events_is_refused(tmp_path):
    with pytest.raises(PlotError, match="--use_tensorboard true"):
        course.read(tmp_path)
