# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Find wrong keys and values of a configuration before anything is built.

ESPnet's parser knows the top-level keys but checks no value from a YAML file, and the
keys of ``encoder_conf`` and the like fail late, as a TypeError of some constructor.
"""

import argparse
import difflib
import inspect
import logging
import math
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
    "lm": {"vocab_size"},
    "model": {
        "lm",
        *("vocab_size", "token_list", "frontend", "specaug", "normalize"),
        *("preencoder", "encoder", "postencoder", "decoder", "ctc", "joint_network"),
    },
    "optim": {"params"},
    "scheduler": {"optimizer"},
}
#: Which way a statistic improves.
_MODES = ("min", "max")


def check(config: Mapping[str, Any], task: Any, source: str = "config") -> None:
    """Check every key and value of a configuration.

    Args:
        config: As ``config.resolve`` returns it.
        task: ESPnet task class, with the plugin's choices registered.
        source: The file, for messages.

    Raises:
        ConfigError: names the file, the key, what is wrong and the nearest valid key.
    """
    check_options(config, task.get_parser(), source, _sections(config, task))
    check_values(config, task, source)


def check_options(
    config: Mapping[str, Any],
    parser: argparse.ArgumentParser,
    source: str,
    sections: Mapping[str, type] = types.MappingProxyType({}),
) -> None:
    """Check the top level of a configuration against the options of a program.

    Args:
        config: As ``config.resolve`` returns it.
        parser: The program's, such as that of decoding.
        source: The file, for messages.
        sections: Class for every ``<name>_conf``, where a key may belong instead.

    Raises:
        ConfigError: as ``check``.
    """
    actions = {action.dest: action for action in parser._actions}
    for key, value in config.items():
        if key not in actions:
            hint = _elsewhere(key, sections) or _nearest(key, actions)
            raise ConfigError(f"{source}: unknown key {key!r}{hint}")
        _check_top_level(source, key, value, actions[key])


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
    for key in ("best_model_criterion", "early_stopping_criterion"):
        _check_criteria(f"{source}: {key}", config.get(key))
    for name in ("frontend", "specaug", "encoder"):
        if name in sections:
            _check_by_building(name, sections[name], config, source)


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

    sections: dict[str, type] = {}
    if any(choices.name == "encoder" for choices in task.class_choices_list):
        sections.update(ctc=CTC, joint_net=JointNetwork)
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
    numbers = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(one, float) and not math.isfinite(one) for one in numbers):
        raise ConfigError(f"{where}: {value!r} is no number that losses can be made of")
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


def _check_criteria(where: str, value: Any) -> None:
    """Check (phase, statistic, min or max), or a list of such.

    Which statistics there are is known when the first epoch is over.
    """
    if not isinstance(value, list | tuple):
        return
    flat = len(value) == 3 and all(isinstance(part, str) for part in value)
    flat = flat and not any("," in part for part in value)
    for criterion in [value] if flat else value:
        parts = criterion.split(",") if isinstance(criterion, str) else criterion
        if not isinstance(parts, list | tuple) or len(parts) != 3:
            raise ConfigError(
                f"{where}: {criterion!r} has to be three words: phase, statistic, "
                "min or max, such as [valid, loss, min]"
            )
        for part, choices in ((parts[0], ("train", "valid")), (parts[2], _MODES)):
            if part not in choices:
                raise ConfigError(
                    f"{where}: {part!r} in {criterion!r} is not one of "
                    f"{', '.join(choices)}{_nearest(part, choices)}"
                )


def _check_by_building(
    name: str, cls: type, config: Mapping[str, Any], source: str
) -> None:
    """Let a class judge its values, without memory for parameters.

    Only the plugin's, and those of ESPnet that read no file and take no time.
    """
    ours = cls.__module__.startswith("espnet_dynlook.")
    if not ours and cls.__name__ not in ("DefaultFrontend", "SpecAug"):
        return
    import torch

    given = {"input_size": config.get("input_size") or 80} if name == "encoder" else {}
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # what it has to say comes when it is built
    try:
        with torch.device("meta"):
            cls(**given, **(config.get(f"{name}_conf") or {}))
    except Exception as error:  # whatever a constructor trips over, its values did it
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise ConfigError(f"{source}: {name}_conf: {kind}{error}") from error
    finally:
        logging.disable(before)
