"""Computational latency: what a slow device has still to do when speech ends."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from espnet_dynlook.lookahead.latency import reaches
from espnet_dynlook.lookahead.values import is_number

#: Frames of context at which attention is counted where all past frames are seen: 4 s
#: at 40 ms a frame.
CONTEXT = 100


def work_per_layer(encoder: Any, context: int | None = None) -> torch.Tensor:
    """Return the floating-point operations of one frame in each layer of an encoder.

    Counted while the layers themselves run. What a frame costs grows linearly with the
    number of frames that it attends to, so that number is stated, not measured.

    Args:
        encoder: With ``encoders``, whose layers are called as (x, pos_emb, mask,
            padding), ``output_size()`` and ``left_context``.
        context: Frames that a frame attends to; None: those of a bounded
            ``left_context`` and the frame itself, else ``CONTEXT``.

    Returns:
        Multiplications and additions, (L,), float32, on the CPU.
    """
    if context is None:
        bounded = encoder.left_context >= 0
        context = encoder.left_context + 1 if bounded else CONTEXT
    size = encoder.output_size()
    work = [_operations(layer, size, context) / context for layer in encoder.encoders]
    return torch.tensor(work, dtype=torch.float32)


def _operations(layer: torch.nn.Module, size: int, num_frames: int) -> float:
    """Count the operations of a layer on an utterance of so many frames."""
    like = next(layer.parameters())
    x = torch.zeros(1, num_frames, size, dtype=like.dtype, device=like.device)
    relative = hasattr(getattr(layer, "self_attn", None), "linear_pos")
    pos_emb = x.new_zeros(1, 2 * num_frames - 1, size) if relative else None
    mask = x.new_zeros(1, 1, num_frames, num_frames)
    was_training = layer.training
    layer.eval()  # dropout and stochastic depth would draw random numbers
    try:
        # Fused attention is one operation that the counter does not know everywhere.
        with (
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            layer(x, pos_emb, mask, None)
    finally:
        layer.train(was_training)
    return float(counter.get_total_flops())


def check_compute_budget(compute_budget: float) -> None:
    """Refuse a device without a speed.

    Raises:
        ValueError: ``compute_budget`` is not above 0, or infinite.
    """
    if not is_number(compute_budget) or compute_budget <= 0:
        raise ValueError(
            f"compute_budget={compute_budget!r} must be above 0 and finite: it is the "
            "real-time factor of the device on this encoder, 0.5 where it computes a "
            "second of speech in half a second"
        )


def arrivals(
    bands: Sequence[torch.Tensor] | None, lengths: torch.Tensor, work: torch.Tensor
) -> torch.Tensor:
    """Return the work that can begin with each input frame, all of an encoder being 1.

    The work of (layer l, frame i) arrives with frame reach_l(i), on which it depends.
    On soft bands it is spread over the two frames around the reach, in proportion (a
    triangular kernel), so that there is a gradient. On binary bands the gradient is the
    mean of those to either side: a device is idle before much work arrives and busy
    after it, so that later by a little changes nothing, and earlier does.

    Args:
        bands: L tensors (B or 1, T, R_l); None: everything waits for the last frame.
        lengths: Frames of each utterance, (B,).
        work: Of one frame in each layer, (L,), in any unit.

    Returns:
        Shares of the work of a frame in all layers, (B, T).
    """
    lengths = lengths.to(torch.long)
    if bands is None:
        last = (lengths - 1).clamp(min=0).float()
        reach = last[None, :, None].expand(len(work), -1, int(lengths.max()))
    else:
        reach = reaches(bands, lengths)  # (L, B, T)
    num_frames = reach.shape[-1]
    index = torch.arange(num_frames, device=lengths.device)
    inside = (index < lengths[:, None]).to(reach.dtype)  # (B, T)
    share = (work / work.sum()).to(reach)[:, None, None] * inside  # (L, B, T)
    before = reach.detach().floor().clamp(0, num_frames - 1)
    late = reach - before
    after = (before + 1).clamp(max=num_frames - 1)
    earlier = (before - 1).clamp(min=0)
    half = torch.where(late == 0, late / 2, 0.0)  # 0, with a gradient
    arriving = torch.zeros_like(share[0])
    for layer in range(len(share)):
        for frame, part in (
            (earlier, -half[layer]),
            (before, 1 - late[layer] + 2 * half[layer]),
            (after, late[layer] - half[layer]),
        ):
            arriving = arriving.scatter_add(1, frame[layer].long(), share[layer] * part)
    return arriving


def backlog(
    bands: Sequence[torch.Tensor] | None,
    lengths: torch.Tensor,
    work: torch.Tensor,
    compute_budget: float,
) -> torch.Tensor:
    """Return how far the device is behind after each frame period.

    B_t = relu(B_{t-1} + arriving_t - P), where the device does P units of work per
    frame period. As the sum S_t of (arriving - P) this is S_t - min(0, min_{k<=t} S_k).

    Args:
        bands: As for ``arrivals``.
        lengths: Frames of each utterance, (B,).
        work: Of one frame in each layer, (L,), in any unit.
        compute_budget: Real-time factor of the device on this encoder, above 0: P is
            the work of one frame divided by it.

    Returns:
        B_t / P in frame periods, (B, T), 0 past the end of an utterance.

    Raises:
        ValueError: ``compute_budget`` is not above 0, or infinite.
    """
    check_compute_budget(compute_budget)
    arriving = arrivals(bands, lengths, work) * compute_budget  # frame periods
    total = (arriving - 1.0).cumsum(dim=1)
    behind = total - total.cummin(dim=1).values.clamp(max=0.0)
    index = torch.arange(behind.shape[1], device=lengths.device)
    return behind.masked_fill(index >= lengths[:, None], 0.0)


def user_perceived_latency(
    bands: Sequence[torch.Tensor] | None,
    lengths: torch.Tensor,
    work: torch.Tensor,
    compute_budget: float,
) -> torch.Tensor:
    """Return how long after the last frame the device has done its work.

    Args:
        bands: As for ``arrivals``; rounded ones, for what decoding would do.
        lengths: Frames of each utterance, (B,).
        work: Of one frame in each layer, (L,), in any unit.
        compute_budget: As for ``backlog``.

    Returns:
        B_T / P in frame periods, (B,).

    Raises:
        ValueError: ``compute_budget`` is not above 0, or infinite.
    """
    behind = backlog(bands, lengths, work, compute_budget)
    last = (lengths.to(torch.long) - 1).clamp(min=0)
    return behind.gather(1, last[:, None])[:, 0]


def latency_at_every_end(
    bands: Sequence[torch.Tensor] | None,
    lengths: torch.Tensor,
    work: torch.Tensor,
    compute_budget: float,
) -> torch.Tensor:
    """Return the user-perceived latency if speech ended with each of the frames.

    Where it ends with frame e, there are no frames after e to wait for: all work of
    the frames up to e that has not arrived by then arrives with e. Up to e - 1 it
    arrives as in the whole utterance, so one pass over the frames serves all ends, and
    the mean over them, which training lowers, needs no sampling.

    Args:
        bands: As for ``arrivals``; contiguous, for this to be exact.
        lengths: Frames of each utterance, (B,).
        work: Of one frame in each layer, (L,), in any unit.
        compute_budget: As for ``backlog``.

    Returns:
        B_e / P in frame periods, (B, T), 0 past the end of an utterance.

    Raises:
        ValueError: ``compute_budget`` is not above 0, or infinite.
    """
    check_compute_budget(compute_budget)
    arriving = arrivals(bands, lengths, work) * compute_budget
    total = (arriving - 1.0).cumsum(dim=1)
    behind = total - total.cummin(dim=1).values.clamp(max=0.0)
    before = torch.nn.functional.pad(behind, (1, -1))  # B_{e-1}
    arrived = torch.nn.functional.pad(arriving.cumsum(dim=1), (1, -1))
    index = torch.arange(behind.shape[1], device=lengths.device)
    rest = compute_budget * (index + 1) - arrived
    return (before + rest - 1.0).relu().masked_fill(index >= lengths[:, None], 0.0)
