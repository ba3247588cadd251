"""Simulate a slow device on what models wait for."""

from typing import Any

import torch

from espnet_dynlook.lookahead.compute import arrivals, backlog, work_per_layer
from espnet_dynlook.plots.backlog import Backlog
from espnet_dynlook.plots.reading import load_systems, observe, read_speech
from espnet_dynlook.plots.style import PlotError


@torch.no_grad()
def read_backlogs(args: Any) -> list[Backlog]:
    """Run the models of a command line, and simulate a device on what they wait for.

    Args:
        args: Of ``options.add_models`` and ``options.add_utterance``, and
            ``compute_budget``.

    Raises:
        PlotError: a file or a value is wrong, or a model is none of the plugin's.
    """
    found = []
    for system in load_systems(args):
        budget = args.compute_budget
        if budget is None:
            budget = (getattr(system.args, "model_conf", None) or {}).get(
                "compute_budget"
            )
        if budget is None:
            raise PlotError(
                f"{system.name} has no compute_budget in its model_conf: give "
                "--compute_budget, such as 0.6 for a device that computes a second of "
                "speech in 0.6 s"
            )
        shown = observe(system, read_speech(args, system), args.text, ())
        encoder = system.model.encoder
        trace = getattr(encoder, "lookahead", None)
        if trace is None:
            raise PlotError(
                f"{system.name}: the encoder {type(encoder).__name__} is none of "
                "dynlook_conformer, dynlook_transformer, and its work is not counted"
            )
        work = work_per_layer(encoder)
        bands = trace.seen  # a row's work begins when all is there that it sees
        behind = backlog(bands, trace.lengths, work, budget)
        arriving = arrivals(bands, trace.lengths, work)
        found.append(
            Backlog(
                utterance=shown,
                arriving=arriving[0].cpu().numpy(),
                behind_ms=1000 * shown.frame_seconds * behind[0].cpu().numpy(),
                compute_budget=float(budget),
            )
        )
    return found
