# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What every task that the plugin trains gets: checks, a lock, the trainer."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_dynlook import config
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.training.loading import load_init_param
from espnet_dynlook.training.lock import FolderLock
from espnet_dynlook.training.substitute import substitute
from espnet_dynlook.training.trainer import DynlookTrainer

with espnet_imports():
    import espnet2.tasks.abs_task as host_abs_task
    from espnet2.tasks.abs_task import AbsTask
    from espnet2.train.distributed_utils import get_rank


class CheckedTask(AbsTask):
    """Goes before one of ESPnet's tasks among the bases of a class.

    What it adds: a configuration may have a ``base:``; a wrong key or value in it stops
    before data is read or anything is written; one run at a time in an output folder;
    whole checkpoints; a checkpoint that does not fit the model is refused.
    """

    trainer = DynlookTrainer

    @classmethod
    def main(
        cls,
        args: argparse.Namespace | None = None,
        cmd: Sequence[str] | None = None,
    ) -> None:
        """Check the configuration, then run what ESPnet's task runs.

        Args:
            args: Parsed arguments, instead of ``cmd``.
            cmd: Arguments as on the command line; None: those of this process.

        Raises:
            ConfigError: a key or value in the configuration is wrong.
            FolderInUse: another run is working in ``--output_dir``.
        """
        if args is None:
            args = cls.parse(sys.argv[1:] if cmd is None else cmd)
        super().main(args=args)

    @classmethod
    def parse(cls, cmd: Sequence[str]) -> argparse.Namespace:
        """Parse and check a command line; ``base:`` of its ``--config`` is resolved.

        Raises:
            ConfigError: a key or value is wrong.
        """
        cmd, position = config.split_config(cmd)
        if position is None:
            args = cls.get_parser().parse_args(cmd)
        else:
            file = cmd[position]
            merged = config.resolve(file)
            config.check(merged, cls, source=file)
            with config.temporary_yaml(merged) as plain:
                cmd[position] = str(plain)
                args = cls.get_parser().parse_args(cmd)
            args.config = file
        if not args.print_config:
            config.check_values(vars(args), cls, source="the command line")
        return args

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Run one process: ESPnet's, in a locked folder, with checked loading.

        Raises:
            FolderInUse: another run is working in ``--output_dir``.
            CheckpointMismatch: an ``--init_param`` does not fit the model.
        """
        with (
            FolderLock(args.output_dir, needed=cls._writes(args)),
            substitute(host_abs_task, load_pretrained_model=load_init_param),
        ):
            if cls._writes(args):
                cls._write_resolved(args)
            super().main_worker(args)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            # Its threads would else run on while the process ends, which may abort it.
            torch.distributed.destroy_process_group()

    @staticmethod
    def _writes(args: argparse.Namespace) -> bool:
        """Say whether this process is the one that writes to the output folder."""
        if not getattr(args, "distributed", False):
            return True
        return get_rank(args.dist_rank, args.dist_launcher) in (0, None)

    @staticmethod
    def _write_resolved(args: argparse.Namespace) -> None:
        """Leave the merged configuration where stock ESPnet can read it."""
        if args.config is not None and config.has_base(args.config):
            out = Path(args.output_dir) / "config.resolved.yaml"
            config.write_resolved(args.config, out)
            args.config = str(out)
