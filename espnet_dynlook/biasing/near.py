"""How near the beginnings of names are to what the base itself heard."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Near:
    """The beginnings of a list that frames may attend to, and how near each is.

    A distance is the log-probability of the best path that has said a beginning and
    nothing else since it began, less that of the best path of all; in nats, 0 or below.

    Attributes:
        columns: Beginnings that are near in any of the frames (K,), ascending.
        open: Which of them are near in each frame (B, n, K) bool.
        distances: Those without the frame and with it (B, n, K, 2), float32; 0 where
            nothing is near. What lies between the two is what the frame itself says
            against the beginning's last token.
    """

    columns: torch.Tensor
    open: torch.Tensor
    distances: torch.Tensor

    def frames(self, start: int, end: int) -> "Near":
        """Return those of some of the frames."""
        return Near(self.columns, self.open[:, start:end], self.distances[:, start:end])

    def among(self, number: int) -> torch.Tensor:
        """Return which of all M beginnings are near in each frame (B, n, M) bool."""
        near = self.open.new_zeros(*self.open.shape[:2], number)
        near[..., self.columns] = self.open
        return near
