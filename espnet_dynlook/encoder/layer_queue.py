# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""How frames get into a streaming layer: queued, then projected together."""

from dataclasses import replace
from typing import Any

import torch

from espnet_dynlook.encoder.ragged import Counts, append
from espnet_dynlook.encoder.stream_state import LayerState


def queue_parts(layer: Any) -> tuple[str, ...]:
    """Say what a layer keeps of the rows that have not run."""
    return ("queries", "rows", "hidden") if layer.concat_after else ("queries", "rows")


def received(
    own: LayerState, x: torch.Tensor, stamps: torch.Tensor, added: Counts
) -> LayerState:
    """Queue new input frames of a layer."""
    if not added.max():
        return own
    waiting, inputs = own.received - own.done, own.inputs
    return replace(
        own,
        pending=append(own.pending, own.received - own.projected, x, added),
        inputs=None if inputs is None else append(inputs, waiting, x, added),
        stamps=append(own.stamps, waiting, stamps, added),
        received=own.received + added,
    )


def projected(own: LayerState, layer: Any) -> LayerState:
    """Compute queries, keys and values of the frames that have come in since."""
    added = own.received - own.projected
    if not added.max():
        return own
    attention = layer.self_attn
    before, hidden = layer.attention_input(own.pending)
    q, k, v = (one.transpose(1, 2) for one in attention.forward_qkv(*(hidden,) * 3))
    found = {"queries": q.flatten(2), "rows": before, "hidden": hidden}
    queue = torch.cat([found[name] for name in queue_parts(layer)], dim=2)
    memory = torch.cat((k.flatten(2), v.flatten(2)), dim=2)
    return replace(
        own,
        pending=own.pending[:, :0],
        queue=append(own.queue, own.projected - own.done, queue, added),
        memory=append(own.memory, own.projected - own.first, memory, added),
        projected=own.received,
    )
