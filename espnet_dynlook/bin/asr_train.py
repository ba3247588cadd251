# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR training: ESPnet's ``espnet2.bin.asr_train`` with the plugin in place.

With ``--use_tensorboard true`` and a learned lookahead, TensorBoard also shows the
masks of an utterance after each epoch.
"""

import argparse
from collections.abc import Sequence

from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.plots.tensorboard import DrawingTrainer
from espnet_dynlook.task import DynlookASRTask


class DrawingASRTask(DynlookASRTask):
    """The plugin's ASR task, with pictures in TensorBoard."""

    trainer = DrawingTrainer


def get_parser() -> argparse.ArgumentParser:
    """Return the parser: ESPnet's, with the plugin's choices."""
    return DrawingASRTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Train.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
    """
    DrawingASRTask.main(cmd=cmd)


def program() -> None:
    """Train, and say in one line what the user can put right."""
    with in_one_line("asr_train"):
        main()


if __name__ == "__main__":
    program()
