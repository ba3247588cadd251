"""Segments: runs of frames whose rows all see to the end of the run.

A segment begins at frame 0 and after every end. Whether it goes on after its frame of
age a = 0, 1, .. is decided there; after R + 1 frames it has to end.
"""

import torch
import torch.nn.functional as F

from espnet_dynlook.lookahead.bands import contiguous_log_band

#: Frames that are solved together.
BLOCK = 32


def forced_ends(ends: torch.Tensor, frames: int) -> torch.Tensor:
    """Return where a segment has to end because it has R + 1 frames.

    Args:
        ends: Whether a segment ends after a frame by itself, (B, T) bool.
        frames: R.

    Returns:
        (B, T) bool; counted from the last end of either kind.
    """
    return segment_ages(ends) % (frames + 1) == frames


def segment_ages(ends: torch.Tensor) -> torch.Tensor:
    """Return how many frames of its segment are before each frame, (B, T).

    Args:
        ends: Whether a segment ends after a frame, (B, T) bool.
    """
    index = torch.arange(ends.shape[1], device=ends.device)
    begins = F.pad(ends[:, :-1], (1, 0), value=True)
    return index - torch.where(begins, index, 0).cummax(dim=1).values


def segment_band(ends: torch.Tensor, frames: int) -> torch.Tensor:
    """Return the band of rows that see to the end of their segment.

    Args:
        ends: Whether a segment ends after a frame, (B, T) bool.
        frames: R.

    Returns:
        (B, T, R) bool.
    """
    # before[j]: ends before frame j. Frame i + d is seen where there is none between.
    before = F.pad(ends.long().cumsum(dim=1)[:, :-1], (1, frames), value=-1)
    before[:, 0] = 0
    windows = before[:, 1:].unfold(1, frames, 1)  # (B, T, R)
    return windows == before[:, : ends.shape[1], None]


def segment_ends(goes_on: torch.Tensor) -> torch.Tensor:
    """Return where segments end, by themselves or because they have R + 1 frames.

    Args:
        goes_on: Whether a segment would go on after a frame that is its frame of age
            0 .. R - 1, (B, T, R) bool.

    Returns:
        (B, T) bool.
    """
    batch, num_frames, _ = goes_on.shape
    length = 1 + _along(goes_on.long(), 0).cumprod(dim=2).sum(dim=2)
    index = torch.arange(num_frames + 1, device=goes_on.device)
    # From the start of a segment to that of the next; the last frame is followed by T.
    jump = F.pad(index[:-1] + length, (0, 1), value=num_frames).clamp(max=num_frames)
    starts = (index == 0).long().expand(batch, -1)
    for _ in range(num_frames.bit_length()):  # twice as many jumps every time
        starts = starts.scatter_reduce(1, jump, starts, "amax")
        jump = jump.gather(1, jump)
    return starts[:, 1:] > 0


def segment_probabilities(log_gates: torch.Tensor) -> torch.Tensor:
    """Return how probable every segment is, when gates are probabilities.

    With reach(s, k) the probability that a segment which begins at frame s has frame
    s + k, and b(s) that one begins there::

        reach(s, k) = prod_{a < k} g(s + a, a)
        b(t) = sum_{m = 0 .. R} p(t - m - 1, m)
        p(s, m) = b(s) (reach(s, m) - reach(s, m + 1))

    Args:
        log_gates: Logarithm of the probability g(t, a) that a segment goes on after
            frame t, its frame of age a = 0 .. R - 1, (B, T, R).

    Returns:
        p(s, m), that a segment begins at frame s and has m + 1 frames, (B, T, R + 1).
    """
    reach = F.pad(contiguous_log_band(_along(log_gates, 0.0)).exp(), (1, 0), value=1.0)
    ending = reach - F.pad(reach[:, :, 1:], (0, 1))
    return _begins(ending)[:, :, None] * ending


def _begins(ending: torch.Tensor) -> torch.Tensor:
    """Return the probability that a segment begins at each frame, (B, T).

    Solves b = e_0 + N b block by block, N being strictly lower triangular and reaching
    R + 1 frames back: time and memory grow with T, not with its square.

    Args:
        ending: That a segment which begins at a frame has m + 1 frames (B, T, R + 1).
    """
    batch, num_frames, most = ending.shape
    size = max(BLOCK, most)  # a segment ends in its block, or in the next one
    blocks = -(-num_frames // size)
    padded = F.pad(ending, (0, 0, 0, blocks * size - num_frames))
    inside = torch.arange(size, device=ending.device)
    following = inside[:, None] + torch.arange(1, most + 1, device=ending.device)
    moves = ending.new_zeros(batch, blocks, size, 2 * size).scatter(
        3,
        following.expand(batch, blocks, -1, -1),
        padded.unflatten(1, (blocks, size)),
    )
    own, next_ = moves.transpose(2, 3).split(size, dim=2)
    eye = torch.eye(size, device=ending.device, dtype=ending.dtype)
    solved = torch.linalg.solve_triangular(
        eye - own,
        eye.expand_as(own),
        upper=False,
        unitriangular=True,
    )
    arriving = eye[:, 0].expand(batch, -1)  # the first segment begins at frame 0
    found = []
    for block in range(blocks):
        begins = (solved[:, block] @ arriving[:, :, None])[:, :, 0]
        found.append(begins)
        arriving = (next_[:, block] @ begins[:, :, None])[:, :, 0]
    return torch.cat(found, dim=1)[:, :num_frames]


def expected_segment_band(log_gates: torch.Tensor) -> torch.Tensor:
    """Return how probably each row sees each frame, when gates are probabilities.

    Frame i + d is seen where one segment has both frames::

        band(i, d) = sum_{k = d .. R} sum_{m >= k} p(i + d - k, m)

    Args:
        log_gates: As for ``segment_probabilities``, (B, T, R).

    Returns:
        (B, T, R), in [0, 1], falling with the distance.
    """
    has = segment_probabilities(log_gates).flip(2).cumsum(dim=2).flip(2)
    of_age = [
        F.pad(has[:, :, k], (k, 0))[:, : has.shape[1]] for k in range(has.shape[2])
    ]
    older = torch.stack(of_age, dim=2).flip(2).cumsum(dim=2).flip(2)
    return _along(older, 0.0, first=1).clamp(max=1.0)


def _along(values: torch.Tensor, fill: float, first: int = 0) -> torch.Tensor:
    """Return values(t + a, a) for the ages a from ``first`` on, (B, T, R).

    Args:
        values: By frame and age (B, T, A).
        fill: Past the last frame.
        first: Lowest age.
    """
    num_frames = values.shape[1]
    columns = [
        F.pad(values[:, a:, a], (0, min(a, num_frames)), value=fill)
        for a in range(first, values.shape[2])
    ]
    return torch.stack(columns, dim=2)
