# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Give a scheduler a start that knows where waiting pays, from a trained parent.

::

    python -m espnet_dynlook.bin.asr_teach --config conf/train_dynamic.yaml \
        --asr_train_config exp/parent/config.yaml \
        --asr_model_file exp/parent/valid.loss.ave.pth \
        --data_dir dump/raw/train --latency_target 90 --output exp/taught.pth

writes the parent's parameters with the taught scheduler beside, to start a training of
``--config`` from (``--init_param exp/taught.pth``, or as it is), and
``exp/taught.json`` with how the teaching went.
"""

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_dynlook import config
from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.bin.evaluation import SetEvaluation
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.loading import load_init_param
from espnet_dynlook.training.teaching import Taught, lessons, teach


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        prog="asr_teach", description="Teach a scheduler where waiting pays."
    )
    parser.add_argument(
        "--config", required=True, help="of the training to come: lookahead: dynamic"
    )
    parser.add_argument("--asr_train_config", required=True, help="the parent's")
    parser.add_argument("--asr_model_file", required=True, help="the parent's")
    parser.add_argument(
        "--data_dir", required=True, type=Path, help="training data, as asr_evaluate's"
    )
    parser.add_argument(
        "--latency_target",
        required=True,
        type=float,
        metavar="MS",
        help="mean over frames from the end of the frame, front end included, as in "
        "model_conf",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.pth")
    parser.add_argument("--utterances", type=int, default=1000, help="at most")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ngpu", type=int, default=0, choices=[0, 1])
    parser.add_argument("--num_workers", type=int, default=0, help="that read data")
    parser.add_argument("--log_level", default="INFO")
    parser.set_defaults(alignment=None, write_alignment=None)
    return parser


def main(cmd: Sequence[str] | None = None) -> Taught:
    """Teach.

    Args:
        cmd: Arguments as on the command line; None: those of this process.

    Raises:
        ConfigError: the configuration is not one with lookahead: dynamic.
        CheckpointMismatch: the parent is of another size.
    """
    args = get_parser().parse_args(sys.argv[1:] if cmd is None else cmd)
    logging.basicConfig(
        level=args.log_level,
        format="%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s",
    )
    torch.manual_seed(args.seed)
    wanted = config.resolve(args.config)
    if (wanted.get("encoder_conf") or {}).get("lookahead") != "dynamic":
        raise config.ConfigError(
            f"{args.config}: teaching needs encoder_conf: lookahead: dynamic"
        )
    parent = SetEvaluation(args)
    keys = ("encoder", "encoder_conf", "model", "model_conf")
    own = argparse.Namespace(
        **{**vars(parent.train_args), **{k: wanted[k] for k in keys if k in wanted}}
    )
    model = DynlookASRTask.build_model(own)
    load_init_param(args.asr_model_file, model, False, "cpu")
    model = model.to(next(parent.model.parameters()).device).eval()

    utterances = parent.read(parent.files_of(args.data_dir), args.utterances, args.seed)
    timing = parent.evaluator.timing
    encoder = model.encoder
    period = 1000.0 * encoder.frame_shift * timing.hop_length / timing.fs
    constant = timing.constant_ms(encoder)
    target = (args.latency_target - constant) / period
    taught = lessons(model, utterances)
    try:
        found = teach(encoder.scheduler, taught, target, args.epochs, seed=args.seed)
    except ValueError as error:
        raise config.ConfigError(
            f"--latency_target {args.latency_target:g}, of which {constant:g} ms are "
            f"front end and subsampling: {error}"
        ) from None
    logging.info(json.dumps(dataclasses.asdict(found)))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    partial = args.output.with_name(f".{args.output.name}.new")
    torch.save(model.cpu().state_dict(), partial)
    partial.replace(args.output)
    report = json.dumps(dataclasses.asdict(found), indent=1) + "\n"
    args.output.with_suffix(".json").write_text(report, encoding="utf-8")
    return found


def program() -> None:
    """Teach, and say in one line what the user can put right."""
    with in_one_line("asr_teach"):
        main()


if __name__ == "__main__":
    program()
