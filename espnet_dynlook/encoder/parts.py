# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Parts that both encoders are built of, and what is refused before they are."""

import difflib
import math
from collections.abc import Callable

import torch

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.lookahead.values import is_number, is_whole

PositionwiseFeedForward = espnet_nets(
    "pytorch_backend.transformer.positionwise_feed_forward"
).PositionwiseFeedForward
get_activation = espnet_nets("pytorch_backend.nets_utils").get_activation

#: What ESPnet's ``get_activation`` knows.
ACTIVATIONS = ("hardtanh", "tanh", "relu", "selu", "swish")


def check_sizes(
    name: str,
    *,
    output_size: int,
    attention_heads: int,
    linear_units: int,
    num_blocks: int,
    **rates: float,
) -> None:
    """Refuse sizes with which no encoder can be built, before one is.

    Args:
        name: Of the encoder in the configuration, for messages.
        output_size: Dimension of attention.
        attention_heads: Its heads.
        linear_units: Units of the feed-forward part.
        num_blocks: Layers.
        rates: Probabilities by their key, in [0, 1).

    Raises:
        ValueError: a size or a rate is out of range.
    """
    sizes = {
        "output_size": output_size,
        "attention_heads": attention_heads,
        "linear_units": linear_units,
        "num_blocks": num_blocks,
    }
    for key, value in sizes.items():
        if not is_whole(value) or value < 1:
            raise ValueError(
                f"{key}={value!r} of {name} must be a whole number, at least 1"
            )
    # Positions are sines and cosines in turn, so it is even besides.
    unit = math.lcm(attention_heads, 2)
    if output_size % unit:
        larger = output_size + unit - output_size % unit
        near = [str(size) for size in (larger - unit, larger) if size > 0]
        raise ValueError(
            f"output_size={output_size} of {name} must be even and a multiple of "
            f"attention_heads={attention_heads}; use output_size: {' or '.join(near)}"
        )
    for key, rate in rates.items():
        if not is_number(rate) or not 0 <= rate < 1:
            raise ValueError(f"{key}={rate!r} of {name} must be from 0 to below 1")


def activation_module(name: str, activation_type: str) -> torch.nn.Module:
    """Return the activation of that name in a configuration.

    Args:
        name: Of the encoder, for messages.
        activation_type: As for ESPnet's encoders.

    Raises:
        ValueError: there is none of that name; says the nearest.
    """
    try:
        return get_activation(activation_type)
    except KeyError:
        near = difflib.get_close_matches(activation_type, ACTIVATIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"activation_type={activation_type!r} of {name} must be one of "
            f"{', '.join(ACTIVATIONS)}{hint}"
        ) from None


def positionwise(
    name: str,
    positionwise_layer_type: str,
    output_size: int,
    linear_units: int,
    dropout_rate: float,
    *activation: torch.nn.Module,
) -> Callable[[], torch.nn.Module]:
    """Return what makes the feed-forward part of a layer.

    Raises:
        ValueError: the type convolves over time, which cannot stream.
    """
    if positionwise_layer_type != "linear":
        raise ValueError(
            f"positionwise_layer_type={positionwise_layer_type!r} cannot stream in "
            f"{name}: it convolves over future frames that no mask controls; use "
            "positionwise_layer_type: linear"
        )
    return lambda: PositionwiseFeedForward(
        output_size, linear_units, dropout_rate, *activation
    )
