# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ESPnet's trainer, with what this plugin's models and users need."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.training.amp import bfloat16_on_cpu
from espnet_dynlook.training.annealing import (
    AnnealingReporter,
    annealing_statistic,
    check_annealing,
    check_lookahead,
    scheduler_of,
)
from espnet_dynlook.training.checkpoint import finish_epoch, whole_checkpoints
from espnet_dynlook.training.latency import latency_statistic
from espnet_dynlook.training.loading import check_fits, safe_load
from espnet_dynlook.training.progress import Display
from espnet_dynlook.training.substitute import substitute

with espnet_imports():
    import espnet2.train.trainer as host_trainer
    from espnet2.train.distributed_utils import DistributedOption
    from espnet2.train.reporter import Reporter, SubReporter
    from espnet2.train.trainer import Trainer, TrainerOptions


class DynlookTrainer(Trainer):
    """Trainer that tells the model its progress and writes whole checkpoints.

    * The model's ``set_progress(epoch, progress)`` and its encoder's
      ``set_progress(progress)`` are called before every step, if they exist. Both
      numbers follow from the checkpoint's epoch, so a resumed training goes on.
    * ``use_amp`` on a CPU is bfloat16 (see ``training.amp``).
    * Checkpoints are written whole or not at all (see ``training.checkpoint``).
    * A progress bar on a terminal, lines in a log; ``lookahead_ms`` among the
      statistics.
    * Where a lookahead is learned, the best epochs are among those with rounded masks,
      by the loss without a penalty, and a training that has lost its lookahead stops
      (see ``training.annealing``).
    """

    #: How this run shows itself; set for the time of ``run`` on a class of its own.
    display: Display | None = None
    #: (phase, statistic, "min" or "max") whose best epochs have links; likewise.
    criteria: Sequence[Sequence[str]] = ()
    #: Whether this process is the one that writes; likewise.
    writes: bool = True

    @classmethod
    def run(
        cls,
        model: torch.nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[Any],
        train_iter_factory: Any,
        valid_iter_factory: Any,
        plot_attention_iter_factory: Any,
        trainer_options: TrainerOptions,
        distributed_option: DistributedOption,
    ) -> None:
        """Train; the arguments are those of ESPnet's trainer.

        Raises:
            CheckpointNotWritten: the disk is full; the checkpoint before is kept.
            CheckpointMismatch: ``checkpoint.pth`` is of another model.
            LookaheadNotLearned: the lookahead has collapsed, did not decide, or would
                not be annealed before the last epoch.
        """
        scheduler = scheduler_of(model)
        if scheduler is not None and not getattr(model, "base_is_frozen", False):
            check_annealing(scheduler.anneal, trainer_options.max_epoch)
        first = not distributed_option.distributed or distributed_option.dist_rank == 0
        display = Display(
            trainer_options.max_epoch, trainer_options.log_interval, shown=first
        )
        # ESPnet's trainer has class methods only. What belongs to one run goes to a
        # class made for it.
        criteria = trainer_options.best_model_criterion
        session: Any = type(
            cls.__name__,
            (cls,),
            {"display": display, "criteria": criteria, "writes": first},
        )
        with contextlib.ExitStack() as stack:
            if trainer_options.use_amp and trainer_options.ngpu == 0:
                stack.enter_context(bfloat16_on_cpu(model))
                trainer_options = dataclasses.replace(trainer_options, use_amp=False)
            if first:
                stack.enter_context(whole_checkpoints(trainer_options.output_dir))
            stack.enter_context(latency_statistic(model))
            stack.enter_context(annealing_statistic(model))
            stack.enter_context(substitute(host_trainer, Reporter=AnnealingReporter))
            stack.enter_context(display.beside_log())
            super(DynlookTrainer, session).run(
                model=model,
                optimizers=optimizers,
                schedulers=schedulers,
                train_iter_factory=train_iter_factory,
                valid_iter_factory=valid_iter_factory,
                plot_attention_iter_factory=plot_attention_iter_factory,
                trainer_options=trainer_options,
                distributed_option=distributed_option,
            )

    @classmethod
    def train_one_epoch(
        cls,
        model: torch.nn.Module,
        iterator: Iterable[Any],
        reporter: SubReporter,
        options: TrainerOptions,
        **others: Any,
    ) -> bool:
        """Train one epoch, telling and showing progress.

        Returns:
            Whether no step of the epoch changed the model.
        """
        display = cls.display or Display(options.max_epoch, options.log_interval)
        return super().train_one_epoch(
            model=model,
            iterator=display.steps(model, iterator, reporter),
            reporter=reporter,
            options=options,
            **others,
        )

    @classmethod
    def validate_one_epoch(
        cls,
        model: torch.nn.Module,
        iterator: Iterable[Any],
        reporter: SubReporter,
        options: TrainerOptions,
        distributed_option: DistributedOption,
    ) -> None:
        """Validate, and stop where the lookahead is lost.

        Raises:
            LookaheadNotLearned: it has collapsed, or did not decide.
        """
        super().validate_one_epoch(
            model=model,
            iterator=iterator,
            reporter=reporter,
            options=options,
            distributed_option=distributed_option,
        )
        check_lookahead(model, reporter)

    @classmethod
    def resume(  # type: ignore[override]  # it is static, and called on the class
        cls,
        checkpoint: Path | str,
        model: torch.nn.Module,
        reporter: Reporter,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[Any],
        scaler: Any,
        ngpu: int = 0,
        strict: bool = True,
    ) -> None:
        """Restore the state after the last whole epoch.

        Args:
            checkpoint: ``checkpoint.pth`` in the output folder.
            model: Receives its parameters, as the others receive their states.
            reporter: Gets the history of the epochs.
            optimizers: As many as in the checkpoint.
            schedulers: Likewise; None for an optimizer without one.
            scaler: Gradient scaler, or None.
            ngpu: Number of GPUs of this process.
            strict: Whether every key has to be in the checkpoint.

        Raises:
            CheckpointMismatch: the checkpoint is of another model.
        """
        device = f"cuda:{torch.cuda.current_device()}" if ngpu > 0 else "cpu"
        states = safe_load(checkpoint, device)
        check_fits(
            states["model"],
            model.state_dict(),
            str(checkpoint),
            "The configuration has changed since this training began: train in another "
            "--output_dir, or with the old configuration.",
            missing_is_fine=not strict,
        )
        model.load_state_dict(states["model"], strict=strict)
        reporter.load_state_dict(states["reporter"])
        for name, parts in (("optimizers", optimizers), ("schedulers", schedulers)):
            for part, state in zip(parts, states[name], strict=True):
                if part is not None:
                    part.load_state_dict(state)
        if scaler is not None and states["scaler"] is not None:
            scaler.load_state_dict(states["scaler"])
        if cls.writes:
            best = {
                f"{phase}.{key}.best.pth": reporter.get_best_epoch(phase, key, mode)
                for phase, key, mode in cls.criteria
                if reporter.has(phase, key)
            }
            folder = Path(checkpoint).parent
            finish_epoch(folder, reporter.get_epoch(), states["model"], best)
        logging.info(f"Resuming after epoch {reporter.get_epoch()} of {checkpoint}")
