"""A GRU over the frames of one stream, compiled.

``torch.nn.GRU`` multiplies by its recurrent weight through a library for matrices,
which takes several times as long as the product of a matrix and one vector has to; with
an adapter that is much of what an empty list costs.
"""

import numpy as np
import torch

from espnet_dynlook.biasing.adapter import torch_gru
from espnet_dynlook.search.compiled import compiled


def fast_gru(
    gru: torch.nn.GRU, inputs: torch.Tensor, state: torch.Tensor | None
) -> torch.Tensor:
    """Return the outputs (B, n, A) of a GRU of one layer.

    Args:
        gru: With ``batch_first``.
        inputs: (B, n, D).
        state: Its output behind the frame before these (B, A); None: zeros.
    """
    weight_in, weight, bias_in, bias = gru.parameters()
    alone = (
        len(inputs) == 1
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled(inputs.device.type)
        and inputs.device.type == "cpu"
        and {inputs.dtype, weight.dtype} == {torch.float32}
    )
    if not alone:
        return torch_gru(gru, inputs, state)
    if state is None:
        state = inputs.new_zeros(1, gru.hidden_size)
    given = torch.addmm(bias_in, inputs[0], weight_in.t())
    # By columns, so that several gates are summed at a time.
    columns = weight.t().contiguous()
    arrays = (one.numpy() for one in (given, columns, bias, state[0]))
    return torch.from_numpy(_walk(*arrays))[None]


@compiled
def _walk(given, columns, bias, state):
    """Return the states behind each frame (n, A), as ``torch.nn.GRU`` defines them.

    Args:
        given: What the inputs give each gate (n, 3 A): reset, update, new.
        columns: Weights of the states (A, 3 A).
        bias: Of the states (3 A,).
        state: Before the first frame (A,).
    """
    one, two = np.float32(1.0), np.float32(2.0)
    frames, size = len(given), len(state)
    out = np.empty((frames, size), dtype=np.float32)
    gates = np.empty(3 * size, dtype=np.float32)
    for frame in range(frames):
        gates[:] = bias
        for n in range(size):
            for gate in range(3 * size):
                gates[gate] += columns[n, gate] * state[n]
        new = out[frame]
        for n in range(size):
            reset = one / (one + np.exp(-given[frame, n] - gates[n]))
            update = one / (one + np.exp(-given[frame, size + n] - gates[size + n]))
            inner = given[frame, 2 * size + n] + reset * gates[2 * size + n]
            candidate = one - two / (one + np.exp(two * inner))  # its tanh
            new[n] = candidate + update * (state[n] - candidate)
        state = new
    return out
