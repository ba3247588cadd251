"""Which base model an adapter belongs to."""

import hashlib
from collections.abc import Mapping

import torch


class OtherBase(ValueError):
    """An adapter was trained on another base than it is used with."""


def unknown_base() -> torch.Tensor:
    """Return the fingerprint of an adapter that has met no base (32,)."""
    return torch.zeros(32)


def fingerprint(state: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return what tells a model's parameters and statistics from others' (32,).

    SHA-256 of names, shapes and values, as 32 floats from 0 to 255: these survive
    averaging, and every floating-point type. Doubles count as the floats nearest to
    them.

    Args:
        state: Of the model.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        if tensor.dtype == torch.float64:
            # ESPnet builds means of features so, and rounds them where it trains.
            tensor = tensor.float()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return torch.tensor(list(digest.digest()), dtype=torch.float32)


def short(code: torch.Tensor) -> str:
    """Return the beginning of a fingerprint, to be read by people."""
    return bytes(int(value) for value in code[:6].tolist()).hex()


def check_base(own: torch.Tensor, given: torch.Tensor) -> None:
    """Compare the base that is there with that of an adapter's file.

    Args:
        own: Fingerprint of the base; that of an unknown one fits all.
        given: Of the file.

    Raises:
        OtherBase: they differ; names both.
    """
    if not own.any() or not given.any():
        return
    if not torch.equal(own.float().cpu(), given.float().cpu()):
        raise OtherBase(
            f"the adapter was trained on the base {short(given)}, and this base is "
            f"{short(own)}: use the parameters that base_model names in the adapter's "
            "config.yaml, unchanged and in float32, or train an adapter for this base"
        )
