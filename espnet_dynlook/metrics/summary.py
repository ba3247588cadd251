"""The figures of a set, from those of its utterances."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def spread(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """Return mean, median and 90th percentile in ms by name; null of nothing."""
    figures: list[float | None] = [None, None, None]
    if len(values):
        p50, p90 = np.percentile(values, [50, 90])
        figures = [round(float(x), 2) for x in (np.mean(values), p50, p90)]
    names = (f"{name}_{which}_ms" for which in ("mean", "p50", "p90"))
    return dict(zip(names, figures, strict=True))


def summary(
    rows: Mapping[str, Mapping[str, Any]], latencies: Sequence[float]
) -> dict[str, Any]:
    """Return the figures of a set.

    The loss is per token, over the utterances that have one; ``soft_gap`` is how much
    higher it is with rounded masks than with soft ones, as a fraction. Error rates are
    in percent.

    Args:
        rows: Of ``SetEvaluation.row``.
        latencies: Of all frames, in ms.
    """
    with_loss = [row for row in rows.values() if row["loss"] is not None]
    tokens = sum(row["tokens"] for row in with_loss)
    loss = sum(row["loss"] for row in with_loss)
    both = [row for row in with_loss if row["loss_soft"] is not None]
    soft = sum(row["loss_soft"] for row in both)
    total = {
        name: sum(row[name] for row in rows.values())
        for name in ("words", "errors", "characters", "character_errors", "frames")
    }
    delays = [
        one
        for row in rows.values()
        if row["token_delays_ms"] is not None
        for one in row["token_delays_ms"]
    ]
    upl = [row["upl_ms"] for row in rows.values() if row["upl_ms"] is not None]
    return {
        "utterances": len(rows),
        "without_loss": len(rows) - len(with_loss),
        "tokens": tokens,
        "loss_per_token": loss / tokens if tokens else None,
        "soft_gap": sum(row["loss"] for row in both) / soft - 1 if soft else None,
        **total,
        "wer": 100 * total["errors"] / total["words"] if total["words"] else None,
        "cer": (
            100 * total["character_errors"] / total["characters"]
            if total["characters"]
            else None
        ),
        **spread("latency", latencies),
        "upl_ms": float(np.mean(upl)) if upl else None,
        "tokens_with_delay": len(delays),
        **spread("token_delay", delays),
    }
