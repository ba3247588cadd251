"""Two processes train one model on CPUs."""

import copy

import pytest
import torch

from espnet_dynlook.training.loading import safe_load


@pytest.mark.host
def test_spawned_gloo_workers_train_one_model(corpus, tmp_path):
    """As ESPnet spawns its GPU workers: a new python that imports the task only.

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
    states = safe_load(expdir / "checkpoint.pth")
    assert states["reporter"]["epoch"] == 1
    assert states["reporter"]["stats"][1]["train"]["lookahead_ms"] > 0
    assert not (expdir / ".lock").exists()
