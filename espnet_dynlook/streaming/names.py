"""Lists of names in streams: what each is for the search, and for the encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.encoder.stream_state import Intermediate
from espnet_dynlook.search.incremental import Search

#: Values of attention that are there at a time.
ROOM = 2**24


@dataclass(frozen=True, eq=False)
class Names:
    """A list as a stream has it.

    Attributes:
        search: What is known under it before the first frame.
        catalog: What a search that is under way is told; None: no names.
        encoded: What the adapter attends to; None: nothing.
    """

    search: Search
    catalog: Catalog | None = None
    encoded: EncodedCatalog | None = None

    def taken_up(self, search: Search, before: "Names") -> Search:
        """Return a search that goes on with this list, instead of the one before."""
        if self.catalog is before.catalog or self.catalog == before.catalog:
            return search
        told: Search = search.with_catalog(self.catalog)  # type: ignore[attr-defined]
        return told


@dataclass(eq=False)
class EncoderBias:
    """What an adapter adds to the output of an encoder that streams.

    Args:
        adapter: For this encoder, in evaluation mode.
        scale: What its bias is multiplied by.
    """

    adapter: ContextualAdapter
    scale: float = 1.0
    # The lists that were put together last, and what that gave.
    _kept: tuple[list[EncodedCatalog], EncodedCatalog] | None = field(
        default=None, repr=False
    )

    def __post_init__(self) -> None:
        self._nobody = self.adapter.encode([])

    def begin(self, streams: int) -> torch.Tensor:
        """Return the memory of streams that have heard nothing (B, A)."""
        like = self.adapter.no_bias
        return like.new_zeros(streams, like.numel())

    def __call__(
        self,
        out: torch.Tensor,
        counts: torch.Tensor,
        intermediate: Sequence[Intermediate],
        names: Sequence[Names],
        memory: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output with its bias (B, n, D), and the memory behind it (B, A).

        It is kept without names, too: a stream may get some later.

        Args:
            out: Of the encoder (B, n, D).
            counts: Frames of each stream (B,); what is behind them is padding.
            intermediate: Of the same frames, among them the layers of the adapter.
            names: Of each stream.
            memory: From ``begin`` or the call before.
        """
        if not out.shape[1]:
            return out, memory
        found = {one.layer: one.out for one in intermediate}
        hs = [found[layer] for layer in self.adapter.layers]
        hs += [out] * self.adapter.use_last
        query, memories = self.adapter.listen(hs, memory)
        counts = counts.to(out.device)
        rows = torch.arange(len(out), device=out.device)
        last = memories[rows, (counts - 1).clamp(min=0)]
        memory = torch.where(counts[:, None] > 0, last, memory)
        lists = [one.encoded for one in names]
        if all(one is None for one in lists):
            return out, memory
        catalog = self._joined([one or self._nobody for one in lists])
        columns = len(out) * self.adapter.heads * (catalog.keys.size(1) + 1)
        size = max(1, ROOM // columns)
        pieces = [
            self.adapter.attend(query[:, at : at + size], catalog, self.scale)[0]
            for at in range(0, out.shape[1], size)
        ]
        return out + torch.cat(pieces, dim=1), memory

    def _joined(self, lists: list[EncodedCatalog]) -> EncodedCatalog:
        """Return the lists of the streams as one; the last one made is kept."""
        if all(one is lists[0] for one in lists):
            return lists[0]
        kept = self._kept
        if kept is None or list(map(id, kept[0])) != list(map(id, lists)):
            self._kept = kept = lists, EncodedCatalog.batch(lists)
        return kept[1]
