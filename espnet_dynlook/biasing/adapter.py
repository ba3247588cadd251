"""Contextual adapter: attention from an encoder's frames to a list of names.

After contextual adapters (Sathyendra et al., arXiv 2205.13660) on several layers of a
CTC encoder (Dingliwal et al., arXiv 2210.09510); the details are our own.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from espnet_dynlook.biasing.beginnings import Beginnings
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.fingerprint import check_base, unknown_base
from espnet_dynlook.biasing.near import Near

#: Gives the outputs of a GRU (B, n, A) for inputs (B, n, D) and a state (B, A) or None.
RunGRU = Callable[[torch.nn.GRU, torch.Tensor, torch.Tensor | None], torch.Tensor]


def torch_gru(
    gru: torch.nn.GRU, inputs: torch.Tensor, state: torch.Tensor | None
) -> torch.Tensor:
    """Return the outputs (B, n, A) of a GRU, as torch computes them.

    Args:
        gru: Of one layer, with ``batch_first``.
        inputs: (B, n, D).
        state: Its output behind the frame before these (B, A); None: zeros.
    """
    return gru(inputs, None if state is None else state[None].contiguous())[0]


class CatalogEncoder(torch.nn.Module):
    """A GRU that walks along names: a vector for each of their beginnings.

    Args:
        vocab_size: V.
        size: D, of an embedding and of the encoder.
        attention_size: A, of the GRU.
        dropout: Rate, of embeddings and of vectors.
    """

    def __init__(self, vocab_size: int, size: int, attention_size: int, dropout: float):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab_size, size)
        self.norm = torch.nn.LayerNorm(size)
        self.walk = torch.nn.GRUCell(size, attention_size)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, names: Beginnings) -> torch.Tensor:
        """Return last tokens' embeddings, and what is behind beginnings (M, D + A)."""
        weight = self.embedding.weight
        tokens = torch.from_numpy(names.tokens).to(weight.device)
        parents = torch.from_numpy(names.parents).to(weight.device)
        embedded = self.dropout(self.norm(self.embedding(tokens)))
        reached: list[torch.Tensor] = []
        for level, (start, end) in enumerate(itertools.pairwise(names.levels)):
            before = None
            if level:
                before = reached[-1][parents[start:end] - names.levels[level - 1]]
            reached.append(self.walk(embedded[start:end], before))
        return torch.cat((embedded, self.dropout(torch.cat(reached))), dim=1)


class ContextualAdapter(torch.nn.Module):
    """Adds to the final output of an encoder what a list of names says about it.

    ``h_t + b_t``, with ``b_t`` a multi-head attention over the beginnings of names and
    ``<no-bias>``, whose value is exactly zero. A beginning is a token of a name, with
    those before it; the query of a frame is ``m_t = sum_l softmax(w)_l LN(h_t^l)``
    together with a GRU over ``m_1 .. m_t``, so that a frame looks for the tokens that
    were said up to it. The output projection starts at zero: a new adapter changes
    nothing. Frames depend on those before them alone, through ``memory``: any frames of
    a stream may be given, one after another.

    With a margin, frames attend only to beginnings that the base has near its best
    path, and the nearer the more: a score has ``a d' + b d`` too, where ``d'`` and
    ``d`` are the beginning's distances without the frame and with it, and a, b are
    learned. ``d'`` says how well what was said fits the name until here, as the tree
    of a pointer generator (TCPGen, Sun et al., arXiv 2109.00627) does by yes and no.

    What several names begin with has one column of attention, and so has a name that
    is listed twice; other segmentations of a name are further beginnings.

    Args:
        layers: Layers of the encoder, from 1, that the query is made of.
        use_last: Whether the final output is one of them, too.
        size: D, of the encoder.
        vocab_size: V.
        attention_size: A, over all heads, and of the GRUs.
        heads: H.
        dropout: Rate, of embeddings and of what the GRUs give.
        margin: How far below the base's best path a beginning may be, in nats, for a
            frame to attend to it (see ``search.reach``); None: any distance.

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
        heads: int = 1,
        dropout: float = 0.1,
        margin: float | None = None,
    ):
        super().__init__()
        if attention_size < 1 or heads < 1 or attention_size % heads:
            raise ValueError(
                f"adapter_size={attention_size} must be a multiple of "
                f"adapter_heads={heads}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"adapter_dropout={dropout} must be from 0, and below 1")
        if margin is not None and not margin > 0:
            raise ValueError(
                f"adapter_margin={margin} must be above 0, in nats, or null: frames "
                "attend to all of a list"
            )
        self.layers = tuple(layers)
        self.margin = margin
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
        self.listener = torch.nn.GRU(size, attention_size, batch_first=True)
        self.query = torch.nn.Linear(size + attention_size, attention_size)
        self.key = torch.nn.Linear(size + attention_size, attention_size)
        self.value = torch.nn.Linear(size + attention_size, attention_size, bias=False)
        self.no_bias = torch.nn.Parameter(torch.randn(attention_size) * 0.1)
        if margin is not None:
            self.nearness = torch.nn.Parameter(torch.full((2,), 0.1))
        self.dropout = torch.nn.Dropout(dropout)
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
        size = rows.size(1)
        with torch.no_grad():
            self.names.embedding.weight.copy_(rows)
            torch.nn.init.orthogonal_(self.query.weight[:, :size])
            self.key.weight[:, :size] = self.query.weight[:, :size]

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
        beginnings = Beginnings.of(names)
        if not len(beginnings):
            nothing = self.no_bias.new_zeros(1, 0, self.no_bias.numel())
            return EncodedCatalog(
                nothing, nothing, (beginnings,), None, None, (), self.stamp()
            )
        vectors = self.names(beginnings)
        values = self.value(vectors)
        if weights is not None:  # what names share has the largest of theirs
            name, node = beginnings.pairs
            most = np.full(len(beginnings), -np.inf)
            np.maximum.at(most, node, np.asarray(weights, dtype=np.float64)[name])
            values = values * torch.from_numpy(most).to(values)[:, None]
        return EncodedCatalog(
            self.key(vectors)[None],
            values[None],
            (beginnings,),
            None,
            None,
            tuple(texts),
            self.stamp(),
        )

    def listen(
        self,
        hs: Sequence[torch.Tensor],
        memory: torch.Tensor | None = None,
        run: RunGRU = torch_gru,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what frames look for (B, n, A), and memories behind each (B, n, A).

        Args:
            hs: Outputs of the layers, then of the whole encoder with ``use_last``; each
                (B, n, D), of the same frames.
            memory: What was heard before (B, A); None: nothing.
            run: Runs the GRU; ``search.gru.fast_gru`` is the faster one without a
                gradient.

        Raises:
            ValueError: these are not the outputs that the adapter reads.
        """
        if len(hs) != len(self.norms) or len({h.shape for h in hs}) != 1:
            raise ValueError(
                f"the adapter reads {len(self.norms)} outputs (layers "
                f"{list(self.layers)}{' and the last' * self.use_last}) of one shape, "
                f"not {[tuple(h.shape) for h in hs]}"
            )
        weights = self.mixture.softmax(dim=0)
        pairs = zip(weights, self.norms, hs, strict=True)
        mixed = self.dropout(sum(w * norm(h) for w, norm, h in pairs))
        memories = run(self.listener, mixed, memory)
        both = torch.cat((mixed, self.dropout(memories)), dim=2)
        return self.query(both), memories

    def forward(
        self,
        hs: Sequence[torch.Tensor],
        catalog: EncodedCatalog,
        scale: float = 1.0,
        near: Near | None = None,
        run: RunGRU = torch_gru,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the bias of whole utterances, and where their frames attend.

        Args:
            hs: As for ``listen``.
            catalog: From ``encode``.
            scale: What the bias is multiplied by.
            near: Which beginnings each frame may attend to, from ``reach.reached``;
                None: all, of an adapter without a margin.
            run: As for ``listen``.

        Returns:
            The bias (B, n, D); the attention of each head (B, H, n, M + 1) on
            ``<no-bias>``, the first column, and on the beginnings of the catalog, for
            ``catalog.by_name``.

        Raises:
            ValueError: as ``listen`` and ``attend``.
        """
        query, _ = self.listen(hs, run=run)
        bias, attention = self.attend(query, catalog, scale, near)
        if near is not None:
            attention = near.spread(attention, catalog.keys.size(1))
        return bias, attention

    def attend(
        self,
        query: torch.Tensor,
        catalog: EncodedCatalog,
        scale: float = 1.0,
        near: Near | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what ``forward`` does, of the frames of a query (B, n, A).

        Only that attention is on the K beginnings which are near in any of the frames
        (B, H, n, K + 1); ``near.spread`` makes it that on all of them.

        Raises:
            ValueError: the catalog was encoded with other parameters.
        """
        if catalog.stamp != self.stamp():
            raise ValueError(
                "the catalog was encoded with other parameters than the adapter now "
                "has: encode it again"
            )
        batch, frames, _ = query.shape
        if not len(catalog):
            size = self.output.out_features
            return query.new_zeros(batch, frames, size), query.new_ones(
                batch, self.heads, frames, 1
            )
        keys, values, opened = catalog.keys, catalog.values, catalog.open
        if near is not None:  # most of a long list is near in no frame at all
            keys, values = keys[:, near.columns], values[:, near.columns]
            opened = None if opened is None else opened[:, near.columns]
        shared = keys.size(0) == 1
        if shared:  # one list: the frames of all utterances are rows of one product
            query = query.reshape(1, batch * frames, -1)
        nobody = self.no_bias.to(keys.dtype).expand(len(keys), 1, -1)
        keys = torch.cat((nobody, keys), dim=1)
        query = query / (query.size(-1) / self.heads) ** 0.5
        q, k, v = (self._split(x) for x in (query, keys, values))
        # Each pass over the scores of a long list takes time: as few as can be.
        scores = (q @ k.transpose(2, 3).to(q.dtype)).float()
        if shared:  # (1, H, B n, M + 1) -> (B, H, n, M + 1)
            scores = scores.unflatten(2, (batch, frames))[0].transpose(0, 1)
        names = scores[..., 1:]
        if near is not None:
            without, with_it = near.distances.unbind(dim=-1)
            nearer = (without * self.nearness[0]).addcmul_(with_it, self.nearness[1])
            names += nearer.add_(near.barred)[:, None]
        if opened is not None:
            names.masked_fill_(~opened[:, None, None, :], float("-inf"))
        attention = scores.softmax(dim=-1)  # (B, H, n, M + 1)
        weights = attention[..., 1:].to(v.dtype)  # the value of <no-bias> is zero
        if shared:
            rows = weights.transpose(0, 1).flatten(1, 2)  # (H, B n, M)
            context = (rows @ v[0]).unflatten(1, (batch, frames)).transpose(0, 1)
        else:
            context = weights @ v
        bias = self.output(context.transpose(1, 2).flatten(2))
        return bias * scale, attention

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """Turn (C, n, A) into (C, H, n, A / H)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
