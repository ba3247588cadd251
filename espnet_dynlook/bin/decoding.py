# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What the decoding commands share: arguments, utterances, files."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from espnet_dynlook import config
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.latency import FrontendTiming


def parse(
    cmd: Sequence[str] | None, get_parser: Callable[[], argparse.ArgumentParser]
) -> argparse.Namespace:
    """Read arguments, with a configuration that may extend another; start the log.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
        get_parser: Returns the parser of the command.

    Raises:
        ConfigError: a key or value of the configuration is wrong.
    """
    cmd, position = config.split_config(sys.argv[1:] if cmd is None else cmd)
    if position is not None:
        merged = config.resolve(cmd[position])
        config.check_options(merged, get_parser(), cmd[position])
        with config.temporary_yaml(merged) as plain:
            cmd[position] = str(plain)
            args = get_parser().parse_args(cmd)
    else:
        args = get_parser().parse_args(cmd)
    logging.basicConfig(
        level=args.log_level,
        format="%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s",
    )
    return args


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add the option of models of many latencies."""
    parser.add_argument(
        "--wait",
        type=float,
        help="0, the shortest latency, to 1, the longest, of a model that was trained "
        "with latency_weight: [lo, hi]; without, the middle",
    )


def check_one_at_a_time(args: argparse.Namespace) -> None:
    """Refuse batches and several devices.

    Raises:
        ConfigError: ``--batch_size`` is not 1, or ``--ngpu`` above 1.
    """
    if args.batch_size != 1 or args.ngpu > 1:
        raise config.ConfigError(
            f"--batch_size {args.batch_size} --ngpu {args.ngpu}: utterances are "
            "decoded one at a time, on one device, so that each one's time is its "
            "own; use --batch_size 1, --ngpu 0 or 1, and more jobs"
        )


def utterances(
    args: argparse.Namespace, train_args: argparse.Namespace
) -> Iterator[tuple[str, torch.Tensor]]:
    """Return key and samples (N,), or features (N, D), of each utterance.

    Args:
        args: Of ESPnet's decoding commands.
        train_args: Of the model's training.
    """
    loader = DynlookASRTask.build_streaming_iterator(
        args.data_path_and_name_and_type,
        dtype=args.dtype,
        batch_size=args.batch_size,
        key_file=args.key_file,
        num_workers=args.num_workers,
        preprocess_fn=DynlookASRTask.build_preprocess_fn(train_args, False),
        collate_fn=DynlookASRTask.build_collate_fn(train_args, False),
        allow_variable_data_keys=args.allow_variable_data_keys,
        inference=True,
    )
    return ((keys[0], batch["speech"][0]) for keys, batch in loader)


def unit_ms(
    speech: torch.Tensor | np.ndarray, frontend: Any, timing: FrontendTiming
) -> float:
    """Return the time of a sample of (N,) or (N, channels), or a frame of (N, D).

    Args:
        speech: An utterance as it is read.
        frontend: Of the model, or None.
        timing: Of the model.
    """
    # One that takes features too tells them by their dimensions.
    features = speech.ndim > 1 and getattr(frontend, "takes_features", False)
    hop = timing.hop_length if frontend is None or features else 1
    return 1000.0 * hop / timing.fs


def in_ms(values: Sequence[float]) -> str:
    """Return a line of latencies as the files have them."""
    return " ".join(f"{x:.1f}" for x in values)


def write_hypothesis(
    files: Any,
    key: str,
    text: str | None,
    tokens: Sequence[str],
    token_ids: Sequence[int],
    score: Any,
) -> None:
    """Write the files that ESPnet's commands write of a hypothesis.

    Args:
        files: Folder of a DatadirWriter, such as ``writer["1best_recog"]``.
        key: Of the utterance.
        text: None where the model has no tokenizer.
        tokens: Its tokens.
        token_ids: Their numbers.
        score: Its log-probability.
    """
    files["token"][key] = " ".join(tokens)
    files["token_int"][key] = " ".join(map(str, token_ids))
    files["score"][key] = str(score)
    if text is not None:
        files["text"][key] = text


def warn_of_short(keys: Sequence[str]) -> None:
    """Say which utterances were too short, where there are any."""
    if keys:
        logging.warning(
            f"{len(keys)} utterances are too short and have empty text: "
            + " ".join(keys)
        )
