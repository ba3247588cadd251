"""Contextual adapter: attention from an encoder's frames to a list of names.

After contextual adapters (Sathyendra et al., arXiv 2205.13660) on several layers of a
CTC encoder (Dingliwal et al., arXiv 2210.09510); the details are our own.
"""

from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.fingerprint import check_base, unknown_base

#: Segmentations that are encoded at a time.
BLOCK = 1024


class CatalogEncoder(torch.nn.Module):
    """A BiLSTM over the embeddings of a name's tokens: one vector a segmentation.

    The mean of the embeddings goes past the LSTM. It has no order, but it lies where
    the frames of those tokens lie, so that attention finds names much sooner.

    Args:
        vocab_size: V.
        size: D, of an embedding and of the encoder.
        attention_size: A, of the vector.
        dropout: Rate, of embeddings and of vectors.
    """

    def __init__(self, vocab_size: int, size: int, attention_size: int, dropout: float):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab_size, size)
        self.norm = torch.nn.LayerNorm(size)
        self.lstm = torch.nn.LSTM(
            size, attention_size, batch_first=True, bidirectional=True
        )
        self.output = torch.nn.Linear(2 * attention_size, attention_size)
        self.mean = torch.nn.Linear(size, attention_size, bias=False)
        self.after_norm = torch.nn.LayerNorm(attention_size)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, names: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return the vectors (N, A) of token sequences, none of them empty."""
        device = self.embedding.weight.device
        lengths = torch.tensor([len(ids) for ids in names])
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(ids) for ids in names], batch_first=True
        ).to(device)
        embedded = self.dropout(self.norm(self.embedding(padded)))
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            embedded, lengths, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)  # (2, N, A): forwards, backwards
        number = lengths.to(device)[:, None]
        inside = torch.arange(padded.size(1), device=device) < number
        mean = (embedded * inside[:, :, None]).sum(dim=1) / number
        vectors = self.output(torch.cat((last[0], last[1]), dim=1)) + self.mean(mean)
        return self.dropout(self.after_norm(vectors))


class ContextualAdapter(torch.nn.Module):
    """Adds to the final output of an encoder what a list of names says about it.

    ``h_t + b_t``, with ``b_t`` a multi-head attention of the query
    ``q_t = sum_l softmax(w)_l LN(h_t^l)`` over the names and ``<no-bias>``, whose value
    is exactly zero. The output projection starts at zero, so that a new adapter changes
    nothing. Frames are independent of each other: any frames of a stream may be given.

    A name with several segmentations is the mean of their vectors: it keeps one column
    of attention, and its mass does not depend on how many ways there are to write it.

    Args:
        layers: Layers of the encoder, from 1, that the query is made of.
        use_last: Whether the final output is one of them, too.
        size: D, of the encoder.
        vocab_size: V.
        attention_size: A, over all heads.
        heads: H.
        dropout: Rate, inside the encoder of names.

    Raises:
        ValueError: sizes do not go together.
    """

    base: torch.Tensor

    def __init__(
        self,
        layers: Sequence[int],
        use_last: bool,
        size: int,
        vocab_size: int,
        attention_size: int = 128,
        heads: int = 4,
        dropout: float = 0.1,
    ):
        super().__init__()
        if attention_size < 1 or heads < 1 or attention_size % heads:
            raise ValueError(
                f"adapter_size={attention_size} must be a multiple of "
                f"adapter_heads={heads}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"adapter_dropout={dropout} must be from 0, and below 1")
        self.layers = tuple(layers)
        self.use_last = use_last
        number = len(self.layers) + use_last
        if not number:
            raise ValueError(
                "adapter_layers=[] with adapter_use_last=false leaves nothing to make "
                "the query of: name layers, or set adapter_use_last: true"
            )
        self.heads = heads
        self.names = CatalogEncoder(vocab_size, size, attention_size, dropout)
        self.norms = torch.nn.ModuleList(
            torch.nn.LayerNorm(size) for _ in range(number)
        )
        self.mixture = torch.nn.Parameter(torch.zeros(number))
        self.query = torch.nn.Linear(size, attention_size)
        self.key = torch.nn.Linear(attention_size, attention_size)
        self.value = torch.nn.Linear(attention_size, attention_size, bias=False)
        self.no_bias = torch.nn.Parameter(torch.randn(attention_size) * 0.1)
        self.output = torch.nn.Linear(attention_size, size, bias=False)
        torch.nn.init.zeros_(self.output.weight)
        # Which base it is for. Floats: integers are summed when models are averaged.
        self.register_buffer("base", unknown_base())

    def _load_from_state_dict(self, state: Any, prefix: str, *others: Any) -> None:
        """Load, unless the parameters were trained on another base.

        Raises:
            OtherBase: they were; names both.
        """
        if prefix + "base" in state:
            check_base(self.base, state[prefix + "base"])
        super()._load_from_state_dict(state, prefix, *others)

    def start_from(self, rows: torch.Tensor) -> None:
        """Start from the rows (V, D) of a CTC head.

        They are the embeddings of tokens, and where they point frames of those tokens
        point, too: a frame begins by attending to names with its own token.
        """
        with torch.no_grad():
            self.names.embedding.weight.copy_(rows)
            torch.nn.init.orthogonal_(self.query.weight)
            torch.nn.init.zeros_(self.query.bias)
            self.names.mean.weight.copy_(self.query.weight)
            torch.nn.init.eye_(self.key.weight)
            torch.nn.init.zeros_(self.key.bias)

    def stamp(self) -> tuple[Any, ...]:
        """Return what changes whenever a parameter does."""
        return tuple((p.data_ptr(), p._version) for p in self.parameters())

    def encode(
        self,
        names: Sequence[Sequence[Sequence[int]]],
        weights: Sequence[float] | None = None,
        texts: Sequence[str] = (),
    ) -> EncodedCatalog:
        """Encode a list of names, to be used as often as wanted.

        Args:
            names: Of each name, its segmentations, each a list of token numbers.
            weights: What each name's bias is multiplied by; None: 1.
            texts: The names as written.

        Raises:
            ValueError: a name has no segmentation, or an empty one.
        """
        empty = [n for n, ways in enumerate(names) if not ways or not all(ways)]
        if empty:
            raise ValueError(f"names {empty[:10]} of the catalog have no tokens")
        size = self.no_bias.numel()
        if not names:
            nothing = self.no_bias.new_zeros(1, 0, size)
            return EncodedCatalog(nothing, nothing, None, (), self.stamp())
        # In one order whatever that of the list, and near lengths together.
        ways = sorted({tuple(w) for name in names for w in name}, key=_by_length)
        place = {way: number for number, way in enumerate(ways)}
        vectors = torch.cat(
            [self.names(ways[at : at + BLOCK]) for at in range(0, len(ways), BLOCK)]
        )
        rows = [place[tuple(w)] for name in names for w in name]
        owner = [n for n, name in enumerate(names) for _ in name]
        number = torch.tensor([len(name) for name in names], device=vectors.device)
        means = vectors.new_zeros(len(names), size).index_add(
            0,
            torch.tensor(owner, device=vectors.device),
            vectors[torch.tensor(rows, device=vectors.device)],
        )
        means = means / number[:, None]
        values = self.value(means)
        if weights is not None:
            values = values * values.new_tensor(list(weights))[:, None]
        return EncodedCatalog(
            self.key(means)[None], values[None], None, tuple(texts), self.stamp()
        )

    def forward(
        self, hs: Sequence[torch.Tensor], catalog: EncodedCatalog, scale: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the bias of frames, and where they attend.

        Args:
            hs: Outputs of the layers, then of the whole encoder with ``use_last``; each
                (B, n, D), of the same frames.
            catalog: From ``encode``.
            scale: What the bias is multiplied by.

        Returns:
            The bias (B, n, D); the attention, a mean over the heads (B, n, N + 1),
            whose first column is ``<no-bias>``.

        Raises:
            ValueError: as ``by_head``.
        """
        bias, attention = self.by_head(hs, catalog, scale)
        return bias, attention.mean(dim=1)

    def by_head(
        self, hs: Sequence[torch.Tensor], catalog: EncodedCatalog, scale: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the bias of frames, and where every head attends (B, H, n, N + 1).

        Arguments are those of ``forward``.

        Raises:
            ValueError: the catalog was encoded with other parameters, or the outputs
                are not those that the adapter reads.
        """
        if len(hs) != len(self.norms) or len({h.shape for h in hs}) != 1:
            raise ValueError(
                f"the adapter reads {len(self.norms)} outputs (layers "
                f"{list(self.layers)}{' and the last' * self.use_last}) of one shape, "
                f"not {[tuple(h.shape) for h in hs]}"
            )
        if catalog.stamp != self.stamp():
            raise ValueError(
                "the catalog was encoded with other parameters than the adapter now "
                "has: encode it again"
            )
        batch, frames, size = hs[0].shape
        if not len(catalog):
            return hs[0].new_zeros(batch, frames, size), hs[0].new_ones(
                batch, self.heads, frames, 1
            )
        shared = catalog.keys.size(0) == 1
        query = self._query(hs)  # (B, n, A)
        if shared:  # one list: the frames of all utterances are rows of one product
            query = query.reshape(1, batch * frames, -1)
        q, k, v = (self._split(x) for x in (query, catalog.keys, catalog.values))
        nobody = self._split(self.no_bias[None, None].to(q.dtype))  # (1, H, 1, A/H)
        scores = torch.cat(
            (q @ nobody.transpose(2, 3), q @ k.transpose(2, 3).to(q.dtype)), dim=-1
        )
        scores = scores.float() / q.size(-1) ** 0.5
        if shared:  # (1, H, B n, N + 1) -> (B, H, n, N + 1)
            scores = scores.unflatten(2, (batch, frames))[0].transpose(0, 1)
        if catalog.present is not None:
            closed = ~catalog.present[:, None, None, :]
            closed = torch.nn.functional.pad(closed, (1, 0), value=False)
            scores = scores.masked_fill(closed, float("-inf"))
        attention = scores.softmax(dim=-1)  # (B, H, n, N + 1)
        weights = attention[..., 1:].to(v.dtype)  # the value of <no-bias> is zero
        if shared:
            rows = weights.transpose(0, 1).flatten(1, 2)  # (H, B n, N)
            context = (rows @ v[0]).unflatten(1, (batch, frames)).transpose(0, 1)
        else:
            context = weights @ v
        bias = self.output(context.transpose(1, 2).flatten(2))
        return bias * scale, attention

    def _query(self, hs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the queries (B, n, A)."""
        weights = self.mixture.softmax(dim=0)
        pairs = zip(weights, self.norms, hs, strict=True)
        return self.query(sum(w * norm(h) for w, norm, h in pairs))  # type: ignore[arg-type]

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (C, n, A) into (C, H, n, A / H)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _by_length(ids: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return len(ids), ids
