# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Language model training: ESPnet's ``espnet2.bin.lm_train`` with checks and a lock."""

import argparse
from collections.abc import Sequence

from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.task.lm import DynlookLMTask


def get_parser() -> argparse.ArgumentParser:
    """Return the parser: that of ESPnet."""
    return DynlookLMTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    """Train.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
    """
    DynlookLMTask.main(cmd=cmd)


def program() -> None:
    """Train, and say in one line what the user can put right."""
    with in_one_line("lm_train"):
        main()


if __name__ == "__main__":
    program()
