"""Mixed precision on a CPU: bfloat16 inside the networks, float32 around them."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

#: Parts of ESPnet's ASR model that compute in bfloat16. Front end, normalization, CTC
#: and the decoder's criterion stay outside: a log-mel, a log-softmax over the
#: vocabulary, and a loss need more than bfloat16's 8 bits.
NETWORKS = ("preencoder", "encoder", "postencoder", "decoder")


def cpu_has_bfloat16() -> bool | None:
    """Say whether this CPU has bfloat16 instructions; None where it does not tell.

    Without them bfloat16 is emulated, several times slower than float32.
    """
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    flags: set[str] = set()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):  # x86, ARM
            flags.update(line.partition(":")[2].split())
    if not flags:
        return None
    return bool(flags & {"amx_bf16", "avx512_bf16", "bf16"})


def to_float32(value: Any) -> Any:
    """Return a nested tuple or list with every bfloat16 tensor as float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if isinstance(value, tuple):
        return tuple(to_float32(item) for item in value)
    if isinstance(value, list):
        return [to_float32(item) for item in value]
    return value


def _in_bfloat16(forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = forward(*args, **kwargs)
        return to_float32(output)

    return wrapped


@contextlib.contextmanager
def bfloat16_on_cpu(model: torch.nn.Module) -> Iterator[None]:
    """Run the model's networks in bfloat16 inside a ``with`` block.

    Parameters, gradients, the optimizer and the losses stay float32; only the forward
    pass of ``NETWORKS`` is under autocast, and hands out float32. bfloat16 has
    float32's range, so there is no loss to scale and no GradScaler.

    Args:
        model: With all or some of ``NETWORKS`` as attributes.
    """
    parts: list[Any] = [getattr(model, name, None) for name in NETWORKS]
    networks = [part for part in parts if part is not None]
    if not networks:  # a language model: torch's LSTM needs the instructions for it
        logging.warning(
            "--use_amp true changes nothing on a CPU for this model, which has none of "
            f"{', '.join(NETWORKS)}: it trains in float32"
        )
    elif cpu_has_bfloat16() is False:
        logging.warning(
            "--use_amp true: this CPU has no bfloat16 instructions (amx_bf16, "
            "avx512_bf16, ARM bf16), so training is slower than with --use_amp false"
        )
    try:
        for network in networks:
            network.forward = _in_bfloat16(network.forward)
        yield
    finally:
        for network in networks:
            network.__dict__.pop("forward", None)  # the class's own shows again
