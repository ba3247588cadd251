"""torchaudio's transducer loss in the place of warprnnt_pytorch's."""

import sys

import pytest
import torch

from espnet_dynlook.model.transducer import RNNTLoss, torchaudio_transducer_loss


def by_definition(logits, target, blank):
    """Return -log of the sum over all paths, one utterance."""
    log_probs = logits.log_softmax(dim=-1)
    frames, labels = logits.shape[0], len(target)
    alpha = {(0, 0): torch.zeros(())}
    for t in range(frames):
        for u in range(labels + 1):
            ways = []
            if t > 0:
                ways.append(alpha[t - 1, u] + log_probs[t - 1, u, blank])
            if u > 0:
                ways.append(alpha[t, u - 1] + log_probs[t, u - 1, target[u - 1]])
            if ways:
                alpha[t, u] = torch.logsumexp(torch.stack(ways), dim=0)
    return -(alpha[frames - 1, labels] + log_probs[frames - 1, labels, blank])


@pytest.mark.parametrize("blank", [0, 4])
def test_is_the_mean_over_utterances_of_the_sum_over_paths(blank):
    torch.manual_seed(0)
    logits = torch.randn(2, 6, 4, 5)
    target = torch.tensor([[1, 2, 3], [3, 1, 0]])
    frames, labels = torch.tensor([6, 4]), torch.tensor([3, 2])
    expected = [
        by_definition(logits[b, :t, : u + 1], target[b, :u].tolist(), blank)
        for b, (t, u) in enumerate(zip([6, 4], [3, 2], strict=True))
    ]
    loss = RNNTLoss(blank=blank)(logits, target, frames, labels)
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def test_float32_inside_autocast():
    logits = torch.randn(1, 3, 2, 4)
    sizes = (torch.tensor([[1]]), torch.tensor([3]), torch.tensor([1]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = RNNTLoss()(logits.bfloat16(), *sizes)
    assert loss.dtype == torch.float32


def test_the_module_stands_in_for_the_time_of_building_only():
    assert "warprnnt_pytorch" not in sys.modules
    with torchaudio_transducer_loss():
        from warprnnt_pytorch import RNNTLoss as found

        assert found is RNNTLoss
    assert "warprnnt_pytorch" not in sys.modules


def test_fast_emit_is_refused():
    with pytest.raises(ValueError, match="must be 0: torchaudio"):
        RNNTLoss(fastemit_lambda=0.1)
