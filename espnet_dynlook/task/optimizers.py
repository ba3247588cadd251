# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A learning rate of its own for what learns the lookahead."""

import torch


def separate_scheduler(
    optimizer: torch.optim.Optimizer, scheduler: torch.nn.Module, lr_factor: float
) -> None:
    """Move the parameters of a lookahead's scheduler to a group of their own.

    With a higher learning rate, and without weight decay, which would close and open
    gates by itself. To be called before the schedule of the learning rate is made: it
    takes each group's rate as its base. The last group then is the scheduler's,
    always, so a resumed training finds it where it was.

    Args:
        optimizer: Has the parameters; new, without state.
        scheduler: Whose parameters to move.
        lr_factor: What to multiply their learning rate by.
    """
    ours = {id(parameter): parameter for parameter in scheduler.parameters()}
    moved: list[torch.nn.Parameter] = []
    for group in optimizer.param_groups:
        moved += [p for p in group["params"] if id(p) in ours]
        group["params"] = [p for p in group["params"] if id(p) not in ours]
    if not moved:
        return
    group = {"params": moved}
    if "lr" in optimizer.defaults:
        group["lr"] = optimizer.defaults["lr"] * lr_factor
    if "weight_decay" in optimizer.defaults:
        group["weight_decay"] = 0.0  # type: ignore[assignment]
    optimizer.add_param_group(group)
