"""Two processes train one model on CPUs."""

import copy

import pytest
import torch

from espnet_dynlook.training.loading import safe_load


def train_in_two_processes(corpus, tmp_path, *extra):
    """Train one epoch and return the folder and what is in its checkpoint.

    ESPnet spawns by ``--ngpu``, so that on CPUs each process is started with its
    rank: ``--multiprocessing_distributed false --dist_backend gloo --dist_rank …``.
    """
    from espnet_dynlook.task import DynlookASRTask

    expdir = tmp_path / "exp"
    args = DynlookASRTask.parse(
        corpus.train_args(
            expdir,
            *("--multiprocessing_distributed", "false", "--dist_backend", "gloo"),
            *("--dist_world_size", "2", "--dist_rank", "0"),
            *("--dist_init_method", f"file://{tmp_path}/meeting"),
            *("--max_epoch", "1"),
            *extra,
        )
    )
    args.distributed, args.version = True, "test"
    processes = []
    context = torch.multiprocessing.get_context("spawn")
    try:
        for rank in (0, 1):
            own = copy.copy(args)
            own.dist_rank = rank
            process = context.Process(target=DynlookASRTask.main_worker, args=(own,))
            process.start()
            processes.append(process)
        for process in processes:
            process.join(timeout=180)
        assert [process.exitcode for process in processes] == [0, 0]
    finally:
        for process in processes:  # one may wait for the other for ever
            process.kill()
            process.join()
    return expdir, safe_load(expdir / "checkpoint.pth")


@pytest.mark.host
def test_spawned_gloo_workers_train_one_model(corpus, tmp_path):
    """As ESPnet spawns its GPU workers: a new python that imports the task only."""
    expdir, states = train_in_two_processes(corpus, tmp_path)
    assert states["reporter"]["epoch"] == 1
    assert states["reporter"]["stats"][1]["train"]["lookahead_ms"] > 0
    assert not (expdir / ".lock").exists()


def test_a_learned_lookahead_trains_in_two_processes(corpus, tmp_path):
    encoder = ("lookahead=dynamic", "scheduler_bias=3.0", "scheduler_tau=[1.0,0.1]")
    encoder += ("scheduler_anneal=0",)
    price = ("latency_loss=relative", "latency_weight=0.0001", "latency_warmup=0.0")
    extra = [word for x in encoder for word in ("--encoder_conf", x)]
    extra += [word for x in price for word in ("--model_conf", x)]
    _, states = train_in_two_processes(corpus, tmp_path, "--model", "dynlook", *extra)
    stats = states["reporter"]["stats"][1]
    for phase in ("train", "valid"):
        assert stats[phase]["latency_rounded_ms"] > 0
        total = stats[phase]["loss_task"] + stats[phase]["loss_latency"]
        assert stats[phase]["loss"] == pytest.approx(total, rel=1e-4)
    # One update of the running mean a step, whatever the number of workers.
    steps = stats["train"]["total_count"]
    assert float(states["model"]["latency_penalty.steps"]) == steps > 0
