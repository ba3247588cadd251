# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""An adapter for a model: which layers it reads, what its base is, lists for it."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.search.reach import reached


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
    margin: float | None,
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
    if margin is not None and model.ctc is None:
        raise ValueError(
            f"adapter_margin={margin} is measured by a CTC head, and the base has none "
            "(ctc_weight: 0): set adapter_margin: null"
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
        margin,
    )


def near_names(
    model: Any, adapter: ContextualAdapter, out: torch.Tensor, catalog: EncodedCatalog
) -> Near | None:
    """Return which beginnings of names each frame may attend to.

    Args:
        model: The base.
        adapter: With its margin.
        out: Of the base's encoder, without names (B, n, D).
        catalog: For this adapter.

    Returns:
        None: to any; the adapter has no margin.
    """
    if adapter.margin is None:
        return None
    with torch.no_grad():
        log_probs = model.ctc.log_softmax(out)
        return reached(log_probs, catalog, adapter.margin, model.blank_id)[0]


def default_of(cls: type, key: str) -> Any:
    """Return the default of a key of a model's configuration."""
    return inspect.signature(cls).parameters[key].default


def encode_catalog(
    adapter: ContextualAdapter,
    catalogs: Catalog | Sequence[Catalog],
    token_list: Sequence[str],
) -> EncodedCatalog:
    """Encode a list for all utterances, or one for each utterance of a batch.

    Of each name in the tokenizer's own tokens, which the model learned to write. Other
    segmentations are for the search: here they are further names to be told apart.

    Args:
        adapter: Whose attention it is for.
        catalogs: One, or one an utterance.
        token_list: The model's tokens.
    """
    if isinstance(catalogs, Catalog):
        own = catalogs.for_tokens(token_list)
        return adapter.encode(
            [ways[:1] for ways in own.token_ids()],
            [entry.weight for entry in own],
            [entry.text for entry in own],
        )
    return EncodedCatalog.batch(
        [encode_catalog(adapter, one, token_list) for one in catalogs]
    )
