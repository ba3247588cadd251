# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The base of a ``model: dynlook_contextual``: its configuration and its file."""

import argparse
import logging
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook import config
from espnet_dynlook.biasing.entries import in_one_line
from espnet_dynlook.model.adapting import base_state
from espnet_dynlook.model.contextual import DynlookContextualModel
from espnet_dynlook.training.loading import check_fits, read_parameters
from espnet_dynlook.training.names import NamesPreprocessor

NAME = "dynlook_contextual"
#: What is the base's, and not the adapter's training's.
_OF_THE_BASE = (
    *("input_size", "frontend", "frontend_conf", "normalize", "normalize_conf"),
    *("preencoder", "preencoder_conf", "encoder", "encoder_conf", "postencoder"),
    *("postencoder_conf", "decoder", "decoder_conf", "ctc_conf", "joint_net_conf"),
    *("token_type", "bpemodel", "non_linguistic_symbols", "cleaner", "g2p"),
)
#: Of a base's ``model_conf``, what has no meaning once it is frozen.
_NOT_TAKEN = ("latency_", "compute_budget", "base_", "adapter_", "catalog_")
#: Of an adapter's own ``model_conf``, what would be losses of what is frozen.
_NO_LOSSES = ("latency_", "interctc_weight", "phone_ctc_")
#: Parameters of a base that a frozen one does not have.
_NOT_LOADED = ("latency_penalty.",)


def take_base(args: argparse.Namespace) -> None:
    """Write the base's configuration into that of an adapter's training.

    Args:
        args: Parsed arguments; of a finished training they have it already.

    Raises:
        ConfigError: there is no base, its configuration cannot be read, or it has
            other tokens; or a loss is asked for that an adapter does not have.
    """
    conf: dict[str, Any] = dict(args.model_conf or {})
    if args.init is not None:
        raise config.ConfigError(
            f"init: {args.init} would make the parameters of the base anew; leave it "
            f"out with model: {NAME}"
        )
    for key, what in (
        ("base_model", "the parameters of the base, such as valid.loss.ave.pth"),
        ("base_config", "the config.yaml of the base's training"),
    ):
        if key not in conf or (key == "base_model" and not conf[key]):
            raise config.ConfigError(
                f"model: {NAME} needs model_conf: {key}: {what}, such as "
                f"--model_conf {key}=exp/asr_base/FILE"
            )
    if conf["base_config"] is None:  # as this function leaves it
        return
    lost = [key for key in conf if key.startswith(_NO_LOSSES)]
    if lost:
        raise config.ConfigError(
            f"model_conf: {', '.join(lost)} would do nothing with model: {NAME}, whose "
            "base is frozen and keeps the heads that it was trained with: leave it out"
        )
    base = _read(conf["base_config"])
    own, theirs = _tokens(args.token_list), list(base["token_list"])
    if own is not None and own != theirs:
        raise config.ConfigError(
            f"token_list has {len(own)} tokens and is not that of the base, "
            f"{conf['base_config']}, with {len(theirs)}: an adapter is trained with "
            "the base's tokens; give its token_list"
        )
    args.token_list = theirs
    for key in _OF_THE_BASE:
        if key in base:
            setattr(args, key, base[key])
    inherited = {
        key: value
        for key, value in (base.get("model_conf") or {}).items()
        if not key.startswith(_NOT_TAKEN)
    }
    args.model_conf = {**inherited, **conf, "base_config": None}
    logging.info(f"Tokens and networks are those of {conf['base_config']}")


def load_base(model: DynlookContextualModel, base_model: str) -> None:
    """Load the parameters of the base.

    Args:
        model: Receives them.
        base_model: The file.

    Raises:
        CheckpointMismatch: they do not fit its configuration.
        ConfigError: there is no such file.
    """
    try:
        state = read_parameters(base_model, "cpu")
    except FileNotFoundError:
        raise config.ConfigError(
            f"model_conf: base_model: {base_model}: there is no such file here. An "
            "adapter needs the parameters of its base, which its own file does not "
            "have; paths are relative to the recipe's folder"
        ) from None
    state = {k: v for k, v in state.items() if not k.startswith(_NOT_LOADED)}
    check_fits(
        state,
        base_state(model),
        f"model_conf: base_model: {base_model}",
        "Give base_config and base_model of one training.",
    )
    model.set_base(state)


def warn_of_names(args: argparse.Namespace, names: NamesPreprocessor) -> None:
    """Say what is left out of the lists that a training is given as data.

    Args:
        args: Of the training.
        names: Reads the lists.
    """
    unusable = names.unusable(
        [
            *(getattr(args, "train_data_path_and_name_and_type", None) or ()),
            *(getattr(args, "valid_data_path_and_name_and_type", None) or ()),
        ]
    )
    if unusable:
        logging.warning(
            f"{len(unusable)} phrases of the data field names cannot be written in the "
            f"tokens and are left out: {in_one_line(unusable)}"
        )


def _read(path: str) -> dict[str, Any]:
    """Return what a training wrote as its configuration."""
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise config.ConfigError(
            f"model_conf: base_config: {path} cannot be read: {error}"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("token_list"), list):
        raise config.ConfigError(
            f"model_conf: base_config: {path} has no list of tokens: give the "
            "config.yaml that the base's training wrote beside its model"
        )
    return found


def _tokens(token_list: Any) -> list[str] | None:
    """Return the tokens that an option names, None for none."""
    if token_list is None or isinstance(token_list, list | tuple):
        return None if token_list is None else list(token_list)
    text = Path(token_list).read_text(encoding="utf-8")
    return [line.rstrip() for line in text.splitlines()]
