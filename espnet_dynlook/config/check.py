# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Find wrong keys and values of a configuration before anything is built.

ESPnet's parser knows the top-level keys but checks no value from a YAML file, and the
keys of ``encoder_conf`` and the like fail late, as a TypeError of some constructor.
"""

import argparse
import difflib
import inspect
import logging
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.config.errors import ConfigError

# Parameters that ESPnet's task passes itself.
_GIVEN = {
    "encoder": {"input_size"},
    "postencoder": {"input_size"},
    "decoder": {"vocab_size", "encoder_output_size", "embed_pad"},
    "ctc": {"odim", "encoder_output_size"},
    "joint_net": {"vocab_size", "encoder_size", "hidden_size"},
    "model": {
        *("vocab_size", "token_list", "frontend", "specaug", "normalize"),
        *("preencoder", "encoder", "postencoder", "decoder", "ctc", "joint_network"),
    },
    "optim": {"params"},
    "scheduler": {"optimizer"},
}


def check(config: Mapping[str, Any], task: Any, source: str = "config") -> None:
    """Check every key and value of a configuration.

    Args:
        config: As ``config.resolve`` returns it.
        task: ESPnet task class, with the plugin's choices registered.
        source: The file, for messages.

    Raises:
        ConfigError: names the file, the key, what is wrong and the nearest valid key.
    """
    actions = {action.dest: action for action in task.get_parser()._actions}
    for key, value in config.items():
        if key not in actions:
            hint = _elsewhere(key, _sections(config, task)) or _nearest(key, actions)
            raise ConfigError(f"{source}: unknown key {key!r}{hint}")
        _check_top_level(source, key, value, actions[key])
    check_values(config, task, source)


def check_values(config: Mapping[str, Any], task: Any, source: str) -> None:
    """Check what is below the keys ``<choice>_conf``.

    Args:
        config: A configuration, or all parsed arguments.
        task: ESPnet task class.
        source: The file or the like, for messages.

    Raises:
        ConfigError: as ``check``.
    """
    sections = _sections(config, task)
    for name, cls in sections.items():
        conf = config.get(f"{name}_conf")
        if conf is None:
            continue
        parameters, open_ended = _parameters(name, cls)
        for key, value in conf.items():
            where = f"{source}: {name}_conf: {key}"
            if key in parameters:
                _check_parameter(where, value, parameters[key], cls)
            elif not open_ended:
                hint = _nearest(key, parameters, cutoff=0.7)
                hint = hint or _elsewhere(key, sections) or _nearest(key, parameters)
                raise ConfigError(
                    f"{where} is not a key of {_title(name, config, cls)}{hint}"
                )
    _check_by_building(config, sections.get("encoder"), source)


def _title(name: str, config: Mapping[str, Any], cls: type) -> str:
    chosen = config.get(name)
    return f"{name}: {chosen}" if isinstance(chosen, str) else cls.__name__


def _nearest(key: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def _elsewhere(key: str, sections: Mapping[str, type]) -> str:
    found = [n for n, cls in sections.items() if key in _parameters(n, cls)[0]]
    return f"; it is a key of {' and '.join(f'{n}_conf' for n in found)}" * bool(found)


def _sections(config: Mapping[str, Any], task: Any) -> dict[str, type]:
    """Return the chosen class for every ``<name>_conf`` that goes to one class."""
    with espnet_imports():
        from espnet2.asr.ctc import CTC
        from espnet2.asr_transducer.joint_network import JointNetwork
        from espnet2.tasks.abs_task import optim_classes, scheduler_classes

    sections: dict[str, type] = {"ctc": CTC, "joint_net": JointNetwork}
    tables = {c.name: (c.classes, c.default) for c in task.class_choices_list}
    for number in range(1, task.num_optimizers + 1):
        suffix = "" if number == 1 else str(number)
        tables[f"optim{suffix}"] = (optim_classes, "adadelta")
        tables[f"scheduler{suffix}"] = (scheduler_classes, None)
    for name, (classes, default) in tables.items():
        chosen = config.get(name, default)
        if isinstance(chosen, str) and chosen.lower() in classes:
            sections[name] = classes[chosen.lower()]
    return sections


def _parameters(name: str, cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the parameters that a configuration may give, and whether others may."""
    given = _GIVEN.get(name.rstrip("23456789"), set())
    signature = inspect.signature(cls)
    own = {
        key: parameter
        for key, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and key not in given
    }
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return own, inspect.Parameter.VAR_KEYWORD in kinds


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _fits(value: Any, annotation: Any) -> bool:
    """Say whether a value from YAML fits an annotation."""
    import typeguard

    kinds = _alternatives(annotation)
    numeric = any(kind in (int, float) for kind in kinds)
    if isinstance(value, bool) and numeric and bool not in kinds:
        return False  # for Python, True is an int
    # YAML has no tuples.
    candidates = [value, tuple(value)] if isinstance(value, list) else [value]
    everything = typeguard.CollectionCheckStrategy.ALL_ITEMS
    for candidate in candidates:
        try:
            typeguard.check_type(
                candidate, annotation, collection_check_strategy=everything
            )
        except typeguard.TypeCheckError:
            continue
        return True
    return False


def _check_parameter(
    where: str, value: Any, parameter: inspect.Parameter, cls: type
) -> None:
    default = parameter.default
    if value is None and default is None:
        return
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        if not isinstance(default, bool | int | float):
            return
        annotation = bool if isinstance(default, bool) else float
    elif isinstance(annotation, str):  # from __future__ import annotations
        try:
            annotation = typing.get_type_hints(vars(cls)["__init__"])[parameter.name]
        except (NameError, KeyError):
            return
    if not _fits(value, annotation):
        kind = getattr(annotation, "__name__", None)
        wanted = str(annotation) if typing.get_args(annotation) else kind
        raise ConfigError(
            f"{where}: {value!r} ({type(value).__name__}) has to be "
            f"{(wanted or str(annotation)).replace('typing.', '')}{_hint(value)}"
        )


def _hint(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    if "e" in value.lower():
        return "; YAML takes this for text, write it with a dot and a sign: 1.0e-3"
    return "; write it without quotation marks"


def _check_top_level(
    source: str, key: str, value: Any, action: argparse.Action
) -> None:
    where = f"{source}: {key}"
    if key.endswith("_conf"):
        if value is not None and not isinstance(value, dict):
            raise ConfigError(
                f"{where}: {value!r} ({type(value).__name__}) has to hold keys "
                "and values"
            )
        return
    if value is None:
        return
    several = action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction)
    if isinstance(value, list) or several:
        return
    if isinstance(value, str):
        try:
            value = action.type(value) if callable(action.type) else value
        except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
            raise ConfigError(f"{where}: {value!r}: {error}") from None
    elif not _kind_fits(value, action):
        kind = getattr(action.type, "__name__", str(action.type)).replace("str2", "")
        raise ConfigError(
            f"{where}: {value!r} ({type(value).__name__}) has to be "
            f"{kind.replace('_or_none', ' or null')}"
        )
    if action.choices is not None and value not in action.choices:
        choices = [str(choice) for choice in action.choices]
        hint = _nearest(str(value), choices)
        raise ConfigError(
            f"{where}: {value!r} is not one of {', '.join(choices)}{hint}"
        )


def _kind_fits(value: Any, action: argparse.Action) -> bool:
    """Say whether a value that is not text suits an option, by its converter."""
    name = getattr(action.type, "__name__", "")
    if name == "str2bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return name not in ("int", "int_or_none", "float", "float_or_none")
    if name in ("int", "int_or_none"):
        return isinstance(value, int)
    if name in ("float", "float_or_none"):
        return isinstance(value, int | float)
    return True


def _check_by_building(
    config: Mapping[str, Any], encoder: type | None, source: str
) -> None:
    """Let the plugin's encoders judge their values, without memory for parameters."""
    if encoder is None or not encoder.__module__.startswith("espnet_dynlook."):
        return
    import torch

    logging.disable(logging.WARNING)  # what it has to say comes when it is built
    try:
        with torch.device("meta"):
            encoder(
                input_size=config.get("input_size") or 80,
                **(config.get("encoder_conf") or {}),
            )
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{source}: encoder_conf: {error}") from error
    finally:
        logging.disable(logging.NOTSET)
