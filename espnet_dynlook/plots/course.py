"""Picture: the course of a training with learned lookahead, from its statistics."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from espnet_dynlook.plots.style import (
    BLACK,
    BLUE,
    ORANGE,
    VERMILION,
    PlotError,
    new_figure,
    panel_title,
    style,
)

#: Statistic -> (steps, values).
Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]

#: Panels: title, unit, and the statistics in it with their labels.
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("undecided gates", "%", {"undecided": "share"}),
    (
        "latency",
        "ms",
        {
            "latency_rounded_ms": "rounded masks",
            "latency_ms": "soft masks",
            "upl_ms": "after the end (compute)",
        },
    ),
    (
        "loss of the task",
        "nats",
        {"loss_task": "rounded masks", "loss_soft": "soft masks"},
    ),
    ("weight of the latency", "", {"latency_weight": "weight"}),
)
LAYER = "lookahead_layer"
_LINES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D")
_COLOURS = (VERMILION, BLUE, BLACK, ORANGE)


def read(folder: Path | str) -> Curves:
    """Read the statistics that TensorBoard shows.

    Args:
        folder: ``tensorboard`` of an experiment, or ``valid`` in it; the statistics of
            validation are taken.

    Raises:
        PlotError: there are none.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = Path(folder)
    if (path / "valid").is_dir():
        path = path / "valid"
    if not list(path.glob("events.out.tfevents.*")):
        raise PlotError(
            f"--tensorboard {folder}: neither it nor its folder valid has an event "
            "file; train with --use_tensorboard true"
        )
    events = EventAccumulator(str(path))
    events.Reload()
    curves = {}
    for name in events.Tags()["scalars"]:
        found = {event.step: event.value for event in events.Scalars(name)}
        steps = sorted(found)  # of a training that went on again, the latest values
        values = np.array([found[step] for step in steps], dtype=float)
        curves[name] = (np.array(steps), values)
    return curves


def draw(curves: Curves) -> Figure:
    """Draw what there is of the panels, over the steps of the training.

    Raises:
        PlotError: there is nothing of a learned lookahead.
    """
    panels = [p for p in PANELS if any(name in curves for name in p[2])]
    layers = sorted(
        (name for name in curves if name.startswith(LAYER)),
        key=lambda name: int(name.removeprefix(LAYER)),
    )
    if not layers and not any(name in curves for name in PANELS[0][2]):
        raise PlotError(
            f"none of the statistics {', '.join(curves)} is of a learned lookahead; "
            "they come with model: dynlook and lookahead: dynamic"
        )
    number = len(panels) + bool(layers)
    with style():
        figure = new_figure(7.2, 1.6 * ((number + 1) // 2) + 0.4)
        grid = figure.subplots((number + 1) // 2, 2, sharex=True, squeeze=False)
        axes = list(grid.flat)
        for one, (title, unit, names) in zip(axes, panels, strict=False):
            shown = {n: label for n, label in names.items() if n in curves}
            _lines(one, curves, shown, 100.0 if unit == "%" else 1.0)
            _labels(one, title, unit, len(shown) > 1)
        if layers:
            _layers(axes[len(panels)], curves, layers)
        for one in axes[number:]:
            one.set_axis_off()
        for one in axes[max(0, number - 2) : number]:
            one.set_xlabel("step")
            one.tick_params(labelbottom=True)
    return figure


def _lines(axes: Axes, curves: Curves, names: Mapping[str, str], factor: float) -> None:
    for index, (name, label) in enumerate(names.items()):
        steps, values = curves[name]
        axes.plot(
            steps,
            values * factor,
            label=label,
            color=_COLOURS[index],
            linestyle=_LINES[index],
            marker=_MARKERS[index],
            markersize=3,
            markevery=max(1, len(steps) // 12),
        )


def _labels(axes: Axes, title: str, unit: str, several: bool) -> None:
    panel_title(axes, title)
    axes.set_ylabel(unit)
    if title != "loss of the task":
        axes.set_ylim(bottom=0)
    if several:
        axes.legend()


def _layers(axes: Axes, curves: Curves, layers: list[str]) -> None:
    """Draw the mean lookahead of each layer: darker is higher."""
    for index, name in enumerate(layers):
        shade = 0.75 * (1 - index / max(len(layers) - 1, 1))
        ends = name in (layers[0], layers[-1])
        axes.plot(
            *curves[name],
            color=str(shade),
            linestyle="-" if index % 2 == 0 else "--",
            label=f"layer {name.removeprefix(LAYER)}" if ends else None,
        )
    _labels(axes, "mean lookahead by layer", "frames", True)
