"""Which beginnings of names the base itself might have heard, frame by frame.

Long lists are what contextual adapters get lost in; filtering them by what the audio may
be is known to help (two stages over whole utterances: Yang et al., arXiv 2301.06735).
Here it is done frame by frame and from the past alone, so that streams have it, too.
"""

from dataclasses import dataclass

import torch

from espnet_dynlook.biasing.encoded import EncodedCatalog

NEVER = float("-inf")


@dataclass(frozen=True, eq=False)
class Reach:
    """How near the beginnings of a list are to the best path, behind some frame.

    Of each beginning, over the paths that have said its tokens and nothing else since
    they began, in any frame: their largest log-probability, less that of the best
    path over the same frames. It is 0 or below.

    Attributes:
        token: Of paths that end with its last token (B, M).
        blank: Of paths that end with a blank after it (B, M).
    """

    token: torch.Tensor
    blank: torch.Tensor

    @classmethod
    def nothing(cls, streams: int, catalog: EncodedCatalog) -> "Reach":
        """Return what it is before the first frame."""
        shape = (streams, catalog.keys.size(1))
        token, blank = (
            catalog.keys.new_full(shape, NEVER, dtype=torch.float32) for _ in range(2)
        )
        return cls(token, blank)

    def of(self, stream: int, catalog: EncodedCatalog) -> "Reach":
        """Return that of one stream, whose list this is, without padding."""
        size = catalog.keys.size(1)
        rows = slice(stream, stream + 1)
        return Reach(self.token[rows, :size], self.blank[rows, :size])


def reached(
    log_probs: torch.Tensor,
    catalog: EncodedCatalog,
    margin: float,
    blank: int = 0,
    before: Reach | None = None,
    counts: torch.Tensor | None = None,
) -> tuple[torch.Tensor, Reach]:
    """Find the beginnings within a margin of the best path.

    Args:
        log_probs: Of the base, without names (B, n, V).
        catalog: One list for all, or one for each.
        margin: In nats.
        blank: Number of the blank.
        before: What the frames before these left; None: there were none.
        counts: Frames of each utterance (B,), the rest is padding; None: all of them.

    Returns:
        Which beginnings are within the margin in each frame (B, n, M) bool, and what
        the next frames need. O(n M) time and memory.
    """
    size, frames, _ = log_probs.shape
    tokens, parents = catalog.nodes  # (C, M), parents from 1; 0: there is none
    tokens, parents = tokens.expand(size, -1), parents.expand(size, -1)
    lost = log_probs.float()
    lost = lost - lost.amax(dim=2, keepdim=True)
    # The root before them all is there in every frame, and costs nothing.
    state = before or Reach.nothing(size, catalog)
    root = lost.new_zeros(size, 1)
    own = torch.cat((torch.full_like(tokens[:, :1], -1), tokens), dim=1)
    alike = tokens == own.gather(1, parents)
    found = []
    token, behind = state.token, state.blank
    for frame in range(frames):
        costs = lost[:, frame]
        either = torch.maximum(token, behind)
        came = torch.cat((root, either), dim=1).gather(1, parents)
        apart = torch.cat((root, behind), dim=1).gather(1, parents)
        came = torch.where(alike, apart, came)  # a blank stands between two alike
        new = costs.gather(1, tokens) + torch.maximum(token, came)
        gone = costs[:, blank : blank + 1] + either
        if counts is not None:
            goes_on = (frame < counts)[:, None]
            new = torch.where(goes_on, new, token)
            gone = torch.where(goes_on, gone, behind)
        token, behind = new, gone
        found.append(torch.maximum(token, behind) >= -margin)
    none = lost.new_zeros(size, 0, tokens.size(1), dtype=torch.bool)
    near = torch.stack(found, dim=1) if found else none
    return near, Reach(token, behind)
