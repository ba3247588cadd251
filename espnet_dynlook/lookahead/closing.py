"""Shared waits: what one row waited for is there for the rows after it."""

import torch


def close_band(band: torch.Tensor) -> torch.Tensor:
    """Let every row see what an earlier row of its layer has already waited for.

    Outputs leave in order, so a frame that row k waited for is there, at no further
    delay, for every row i > k::

        mc(i, d) = max_{0 <= e <= R - d} m(i - e, d + e)
                 = max(m(i, d), mc(i - 1, d + 1))

    More context at an identical algorithmic latency, for contiguous binary bands that
    are closed in every layer. On soft ones the latency may grow, so a penalty belongs
    on the band before this: that is what was waited for. Time and memory O(T R).

    Args:
        band: Weights (..., T, R) in [0, 1], or their logarithms.

    Returns:
        The closed band, (..., T, R).
    """
    frames = band.shape[-1]
    if frames < 2 or band.shape[-2] < 2:
        return band
    closed = [band[..., -1]]  # (..., T), the farthest column: nothing beyond it
    for distance in range(frames - 2, -1, -1):
        own, beyond = band[..., distance], closed[-1]
        later = torch.maximum(own[..., 1:], beyond[..., :-1])
        closed.append(torch.cat((own[..., :1], later), dim=-1))
    return torch.stack(closed[::-1], dim=-1)
