# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Attention written from its definition; tests compare the fast version with it."""

import math

import torch

from espnet_dynlook.encoder.attention import MaskedRelPositionMultiHeadedAttention


def attention(
    layer: MaskedRelPositionMultiHeadedAttention,
    x: torch.Tensor,
    pos_emb: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Compute relative-position attention one query, head and key at a time.

    Args:
        layer: Whose parameters are used.
        x: Input tensor (time, size).
        pos_emb: Positional embedding (2 * time - 1, size).
        weights: How much row i attends to frame j, in [0, 1], (time, time).

    Returns:
        Output tensor (time, size).
    """
    num_frames = len(x)
    q, k, v, p = (
        linear(y).view(len(y), layer.h, layer.d_k)
        for linear, y in (
            (layer.linear_q, x),
            (layer.linear_k, x),
            (layer.linear_v, x),
            (layer.linear_pos, pos_emb),
        )
    )
    rows = []
    for i in range(num_frames):
        heads = []
        for h in range(layer.h):
            total, out = x.new_zeros(()), x.new_zeros(layer.d_k)
            for j in range(num_frames):
                distance = p[num_frames - 1 - (i - j), h]
                content = (q[i, h] + layer.pos_bias_u[h]) @ k[j, h]
                position = (q[i, h] + layer.pos_bias_v[h]) @ distance
                score = ((content + position) / math.sqrt(layer.d_k)).exp()
                total = total + weights[i, j] * score
                out = out + weights[i, j] * score * v[j, h]
            heads.append(out / total)
        rows.append(torch.cat(heads))
    return layer.linear_out(torch.stack(rows))


def expected_attention(
    scores: torch.Tensor, v: torch.Tensor, band: torch.Tensor
) -> torch.Tensor:
    """Average what a row would be over how long it waits.

    Args:
        scores: Of every key for every row (time, time); -inf where the past is not
            seen.
        v: Values (time, d_k).
        band: Probability that row i sees frame i + d, falling in d (time, R).

    Returns:
        Outputs (time, d_k).
    """
    rows = []
    for i in range(len(scores)):
        stay = [1.0, *band[i].tolist(), 0.0]
        out = torch.zeros_like(v[0])
        for d in range(len(stay) - 1):
            probability = stay[d] - stay[d + 1]
            if probability > 0:
                out = (
                    out
                    + probability * scores[i, : i + d + 1].softmax(0) @ v[: i + d + 1]
                )
        rows.append(out)
    return torch.stack(rows)
