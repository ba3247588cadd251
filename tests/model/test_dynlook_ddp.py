"""The model inside DistributedDataParallel, as the trainer wraps it."""

import torch
from model_factory import batch, build

from espnet_dynlook.training.progress import tell_progress


def test_trains_inside_distributed_data_parallel(tmp_path):
    plain = build(tmp_path, latency_loss="relative", latency_weight=0.1).train()
    inner = build(tmp_path, latency_loss="relative", latency_weight=0.1).train()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(inner)
        tell_progress(wrapped, 3, 0.6)
        assert inner.latency_penalty.progress == 0.6
        plain.set_progress(3, 0.6)
        plain.encoder.set_progress(0.6)
        for step in range(2):  # a second step finds parameters without gradients
            losses = []
            for model in (plain, wrapped):
                torch.manual_seed(step)
                loss, _, _ = model(**batch(step))
                loss.sum().backward()
                losses.append(loss.detach())
            torch.testing.assert_close(*losses)
        gradients = zip(plain.parameters(), inner.parameters(), strict=True)
        for ours, theirs in gradients:
            torch.testing.assert_close(ours.grad, theirs.grad)
        assert torch.equal(plain.latency_penalty.mean, inner.latency_penalty.mean)
    finally:
        torch.distributed.destroy_process_group()
