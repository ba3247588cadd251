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

    def __call__(
        self,
        out: torch.Tensor,
        intermediate: Sequence[Intermediate],
        names: Sequence[Names],
    ) -> torch.Tensor:
        """Return the output with its bias (B, n, D).

        Args:
            out: Of the encoder (B, n, D).
            intermediate: Of the same frames, among them the layers of the adapter.
            names: Of each stream.
        """
        if not out.shape[1] or all(one.encoded is None for one in names):
            return out
        lists = [one.encoded for one in names]
        catalog = self._joined([one or self._nobody for one in lists])
        found = {one.layer: one.out for one in intermediate}
        hs = [found[layer] for layer in self.adapter.layers]
        hs += [out] * self.adapter.use_last
        columns = len(out) * self.adapter.heads * (len(catalog) + 1)
        size = max(1, ROOM // columns)
        pieces = []
        for at in range(0, out.shape[1], size):
            some = [h[:, at : at + size] for h in hs]
            pieces.append(self.adapter(some, catalog, self.scale)[0])
        return out + torch.cat(pieces, dim=1)

    def _joined(self, lists: list[EncodedCatalog]) -> EncodedCatalog:
        """Return the lists of the streams as one; the last one made is kept."""
        if all(one is lists[0] for one in lists):
            return lists[0]
        kept = self._kept
        if kept is None or list(map(id, kept[0])) != list(map(id, lists)):
            self._kept = kept = lists, EncodedCatalog.batch(lists)
        return kept[1]
