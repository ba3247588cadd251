"""Where in its range of latencies a trained model decodes."""

from typing import Any


def set_wait(model: Any, wait: float | None) -> None:
    """Choose how long a model of many latencies waits; it is in evaluation mode then.

    Args:
        model: Of ESPnet, or of this plugin.
        wait: 0, its shortest latency, to 1, its longest; None: as it is, which is the
            middle after a training.

    Raises:
        ValueError: it is out of range, or the model is of one latency.
    """
    if wait is None:
        return
    if not hasattr(model, "set_wait"):
        raise ValueError(
            f"wait={wait} needs model: dynlook, trained with latency_weight: [lo, hi]; "
            f"this one is {type(model).__name__}: leave it out"
        )
    model.set_wait(wait)
