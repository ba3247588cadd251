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
        barred: 0 where one of them is near, -inf elsewhere (B, n, K) float32: to be
            added to scores, which takes a small part of the time of a mask.
        distances: Those without the frame and with it (B, n, K, 2), float32; 0 where
            nothing is near. What lies between the two is what the frame itself says
            against the beginning's last token.
    """

    columns: torch.Tensor
    barred: torch.Tensor
    distances: torch.Tensor

    @property
    def open(self) -> torch.Tensor:
        """Which of the columns are near in each frame (B, n, K) bool."""
        return self.barred == 0

    def frames(self, start: int, end: int) -> "Near":
        """Return those of some of the frames."""
        kept = slice(start, end)
        return Near(self.columns, self.barred[:, kept], self.distances[:, kept])

    def among(self, number: int) -> torch.Tensor:
        """Return which of all M beginnings are near in each frame (B, n, M) bool."""
        near = torch.zeros(
            *self.barred.shape[:2], number, dtype=torch.bool, device=self.barred.device
        )
        near[..., self.columns] = self.open
        return near

    def spread(self, attention: torch.Tensor, number: int) -> torch.Tensor:
        """Return attention on all M beginnings out of that on those that are near.

        Args:
            attention: (..., K + 1), ``<no-bias>`` first.
            number: M.

        Returns:
            (..., M + 1), zero where nothing is near.
        """
        whole = attention.new_zeros(*attention.shape[:-1], number + 1)
        places = torch.nn.functional.pad(1 + self.columns, (1, 0))
        return whole.index_copy(attention.dim() - 1, places, attention)
