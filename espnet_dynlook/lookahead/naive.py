"""Slow, obviously right versions of what this room computes; tests compare the two."""

from collections.abc import Sequence


def allowed(
    bands: Sequence[Sequence[Sequence[float]]] | None,
    layer: int,
    row: int,
    column: int,
    left_context: int = -1,
) -> bool:
    """Say whether a row of a layer may attend to a column, by the definition."""
    if column <= row:
        return left_context < 0 or row - column <= left_context
    if bands is None:
        return True
    ahead = bands[layer][row]
    return column - row <= len(ahead) and ahead[column - row - 1] > 0


def latency_by_reachability(
    bands: Sequence[Sequence[Sequence[float]]] | None, num_layers: int, length: int
) -> list[int]:
    """Return the latency in frames by following every path through binary bands.

    An output depends on an input where a path of allowed steps, one a layer, leads from
    it to the input. It leaves when the outputs before it have left.
    """
    latencies, latest = [], 0
    for row in range(length):
        seen = {row}
        for layer in reversed(range(num_layers)):
            seen = {
                column
                for reached in seen
                for column in range(length)
                if allowed(bands, layer, reached, column)
            }
        latest = max(latest, max(seen))
        latencies.append(latest - row)
    return latencies
