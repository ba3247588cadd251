"""See whether schedulers wait where it is needed, on a task whose need is known.

See ``recipe.known_need_task``. For every seed a parent is trained under random masks,
and every system from it, with the same steps and sequences. Command::

    python -m espnet_dynlook.recipe.known_need --seeds 5 --jobs 2 --output exp/need

writes ``table.md``, ``results.json`` and ``masks.png`` to the folder of ``--output``.
"""

import argparse
import copy
import dataclasses
import json
import logging
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_dynlook.plots.masks import draw as draw_masks
from espnet_dynlook.plots.utterance import Utterance, Word, from_trace
from espnet_dynlook.recipe.known_need_task import (
    LONGEST,
    Outcome,
    Recogniser,
    draw,
    evaluate,
    train,
)
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.whole_files import write_atomic
from espnet_dynlook.recipe.workers import map_in_processes

DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": LONGEST}
#: Nats per unit for a frame of mean latency. The parent knows the task already.
PENALTY = {"loss": "absolute", "weight": 0.08, "warmup": 0.0, "ramp": 0.1}
#: Name -> arguments of Recogniser.
SYSTEMS: dict[str, dict[str, Any]] = {
    "oracle": {"encoder": {"lookahead": "causal"}, "oracle": True},
    "causal": {"encoder": {"lookahead": "causal"}},
    "layerwise, 4 in all": {
        "encoder": {"lookahead": "layerwise", "lookahead_total": 4}
    },
    "layerwise, 8 in all": {
        "encoder": {"lookahead": "layerwise", "lookahead_total": 8}
    },
    "chunks of 5": {"encoder": {"lookahead": "chunked", "lookahead_frames": 4}},
    "chunks of 9": {"encoder": {"lookahead": "chunked", "lookahead_frames": 8}},
    "dynamic, frame": {
        "encoder": {**DYNAMIC, "lookahead_scheduler": "frame"},
        "penalty": PENALTY,
    },
    "dynamic, sequential": {
        "encoder": {**DYNAMIC, "lookahead_scheduler": "sequential"},
        "penalty": PENALTY,
    },
    "dynamic, segment": {
        "encoder": {**DYNAMIC, "lookahead_scheduler": "segment"},
        "penalty": PENALTY,
    },
}
#: Systems in the picture, and the frame period that it is drawn with.
DRAWN = ("oracle", "dynamic, segment", "dynamic, sequential", "chunks of 9")
FRAME_SECONDS = 0.04


def parent(seed: int, steps: int) -> Recogniser:
    """Train the model that all systems of a seed start from."""
    torch.manual_seed(seed)
    model = Recogniser({"lookahead": "random", "lookahead_frames": LONGEST})
    train(model, steps, seed)
    return model


def system(name: str, start: Recogniser, seed: int, steps: int) -> Recogniser:
    """Train one of ``SYSTEMS`` from a parent."""
    torch.manual_seed(seed)
    model = Recogniser(**copy.deepcopy(SYSTEMS[name]))
    model.load_state_dict(start.state_dict(), strict=False)
    train(model, steps, seed + 2**20)  # the same sequences for all, not the parent's
    return model


def run_seed(
    seed: int, names: Sequence[str], parent_steps: int, steps: int
) -> tuple[list[Outcome], list[Utterance]]:
    """Train and evaluate the systems of a seed; return what they saw of a sequence."""
    start = parent(seed, parent_steps)
    outcomes, pictures = [], []
    for name in names:
        model = system(name, start, seed, steps)
        outcomes.append(evaluate(model, name, seed))
        logging.info(str(outcomes[-1]))
        if name in DRAWN:
            pictures.append(picture(model, name))
    return outcomes, pictures


@torch.no_grad()
def picture(model: Recogniser, name: str) -> Utterance:
    """Return what a system looks at in one sequence, with its units and cues."""
    batch = draw(1, np.random.default_rng(7))
    model.logits(batch)
    seen = from_trace(name, model.encoder, batch.features[0], FRAME_SECONDS)
    words = []
    for t in batch.labels[0].nonzero().flatten().tolist():
        wait = int(batch.waits[0, t])
        times = (t * FRAME_SECONDS, (t + wait + 1) * FRAME_SECONDS)
        words.append(Word(*times, f"{int(batch.labels[0, t])}"))
    return dataclasses.replace(seen, words=tuple(words), log_mel=False)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: mean and range over the seeds."""

    def over_seeds(values: list[float], digits: int) -> str:
        mean = f"{statistics.mean(values):.{digits}f}"
        return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    rows = []
    for name in dict.fromkeys(one.system for one in outcomes):
        own = [one for one in outcomes if one.system == name]
        ratio = statistics.mean(one.latency / one.oracle for one in own)
        rows.append(
            [
                name,
                over_seeds([one.error for one in own], 2),
                over_seeds([one.loss for one in own], 3),
                over_seeds([one.latency for one in own], 2),
                f"{ratio:.2f}",
                f"{statistics.mean(one.soft_gap for one in own):+.4f}",
            ]
        )
    header = [
        "system",
        "units wrong (%)",
        "loss (nats a unit)",
        "mean latency (frames)",
        "of the oracle's",
        "soft minus rounded loss",
    ]
    return markdown_table(header, rows)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        prog="known_need", description="Schedulers on a task whose need is known."
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of them")
    parser.add_argument(
        "--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS)
    )
    parser.add_argument("--parent_steps", type=int, default=800)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--output", type=Path, default=Path("exp/known_need"))
    return parser


def main(cmd: list[str] | None = None) -> list[Outcome]:
    """Train all, and write table, results and picture.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
    """
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s")
    seeds = range(1, args.seeds + 1)
    count = len(seeds)
    found = list(
        map_in_processes(
            run_seed,
            seeds,
            [args.systems] * count,
            [args.parent_steps] * count,
            [args.steps] * count,
            nj=args.jobs,
            uses_torch=True,
            chunksize=1,
        )
    )
    outcomes = [one for by_seed, _ in found for one in by_seed]
    args.output.mkdir(parents=True, exist_ok=True)
    text = table(outcomes)
    write_atomic(args.output / "table.md", text)
    rows = [dataclasses.asdict(one) for one in outcomes]
    write_atomic(args.output / "results.json", json.dumps(rows, indent=1) + "\n")
    pictures = found[0][1]
    if pictures:
        figure = draw_masks(pictures)
        figure.savefig(args.output / "masks.png", dpi=150)
    print(text, end="")
    return outcomes


if __name__ == "__main__":
    main()
    sys.exit(0)
