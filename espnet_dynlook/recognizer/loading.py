"""Read what a recogniser is made of: configurations, checkpoints, techniques."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.streaming.frontend import CannotStream
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.adapter import load_adapter

#: What the parts of a model may be, by ESPnet's names.
PARTS: dict[str, tuple[str | None, ...]] = {
    "encoder": ("dynlook_conformer", "dynlook_transformer"),
    "frontend": ("default", "mfcc_an4", None),
    "preencoder": (None,),
    "postencoder": (None,),
}


def load_model(
    train_config: str | Path,
    model_file: str | Path,
    adapter_config: str | Path | None,
    adapter_file: str | Path | None,
    device: str,
    dtype: str,
) -> tuple[Any, ContextualAdapter | None, Any]:
    """Load a trained model, and an adapter where one is given.

    Returns:
        The model, the adapter, the arguments of the model's training.

    Raises:
        CannotStream: a part of the model needs the whole utterance. Nothing is built
            then: some parts would be fetched from the network.
        CheckpointMismatch: a file does not fit its configuration.
        OtherBase: the adapter was trained on another model.
        ValueError: an option is wrong.
    """
    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise ValueError(f"dtype={dtype!r} must be float32, float64 or bfloat16")
    if (adapter_config is None) != (adapter_file is None):
        raise ValueError(
            f"adapter_config={adapter_config} and adapter_file={adapter_file} go "
            "together: give both"
        )
    _check_parts(train_config)
    model, args = DynlookASRTask.build_model_from_file(
        str(train_config), str(model_file), device
    )
    adapter = None
    if adapter_config is not None and adapter_file is not None:
        # What the base is told by: its parameters, as they were trained.
        adapter = load_adapter(model, adapter_config, adapter_file).to(dtype=kind)
    return model.to(dtype=kind), adapter, args


def language_model(lm: str | Path | NgramLM | None) -> NgramLM | None:
    """Return a language model of words, from the path of one.

    Raises:
        ValueError: it cannot be read, and why.
    """
    return NgramLM(load_ngram(lm)) if isinstance(lm, str | Path) else lm


def techniques_of(
    techniques: str | Path | Mapping[str, Any] | Techniques | None,
) -> Techniques | None:
    """Return decoder techniques, from what YAML says of them or the path of a file.

    Raises:
        ValueError: it says what there is not, or is no YAML.
        OSError: the file cannot be read.
    """
    if techniques is None or isinstance(techniques, Techniques):
        return techniques
    if not isinstance(techniques, str | Path):
        return Techniques.from_mapping(techniques)
    try:
        found = yaml.safe_load(Path(techniques).read_text(encoding="utf-8"))
        return Techniques.from_mapping(found)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{techniques}: {error}") from None


def _check_parts(train_config: str | Path) -> None:
    """Refuse a configuration with parts that cannot stream, before any is built.

    Raises:
        CannotStream: names the part, and what to use.
        OSError: the file cannot be read.
    """
    try:
        found = yaml.safe_load(Path(train_config).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return  # the task says what is wrong with it
    for part, streaming in PARTS.items():
        value = found.get(part) if isinstance(found, dict) else streaming[0]
        if value not in streaming:
            names = " or ".join(str(name or "null") for name in streaming)
            raise CannotStream(
                f"{train_config}: {part}: {value} does not stream here; train with "
                f"{part}: {names}"
            )
