"""Load parameters: all of them, or say which do not fit."""

import datetime
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

_SHOWN = 20
#: A learned lookahead: new to a model whose other parameters come from a parent.
_NEW = ("encoder.scheduler.",)
#: State of one training, which is no business of the next: never loaded from a parent.
_OF_A_TRAINING = ("encoder.scheduler.progress", "latency_penalty.")


class CheckpointMismatch(RuntimeError):
    """A checkpoint's keys or shapes are not those of the model."""


class CheckpointUnreadable(CheckpointMismatch):
    """A file is damaged, is no checkpoint, or holds what a model has no need of."""


def _allowed() -> list[Any]:
    """Return what ESPnet's checkpoints hold besides tensors and plain containers.

    The history of 202511's reporter has NumPy numbers and time spans. Allowing these
    four types by name keeps everything else in a file from being executed.
    """
    multiarray = getattr(np, "_core", None) or np.core
    return [
        datetime.timedelta,
        np.dtype,
        type(np.dtype(np.float64)),
        multiarray.multiarray.scalar,
    ]


def safe_load(path: Path | str, map_location: Any = "cpu") -> Any:
    """Read a file of ``torch.save`` without executing code that it may hold.

    Args:
        path: The file.
        map_location: Where to put the tensors.

    Raises:
        CheckpointUnreadable: it is damaged, or holds more than tensors and numbers.
        OSError: it is not there, or may not be read.
    """
    with open(path, "rb") as file, torch.serialization.safe_globals(_allowed()):
        try:
            return torch.load(file, map_location=map_location, weights_only=True)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # damage can make the reader trip over anything
            raise CheckpointUnreadable(_why_unreadable(path, error)) from error


def _why_unreadable(path: Path | str, error: Exception) -> str:
    held = re.search(r"GLOBAL ([\w.]+)", str(error))
    if held:
        return (
            f"{path} holds {held[1]}, which a model has no need of and which could run "
            "code: it has not been loaded. Where the file is yours, save its "
            "parameters alone: torch.save(model.state_dict(), FILE)"
        )
    return (
        f"{path} ({Path(path).stat().st_size} bytes) is damaged, or no file of "
        f"torch.save ({type(error).__name__} while it was read): copy it again from "
        "where it was made, or take another epoch's file"
    )


def read_parameters(
    path: Path | str, map_location: Any = "cpu"
) -> dict[str, torch.Tensor]:
    """Read a model's parameters, from under a wrapper's key where there is one.

    Args:
        path: File with a state dict.
        map_location: Where to put the tensors.

    Raises:
        CheckpointUnreadable: there are no parameters in the file.
    """
    state = safe_load(path, map_location)
    if not isinstance(state, Mapping):
        raise CheckpointUnreadable(
            f"{path} holds {type(state).__name__}, not the parameters of a model: give "
            "a file such as valid.loss.best.pth"
        )
    for wrapper in ("module", "state_dict"):  # DeepSpeed's, Lightning's
        inner = state.get(wrapper)
        if isinstance(inner, Mapping):
            state = inner
    other = [key for key, value in state.items() if not torch.is_tensor(value)]
    if other:
        raise CheckpointUnreadable(
            f"{path} is not the parameters of a model alone: it also holds "
            f"{', '.join(map(str, other[:5]))}. Give a file such as "
            "valid.loss.best.pth; checkpoint.pth is what a training resumes from"
        )
    return dict(state)


def _listed(title: str, lines: list[str]) -> str:
    shown = lines[:_SHOWN]
    if len(lines) > _SHOWN:
        shown.append(f"… and {len(lines) - _SHOWN} more")
    return f"\n  {title} ({len(lines)}):" + "".join(f"\n    {x}" for x in shown)


def check_fits(
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    source: str,
    fix: str,
    missing_is_fine: bool = False,
) -> None:
    """Compare a checkpoint with what the model has.

    Args:
        state: From the checkpoint.
        expected: The model's state.
        source: Where ``state`` comes from, for the message.
        fix: What the user can do, for the message.
        missing_is_fine: Whether the checkpoint may lack keys.

    Raises:
        CheckpointMismatch: lists missing, unexpected and mis-shaped keys.
    """
    message = _differences(state, expected, missing_is_fine)
    if message:
        raise CheckpointMismatch(f"{source} does not fit the model:{message}\n{fix}")


def _differences(
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    missing_is_fine: bool = False,
) -> str:
    """List missing, unexpected and mis-shaped keys; "" where there are none."""
    missing = [] if missing_is_fine else [k for k in expected if k not in state]
    unexpected = [k for k in state if k not in expected]
    shapes = [
        f"{k}: {tuple(v.shape)} in the file, {tuple(expected[k].shape)} in the model"
        for k, v in state.items()
        if k in expected and v.shape != expected[k].shape
    ]
    message = ""
    if missing:
        message += _listed("missing in the file", missing)
    if unexpected:
        message += _listed("unknown to the model", unexpected)
    if shapes:
        message += _listed("of another shape", shapes)
    return message


def load_whole_model(
    model: torch.nn.Module, path: Path | str, missing_is_fine: bool = False
) -> None:
    """Load every parameter and buffer of a model.

    Args:
        model: Receives them; its device stays.
        path: File with a state dict.
        missing_is_fine: Whether the file may lack keys, as an adapter's does.

    Raises:
        CheckpointMismatch: lists the keys that do not fit.
    """
    state = read_parameters(path, "cpu")
    check_fits(
        state,
        model.state_dict(),
        str(path),
        "Use the config.yaml that was written with this file.",
        missing_is_fine,
    )
    model.load_state_dict(state, strict=False)


def load_init_param(
    init_param: str,
    model: torch.nn.Module,
    ignore_init_mismatch: bool,
    map_location: Any = "cpu",
) -> None:
    """Load what ``--init_param`` names; stands in for ESPnet's function of this job.

    Args:
        init_param: ``file[:source[:target[:excluded,…]]]``: parameters of ``file``
            below the key ``source``, but for those that start with an excluded key,
            go to the model's part ``target``.
        model: Receives them. Its ``encoder.scheduler`` may be missing in the file: it
            then stays new, and the log says so. How far a training was (the progress
            of the annealing, running means of a penalty) is never loaded.
        ignore_init_mismatch: Whether to load what fits and leave the rest.
        map_location: Where to put the tensors.

    Raises:
        CheckpointMismatch: without ``ignore_init_mismatch``, lists what does not fit;
            with it, when nothing fits. Or the model has no part ``target``.
    """
    path, source, target, excluded = [*init_param.split(":", 3), "", "", ""][:4]
    state = read_parameters(path, map_location)
    left_out = tuple(key for key in excluded.split(",") if key)
    state = {k: v for k, v in state.items() if not k.startswith(left_out or ("\0",))}
    if source:
        below = source + "."
        state = {k[len(below) :]: v for k, v in state.items() if k.startswith(below)}
    try:
        part = model.get_submodule(target)
    except AttributeError:
        known = ", ".join(name for name, _ in model.named_children())
        raise CheckpointMismatch(
            f"--init_param {init_param}: the model has no part {target!r}; it has "
            f"{known}, and their parts (such as encoder.encoders.0)"
        ) from None
    expected, in_model = part.state_dict(), f"{target}." if target else ""
    state, expected = (
        {k: v for k, v in keys.items() if not (in_model + k).startswith(_OF_A_TRAINING)}
        for keys in (state, expected)
    )
    # An excluded key is written as in the file; in the model it lies elsewhere.
    prefix = source + "." if source else ""
    wanted = {
        k: v
        for k, v in expected.items()
        if not (prefix + k).startswith(left_out or ("\0",))
    }
    new = [k for k in wanted if (in_model + k).startswith(_NEW) and k not in state]
    if new:
        wanted = {k: v for k, v in wanted.items() if k not in new}
        logging.warning(
            f"--init_param {init_param} has no learned lookahead: left as initialised"
            + _listed("new", new)
        )
    if not ignore_init_mismatch:
        check_fits(
            state,
            wanted,
            f"--init_param {init_param}",
            "To load what fits and leave the rest as initialised: "
            "--ignore_init_mismatch true.",
        )
    differences = _differences(state, wanted)
    if differences:
        logging.warning(f"--init_param {init_param} left out:{differences}")
    state = {
        k: v for k, v in state.items() if k in expected and v.shape == expected[k].shape
    }
    if not state:
        raise CheckpointMismatch(
            f"--init_param {init_param}: no parameter of the file fits the model"
            f"{differences or '; every one of them is excluded'}\n"
            "Check its source and target: file:source:target."
        )
    part.load_state_dict(state, strict=False)
