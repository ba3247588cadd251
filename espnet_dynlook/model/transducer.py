# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The transducer loss that everybody has: torchaudio's."""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

import torch
import torchaudio


class RNNTLoss(torch.nn.Module):
    """Stands for ``warprnnt_pytorch.RNNTLoss``: the same numbers, from torchaudio.

    Args:
        blank: Index of the blank.
        fastemit_lambda: Has to be 0, as ESPnet's ASR model sets it.

    Raises:
        ValueError: FastEmit is asked for.
    """

    def __init__(self, blank: int = 0, fastemit_lambda: float = 0.0):
        super().__init__()
        if fastemit_lambda:
            raise ValueError(
                f"fastemit_lambda={fastemit_lambda} must be 0: torchaudio's transducer "
                "loss has no FastEmit"
            )
        self.blank = blank

    def forward(
        self,
        joint_out: torch.Tensor,
        target: torch.Tensor,
        t_len: torch.Tensor,
        u_len: torch.Tensor,
    ) -> torch.Tensor:
        """Return the mean over the utterances of -log P(target), float32.

        Args:
            joint_out: Logits (B, T, U + 1, V).
            target: Labels (B, U).
            t_len: Frames (B,).
            u_len: Labels of each utterance (B,).
        """
        with torch.autocast(joint_out.device.type, enabled=False):
            return torchaudio.functional.rnnt_loss(
                joint_out.float(),
                target.int(),
                t_len.int(),
                u_len.int(),
                blank=self.blank,
                reduction="mean",
            )


@contextlib.contextmanager
def torchaudio_transducer_loss() -> Iterator[None]:
    """Give torchaudio's loss to whoever imports ``warprnnt_pytorch`` in the block.

    ESPnet's model imports it where it builds a transducer; it does not install with
    the supported versions of torch.
    """
    name = "warprnnt_pytorch"
    before = sys.modules.get(name)
    module = ModuleType(name)
    module.RNNTLoss = RNNTLoss  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
