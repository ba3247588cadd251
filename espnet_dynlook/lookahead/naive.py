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


def soft_latency(
    bands: Sequence[Sequence[Sequence[float]]], length: int
) -> list[float]:
    """Return the latency in frames on bands of any weights, by its recursion."""
    reach = [float(row) for row in range(length)]
    for band in bands:
        above = []
        for row in range(length):
            settled = max(reach[: row + 1])
            gains = [
                weight * (reach[row + distance] - settled)
                for distance, weight in enumerate(band[row], 1)
                if row + distance < length
            ]
            above.append(settled + max([0.0, *gains]))
        reach = above
    return [max(reach[: row + 1]) - row for row in range(length)]


def heaviest_path_latency(
    bands: Sequence[Sequence[Sequence[float]]], length: int
) -> list[int]:
    """Return the latency by the published summary of ANCAT, read to the letter.

    "The future input whose dependency path has the highest weight": of the inputs after
    a frame, the one to which the best path (the largest product of weights, past edges
    having 1) is heaviest, the farthest of equals; 0 where no path has any weight. A
    diagnostic, not what is trained: it jumps, and a light path to a far input, which a
    device would have to wait for, does not count beside a heavier one to a near input.
    """
    # best[row][column]: weight of the heaviest path from row down to the input column.
    best = [[float(column == row) for column in range(length)] for row in range(length)]
    for band in bands:
        above = []
        for row in range(length):
            steps = [(column, 1.0) for column in range(row + 1)]
            steps += [
                (row + distance, weight)
                for distance, weight in enumerate(band[row], 1)
                if row + distance < length
            ]
            above.append(
                [
                    max(weight * best[step][column] for step, weight in steps)
                    for column in range(length)
                ]
            )
        best = above
    latencies, latest = [], 0
    for row in range(length):
        future = [(best[row][c], c) for c in range(row + 1, length)]
        weight, column = max(future, default=(0.0, row))
        latest = max(latest, column if weight > 0 else row)
        latencies.append(latest - row)
    return latencies


def close_band(band: Sequence[Sequence[float]]) -> list[list[float]]:
    """Close a band (T, R) by the definition: a maximum over all earlier rows."""
    frames = len(band[0])
    return [
        [
            max(
                band[row - back][distance + back - 1]
                for back in range(min(row, frames - distance) + 1)
            )
            for distance in range(1, frames + 1)
        ]
        for row in range(len(band))
    ]


def simulate_device(
    bands: Sequence[Sequence[Sequence[float]]] | None,
    work: Sequence[float],
    length: int,
    compute_budget: float,
) -> list[float]:
    """Return B_t / P of a device after each frame period, on binary bands.

    Everything that a row depends on is followed through the graph; the device begins a
    frame's work in a layer when the last of it is there.
    """
    per_period = sum(work) / compute_budget
    arriving = [0.0] * length
    for layer, cost in enumerate(work):
        for row in range(length):
            seen = {row}
            for below in reversed(range(layer + 1)):
                seen = {
                    column
                    for reached in seen
                    for column in range(length)
                    if allowed(bands, below, reached, column)
                }
            arriving[max(seen)] += cost
    behind, history = 0.0, []
    for work_of_frame in arriving:
        behind = max(0.0, behind + work_of_frame - per_period)
        history.append(behind / per_period)
    return history
