# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR training: ESPnet's ``espnet2.bin.asr_train`` with the plugin in place."""

import argparse
import sys
from collections.abc import Sequence

from espnet_dynlook.config import ConfigError
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.checkpoint import CheckpointNotWritten
from espnet_dynlook.training.loading import CheckpointMismatch
from espnet_dynlook.training.lock import FolderInUse

#: What the user can put right; anything else keeps its traceback.
EXPECTED = (ConfigError, FolderInUse, CheckpointMismatch, CheckpointNotWritten)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser: ESPnet's, with the plugin's choices."""
    return DynlookASRTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Train.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
    """
    DynlookASRTask.main(cmd=cmd)


def program() -> None:
    """Train, and say in one line what the user can put right."""
    try:
        main()
    except EXPECTED as error:
        sys.exit(f"asr_train: error: {error}")


if __name__ == "__main__":
    program()
