"""Put a trained adapter on a base that is already loaded."""

from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.fingerprint import fingerprint
from espnet_dynlook.model.adapting import base_state, build_adapter, default_of
from espnet_dynlook.model.contextual import DynlookContextualModel
from espnet_dynlook.training.loading import (
    CheckpointMismatch,
    check_fits,
    read_parameters,
)

_BELOW = "adapter."


def load_adapter(
    base: Any, train_config: str | Path, model_file: str | Path
) -> ContextualAdapter:
    """Return a trained adapter for a model that is its base.

    For recognisers that have the base already. The adapter is a function of the
    outputs of ``adapter.layers`` (and of the final one, with ``adapter.use_last``) in
    any frames of a stream; ``model.adapting.encode_catalog`` makes the list for it.

    Args:
        base: ESPnet's ASR model, with its parameters as they were trained (float32).
        train_config: ``config.yaml`` of the adapter's training.
        model_file: The adapter's parameters.

    Raises:
        OtherBase: it was trained on another base.
        CheckpointMismatch: the file is no adapter's, or not of this configuration.
    """
    found = yaml.safe_load(Path(train_config).read_text(encoding="utf-8"))
    conf = found.get("model_conf", {}) if isinstance(found, dict) else {}
    if not isinstance(found, dict) or found.get("model") != "dynlook_contextual":
        raise CheckpointMismatch(
            f"{train_config} is not the configuration of an adapter (model: "
            "dynlook_contextual): give the config.yaml beside the adapter's file"
        )

    def value(key: str) -> Any:
        return conf.get(key, default_of(DynlookContextualModel, key))

    adapter = build_adapter(
        base,
        value("adapter_layers"),
        value("adapter_use_last"),
        value("adapter_size"),
        value("adapter_heads"),
        value("adapter_dropout"),
        value("adapter_margin"),
    )
    state = read_parameters(model_file)
    check_fits(
        state,
        {_BELOW + key: value for key, value in adapter.state_dict().items()},
        str(model_file),
        "Give the adapter's file and the config.yaml that was written with it.",
    )
    adapter.base.copy_(fingerprint(base_state(base)))
    adapter.load_state_dict({k.removeprefix(_BELOW): v for k, v in state.items()})
    return adapter.to(next(base.parameters()).device).eval()
