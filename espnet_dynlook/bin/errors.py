"""Errors of a command that the user can put right, in one line."""

import contextlib
import sys
from collections.abc import Iterator

from espnet_dynlook.biasing.fingerprint import OtherBase
from espnet_dynlook.config import ConfigError
from espnet_dynlook.streaming.frontend import CannotStream
from espnet_dynlook.training.annealing import LookaheadNotLearned
from espnet_dynlook.training.checkpoint import CheckpointNotWritten
from espnet_dynlook.training.loading import CheckpointMismatch
from espnet_dynlook.training.lock import FolderInUse
from espnet_dynlook.training.packed import PackedModelError

#: What the user can put right; anything else keeps its traceback.
EXPECTED = (
    ConfigError,
    FolderInUse,
    CheckpointMismatch,
    CheckpointNotWritten,
    LookaheadNotLearned,
    CannotStream,
    PackedModelError,
    OtherBase,
)


@contextlib.contextmanager
def in_one_line(program: str) -> Iterator[None]:
    """End the process with a message, not a traceback, inside a ``with`` block.

    Args:
        program: Name of the command, for the message.

    Raises:
        SystemExit: with the message, for an error of ``EXPECTED``.
    """
    try:
        yield
    except EXPECTED as error:
        sys.exit(f"{program}: error: {error}")
