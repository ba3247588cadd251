# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR training: ESPnet's ``espnet2.bin.asr_train`` with the plugin in place."""

import argparse
from collections.abc import Sequence

from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.task import DynlookASRTask


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
    with in_one_line("asr_train"):
        main()


if __name__ == "__main__":
    program()
