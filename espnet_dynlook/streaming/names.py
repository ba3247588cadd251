"""Lists of names in streams: what each is for the search, and for the encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.encoder.stream_state import Intermediate
from espnet_dynlook.search.gru import fast_gru
from espnet_dynlook.search.incremental import Search
from espnet_dynlook.search.reach import Reach, reached

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


@dataclass(frozen=True, eq=False)
class Heard:
    """What an adapter knows of the past of streams.

    Attributes:
        memory: Of the adapter's query (B, A).
        lists: Of each stream, the one that its reach is of.
        reach: Of each stream, how near its names are; None: it has said nothing yet.
    """

    memory: torch.Tensor
    lists: tuple[EncodedCatalog | None, ...]
    reach: tuple[Reach | None, ...]

    def restarted(self, streams: Sequence[bool]) -> "Heard":
        """Return what it is when some streams begin anew."""
        new = torch.tensor(streams, device=self.memory.device)
        pairs = zip(self.reach, streams, strict=True)
        return replace(
            self,
            memory=self.memory.masked_fill(new[:, None], 0.0),
            reach=tuple(None if anew else own for own, anew in pairs),
        )


@dataclass(eq=False)
class EncoderBias:
    """What an adapter adds to the output of an encoder that streams.

    Args:
        adapter: For this encoder, in evaluation mode.
        scale: What its bias is multiplied by.
        ctc: The base's head, which an adapter with a margin needs.
        blank: Number of the blank.
    """

    adapter: ContextualAdapter
    scale: float = 1.0
    ctc: Any = None
    blank: int = 0
    # The lists that were put together last, and what that gave.
    _kept: tuple[list[EncodedCatalog], EncodedCatalog] | None = field(
        default=None, repr=False
    )

    def __post_init__(self) -> None:
        if self.adapter.margin is not None and self.ctc is None:
            raise ValueError(
                f"the adapter has adapter_margin={self.adapter.margin}, which the CTC "
                "head of its base measures: give ctc"
            )
        self._nobody = self.adapter.encode([])

    def begin(self, streams: int) -> Heard:
        """Return what is known of streams that have heard nothing."""
        like = self.adapter.no_bias
        nothing = (None,) * streams
        return Heard(like.new_zeros(streams, like.numel()), nothing, nothing)

    def __call__(
        self,
        out: torch.Tensor,
        counts: torch.Tensor,
        intermediate: Sequence[Intermediate],
        names: Sequence[Names],
        heard: Heard,
    ) -> tuple[torch.Tensor, Heard]:
        """Return the output with its bias (B, n, D), and what is known behind it.

        Without names there is a memory, too: a stream may get some later. Where names
        stand is known from the first frame on that has them.

        Args:
            out: Of the encoder (B, n, D).
            counts: Frames of each stream (B,); what is behind them is padding.
            intermediate: Of the same frames, among them the layers of the adapter.
            names: Of each stream.
            heard: From ``begin`` or the call before.
        """
        if not out.shape[1]:
            return out, heard
        found = {one.layer: one.out for one in intermediate}
        hs = [found[layer] for layer in self.adapter.layers]
        hs += [out] * self.adapter.use_last
        query, memories = self.adapter.listen(hs, heard.memory, fast_gru)
        counts = counts.to(out.device)
        rows = torch.arange(len(out), device=out.device)
        last = memories[rows, (counts - 1).clamp(min=0)]
        memory = torch.where(counts[:, None] > 0, last, heard.memory)
        lists = [one.encoded for one in names]
        if all(one is None for one in lists):
            nothing = (None,) * len(lists)
            return out, Heard(memory, nothing, nothing)
        heard = replace(heard, memory=memory)
        catalog = self._joined([one or self._nobody for one in lists])
        near = None
        if self.adapter.margin is not None:
            near, heard = self._near(out, counts, catalog, lists, heard)
        columns = len(out) * self.adapter.heads * (catalog.keys.size(1) + 1)
        size = max(1, ROOM // columns)
        pieces = [
            self.adapter.attend(
                query[:, at : at + size],
                catalog,
                self.scale,
                None if near is None else near.frames(at, at + size),
            )[0]
            for at in range(0, out.shape[1], size)
        ]
        return out + torch.cat(pieces, dim=1), heard

    def _near(
        self,
        out: torch.Tensor,
        counts: torch.Tensor,
        catalog: EncodedCatalog,
        lists: Sequence[EncodedCatalog | None],
        heard: Heard,
    ) -> tuple[Near, Heard]:
        """Return what ``reach.reached`` does of streams with lists of their own."""
        margin = self.adapter.margin
        assert margin is not None
        same = [one is own for one, own in zip(lists, heard.lists, strict=True)]
        before = [
            own if known else None for own, known in zip(heard.reach, same, strict=True)
        ]
        near, after = reached(
            self.ctc.log_softmax(out),
            catalog,
            margin,
            self.blank,
            before,
            counts.tolist(),
        )
        return near, replace(heard, lists=tuple(lists), reach=tuple(after))

    def _joined(self, lists: list[EncodedCatalog]) -> EncodedCatalog:
        """Return the lists of the streams as one; the last one made is kept."""
        if all(one is lists[0] for one in lists):
            return lists[0]
        kept = self._kept
        if kept is None or list(map(id, kept[0])) != list(map(id, lists)):
            self._kept = kept = lists, EncodedCatalog.batch(lists)
        return kept[1]
