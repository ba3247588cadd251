"""Work on many recordings, in several processes."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def _one_torch_thread() -> None:
    """Keep the threads of torch off the cores of the other processes."""
    import torch

    torch.set_num_threads(1)


def map_in_processes(
    work: Callable[..., Any],
    *arguments: Iterable[Any],
    nj: int,
    uses_torch: bool,
    chunksize: int = 16,
) -> Iterator[Any]:
    """Yield ``work(...)`` of the arguments in their order, as ``map`` does.

    Args:
        work: A function that can be pickled.
        arguments: One iterable for each argument of ``work``.
        nj: Number of processes; 1 is this one.
        uses_torch: Whether ``work`` computes with torch.
        chunksize: Calls that a process gets at a time: 1 where each takes long.
    """
    if nj <= 1:
        yield from map(work, *arguments)
        return
    # New processes, not forks: a fork of a process whose torch has threads can hang.
    with ProcessPoolExecutor(
        max_workers=nj,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_one_torch_thread if uses_torch else None,
    ) as pool:
        yield from pool.map(work, *arguments, chunksize=chunksize)
