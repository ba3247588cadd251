# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Self-attention whose mask is added to the scores: what a scheduler can fill in.

ESPnet's attention layers, with their parameters and their initial values, but with
``softmax_j(score(i, j) + mask(i, j))`` in one call of
``scaled_dot_product_attention``: relative positions and the mask are one additive term.
While a scheduler learns, the mask is an ``ExpectedMask`` (``encoder.expected``).
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.expected import ExpectedMask, expected_bias

MultiHeadedAttention: Any = espnet_nets(
    "pytorch_backend.transformer.attention"
).MultiHeadedAttention


#: Distances that are made together.
POSITION_BLOCK = 32


class MaskedMultiHeadedAttention(MultiHeadedAttention):
    """Multi-head self-attention with an additive mask.

    Args:
        n_head: The number of heads.
        n_feat: The number of features.
        dropout_rate: Dropout rate of the attention weights.
        qk_norm: Whether queries and keys are normalized before their product.
    """

    def forward(
        self,
        x: torch.Tensor,
        pos_emb: torch.Tensor | None,
        mask: torch.Tensor | ExpectedMask,
    ) -> torch.Tensor:
        """Attend.

        Args:
            x: Input tensor (#batch, time, size).
            pos_emb: Not used: absolute positions are in x.
            mask: Additive mask (#batch or 1, 1, time, time), dtype of x; or that of
                rows that have not decided how long they wait.

        Returns:
            Output tensor (#batch, time, size).
        """
        q, k, v = self.forward_qkv(x, x, x)  # (#batch, head, time, d_k)
        return self._attend(q, k, v, None, mask)

    def _attend(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        position: torch.Tensor | None,
        mask: torch.Tensor | ExpectedMask,
    ) -> torch.Tensor:
        """Attend with the heads' queries, keys and values (#batch, head, time, d_k).

        Args:
            q: Queries.
            k: Keys.
            v: Values.
            position: Scores of the positions (#batch, head, time, time), or None.
            mask: As for ``forward``.
        """
        if isinstance(mask, torch.Tensor):
            out = self._heads(q, k, v, position, mask)
        elif mask.hard is None:
            out = self._heads(q, k, v, position, self._expected(q, k, position, mask))
        else:
            # As drawn; but its gradient by the band is that of the expected output.
            at = None if position is None else position.detach()
            still = (q.detach(), k.detach())
            bias = self._expected(*still, at, mask)
            expected = self._heads(*still, v.detach(), at, bias)
            out = self._heads(q, k, v, position, mask.hard)
            out = out + (expected - expected.detach())
        return self.linear_out(out.transpose(1, 2).flatten(2))

    def _expected(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        position: torch.Tensor | None,
        mask: ExpectedMask,
    ) -> torch.Tensor:
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.d_k)
        if position is not None:
            scores = scores + position
        return expected_bias(scores, mask)

    def _heads(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        position: torch.Tensor | None,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Return the heads' outputs (#batch, head, time, d_k)."""
        if position is not None:
            bias = bias + position
        if self._forward_hooks and not self.training:
            # ESPnet's attention plots read the weights with a hook. Nobody else wants
            # them, and the fused attention below never has them.
            scores = q @ k.transpose(-2, -1) / math.sqrt(self.d_k) + bias
            self.attn = scores.softmax(dim=-1)
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=bias.to(q.dtype),
            dropout_p=self.dropout_rate if self.training else 0.0,
        )


class MaskedRelPositionMultiHeadedAttention(MaskedMultiHeadedAttention):
    """Multi-head self-attention with relative positions and an additive mask.

    The "latest" relative positions of ESPnet (https://arxiv.org/abs/1901.02860, section
    3.3). The legacy ones depend on the length of the utterance and cannot stream.

    Args:
        n_head: The number of heads.
        n_feat: The number of features.
        dropout_rate: Dropout rate of the attention weights.
        zero_triu: Whether future frames get no relative-position term.
    """

    def __init__(
        self, n_head: int, n_feat: int, dropout_rate: float, zero_triu: bool = False
    ):
        super().__init__(n_head, n_feat, dropout_rate)
        self.zero_triu = zero_triu
        # In the order of ESPnet, so that equal seeds give equal weights.
        self.linear_pos = torch.nn.Linear(n_feat, n_feat, bias=False)
        self.pos_bias_u = torch.nn.Parameter(torch.empty(self.h, self.d_k))
        self.pos_bias_v = torch.nn.Parameter(torch.empty(self.h, self.d_k))
        torch.nn.init.xavier_uniform_(self.pos_bias_u)
        torch.nn.init.xavier_uniform_(self.pos_bias_v)

    def forward(
        self,
        x: torch.Tensor,
        pos_emb: torch.Tensor | None,
        mask: torch.Tensor | ExpectedMask,
    ) -> torch.Tensor:
        """Attend.

        Args:
            x: Input tensor (#batch, time, size).
            pos_emb: Positional embedding (1, 2 * time - 1, size), from distance
                time - 1 (the past) down to 1 - time (the future).
            mask: As for the attention without positions.

        Returns:
            Output tensor (#batch, time, size).
        """
        assert pos_emb is not None
        q, k, v = self.forward_qkv(x, x, x)  # (#batch, head, time, d_k)
        p = self.linear_pos(pos_emb).view(1, -1, self.h, self.d_k).transpose(1, 2)
        by_distance = (q + self.pos_bias_v[:, None]) @ p.transpose(-2, -1)
        by_key = distances_to_keys(by_distance)  # (#batch, head, time, time)
        if self.zero_triu:
            by_key = by_key.tril()
        position = by_key / math.sqrt(self.d_k)
        return self._attend(q + self.pos_bias_u[:, None], k, v, position, mask)

    def position_scores(self, q: torch.Tensor, distance: np.ndarray) -> torch.Tensor:
        """Return what relative positions add to the scores of some rows.

        Args:
            q: Queries without bias (#batch, head, rows, d_k).
            distance: Row minus key (#batch or 1, rows, keys), on the host.

        Returns:
            (#batch, head, rows, keys).
        """
        first, p = self._position_keys(int(distance.min()), int(distance.max()))
        by_distance = (q + self.pos_bias_v[:, None]) @ p.transpose(-2, -1)
        at = torch.from_numpy(distance - first).to(q.device)[:, None]
        scores = by_distance.gather(3, at.expand(len(q), self.h, -1, -1))
        if self.zero_triu:
            future = torch.from_numpy(distance < 0).to(q.device)
            scores = scores.masked_fill(future[:, None], 0.0)
        return scores / math.sqrt(self.d_k)

    def _position_keys(self, low: int, high: int) -> tuple[int, torch.Tensor]:
        """Return the first distance of a table, and the table (head, distances, d_k).

        Streams ask for the same distances over and over, so they are kept. They are
        made in blocks, so that their values, to the last bit, depend on no other call.
        """
        weight = self.linear_pos.weight
        made_of = (weight.data_ptr(), weight._version, weight.dtype, weight.device)
        blocks = range(low // POSITION_BLOCK, high // POSITION_BLOCK + 1)
        kept = getattr(self, "_kept_positions", None)
        if kept is None or kept[0] != made_of or torch.is_grad_enabled():
            kept = (made_of, blocks.start, torch.zeros(0))
        start, table = kept[1], kept[2]
        stop = start + table.shape[1] // POSITION_BLOCK if table.numel() else start
        if blocks.start < start or blocks.stop > stop:
            before = [self._block(n) for n in range(blocks.start, start)]
            after = [self._block(n) for n in range(stop, blocks.stop)]
            own = [table] if table.numel() else []
            start, table = min(start, blocks.start), torch.cat(before + own + after, 1)
            if not torch.is_grad_enabled():
                self._kept_positions = (made_of, start, table)
        first = (blocks.start - start) * POSITION_BLOCK
        size = len(blocks) * POSITION_BLOCK
        return blocks.start * POSITION_BLOCK, table[:, first : first + size]

    def _block(self, number: int) -> torch.Tensor:
        """Return the keys of one block of distances (head, distances, d_k)."""
        weight = self.linear_pos.weight
        distance = torch.arange(POSITION_BLOCK, device=weight.device)
        distance = distance + number * POSITION_BLOCK
        p = self.linear_pos(sinusoids(distance, self.h * self.d_k).to(weight.dtype))
        return p.view(-1, self.h, self.d_k).transpose(0, 1)


def sinusoids(position: torch.Tensor, size: int) -> torch.Tensor:
    """Return the sines and cosines of positions, as ESPnet's encodings have them.

    Args:
        position: Of any sign (...).
        size: Even.

    Returns:
        (..., size), float32.
    """
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=position.device)
    angle = position.float()[..., None] * torch.exp(steps * -(math.log(10000.0) / size))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)


def distances_to_keys(scores: torch.Tensor) -> torch.Tensor:
    """Read scores by distance as scores by key, without copying.

    Args:
        scores: (..., T, 2 T - 1): entry c of row i belongs to the key i - (T - 1 - c).

    Returns:
        (..., T, T): entry j of row i belongs to the key j.
    """
    num_frames = scores.shape[-2]
    if num_frames == 1:
        return scores
    # Row i starts at element i (2T - 1) + T - 1 - i of the flat tensor: rows that are
    # 2T - 2 apart, the first at T - 1.
    width = 2 * num_frames - 2
    flat = scores.flatten(-2)[..., num_frames - 1 : num_frames - 1 + num_frames * width]
    return flat.unflatten(-1, (num_frames, width))[..., :num_frames]


def additive_mask(
    num_frames: int,
    log_band: torch.Tensor | None,
    lengths: torch.Tensor,
    left_context: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Turn a band of log weights into what is added to the attention scores.

    Args:
        num_frames: T.
        log_band: Log weights of future frames (B or 1, T, R) or (T, R), at most 0;
            None: all 0.
        lengths: Frames of each utterance, (B,); keys past the end get no weight.
        left_context: Past frames that a row sees; -1: all.
        dtype: Of the scores.

    Returns:
        (B or 1, 1, T, T). "No weight" is a finite value whose exponential is zero, not
        -inf, so that rows past the end of an utterance, which may see nothing, are
        not NaN.
    """
    # Half of the lowest, so that adding a score cannot overflow to -inf.
    lowest = max(torch.finfo(dtype).min / 2, -1e30)
    device = lengths.device
    index = torch.arange(num_frames, device=device)
    ahead = index - index[:, None]  # (T, T): key minus row
    mask = torch.zeros(1, num_frames, num_frames, dtype=dtype, device=device)
    if left_context >= 0:
        mask = mask.masked_fill(ahead < -left_context, lowest)
    if log_band is not None:
        log_band = log_band if log_band.dim() == 3 else log_band[None]
        weight = log_band.clamp(min=lowest).to(dtype)  # (B or 1, T, R)
        # One column more, which stands for everything beyond the band.
        weight = F.pad(weight, (0, 1), value=lowest)
        column = (ahead - 1).clamp(0, log_band.shape[-1])
        future = weight.gather(2, column.expand(weight.shape[0], -1, -1))
        mask = torch.where(ahead > 0, future, mask)
    if int(lengths.min()) < num_frames:
        padding = index >= lengths[:, None]  # (B, T)
        mask = mask.masked_fill(padding[:, None], lowest)
    return mask[:, None]
