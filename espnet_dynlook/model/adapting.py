# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""An adapter for a model: which layers it reads, what its base is, lists for it."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.encoded import EncodedCatalog


def base_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters and statistics of a model but for those of an adapter.

    And but for the state of a latency penalty, which is none of the model's.
    """
    return {
        f"{name}.{key}": value
        for name, part in model.named_children()
        if name not in ("adapter", "latency_penalty")
        for key, value in part.state_dict().items()
    }


def default_layers(encoder: Any) -> list[int]:
    """Return the layers that an adapter reads if nobody says which.

    Those with an intermediate CTC loss, else those at a third and at two thirds.
    """
    chosen = list(getattr(encoder, "interctc_layer_idx", None) or ())
    if chosen:
        return chosen
    number = len(encoder.encoders)
    return sorted({max(1, round(number / 3)), max(1, round(2 * number / 3))})


def build_adapter(
    model: Any,
    layers: Sequence[int] | None,
    use_last: bool,
    size: int,
    heads: int,
    dropout: float,
) -> ContextualAdapter:
    """Return a new adapter for a model.

    Arguments are those of ``DynlookContextualModel``.

    Raises:
        ValueError: the model has no such layers, or values do not go together.
    """
    if model.postencoder is not None:
        raise ValueError(
            "an adapter does not go with a postencoder, which may change the number of "
            "frames; train a base without one"
        )
    chosen = default_layers(model.encoder) if layers is None else list(layers)
    return ContextualAdapter(
        chosen,
        use_last,
        model.encoder.output_size(),
        model.vocab_size,
        size,
        heads,
        dropout,
    )


def default_of(cls: type, key: str) -> Any:
    """Return the default of a key of a model's configuration."""
    return inspect.signature(cls).parameters[key].default


def encode_catalog(
    adapter: ContextualAdapter,
    catalogs: Catalog | Sequence[Catalog],
    token_list: Sequence[str],
) -> EncodedCatalog:
    """Encode a list for all utterances, or one for each utterance of a batch.

    Args:
        adapter: Whose attention it is for.
        catalogs: One, or one an utterance.
        token_list: The model's tokens.
    """
    if isinstance(catalogs, Catalog):
        own = catalogs.for_tokens(token_list)
        return adapter.encode(
            own.token_ids(),
            [entry.weight for entry in own],
            [entry.text for entry in own],
        )
    return EncodedCatalog.batch(
        [encode_catalog(adapter, one, token_list) for one in catalogs]
    )
