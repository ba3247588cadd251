"""The room's functions by the names that the design gives them."""

import subprocess
import sys

from espnet_dynlook import lookahead


def test_named_functions_come_from_the_room():
    for name in lookahead.__all__:
        assert callable(getattr(lookahead, name)), name
    assert {"algorithmic_latency", "close_band", "user_perceived_latency"} <= set(
        lookahead.__all__
    )


def test_importing_the_room_needs_torch_only():
    code = (
        "import sys, espnet_dynlook.lookahead; "
        "sys.exit(any(m.split('.')[0] in ('espnet', 'espnet2') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
