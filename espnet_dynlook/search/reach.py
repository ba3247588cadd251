"""Which beginnings of names the base itself might have heard, frame by frame.

Long lists are what contextual adapters get lost in; filtering them by what the audio
may be is known to help (two stages over whole utterances: Yang et al., arXiv
2301.06735). Here it is done frame by frame and from the past alone, so that streams
have it, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.search.reach_kernel import enter, follow


@dataclass(frozen=True, eq=False)
class Reach:
    """How near the beginnings of a list are to the best path, behind some frame.

    Of each beginning, over the paths that have said its tokens and nothing else since
    they began, in any frame: their largest log-probability, less that of the best
    path over the same frames. It is 0 or below; -inf: outside the margin.

    Attributes:
        token: Of paths that end with its last token (M,), float32.
        blank: Of paths that end with a blank after it (M,), float32.
    """

    token: np.ndarray
    blank: np.ndarray


def reached(
    log_probs: torch.Tensor,
    catalog: EncodedCatalog,
    margin: float,
    blank: int = 0,
    before: Sequence[Reach | None] | None = None,
    counts: Sequence[int] | None = None,
) -> tuple[Near, list[Reach]]:
    """Find the beginnings within a margin of the best path.

    Args:
        log_probs: Of the base, without names (B, n, V).
        catalog: One list for all, or one for each.
        margin: In nats.
        blank: Number of the blank.
        before: What the frames before these left, of each utterance; None: nothing.
        counts: Frames of each utterance, the rest is padding; None: all of them.

    Returns:
        Which beginnings are within the margin in each frame, none in padding, and
        their distances; of each utterance what the next frames need.
    """
    size, frames, _ = log_probs.shape
    rows = log_probs.detach().float().cpu()
    lost = (rows - rows.amax(dim=2, keepdim=True)).numpy()
    found, after = [], []
    seen = np.zeros(catalog.keys.size(1), dtype=np.bool_)
    for n in range(size):
        names = catalog.lists[n if len(catalog.lists) > 1 else 0]
        known = None if before is None else before[n]
        if known is None:
            known = Reach(*np.full((2, len(names)), -np.inf, dtype=np.float32))
        own = Reach(known.token.copy(), known.blank.copy())
        found.append(
            follow(
                lost[n, : frames if counts is None else counts[n]],
                names.tokens,
                names.parents,
                names.children,
                blank,
                np.float32(margin),
                own.token,
                own.blank,
                seen,
            )
        )
        after.append(own)
    [columns] = seen.nonzero()
    shape = size, frames, len(columns)
    barred = np.full(shape, -np.inf, dtype=np.float32)
    # Apart from each other, so that each is weighed in one piece.
    distances = np.zeros((2, *shape), dtype=np.float32)
    place = np.cumsum(seen) - 1
    for n, (ends, visits, near) in enumerate(found):
        enter(ends, visits, near, place, barred[n], distances[:, n])
    device = log_probs.device
    return Near(
        torch.from_numpy(columns).to(device),
        torch.from_numpy(barred).to(device),
        torch.from_numpy(distances).to(device).movedim(0, -1),
    ), after
