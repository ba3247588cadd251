"""Fixtures that every test may use, and the rule that tests open no connection."""

import os
import socket
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse connections to anything but this machine."""
    connect = socket.socket.connect

    def local_only(self, address):
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise AssertionError(f"a test tried to connect to {address!r}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(scope="session")
def dynlook_data() -> Path:
    """Return the folder with real speech that DYNLOOK_DATA names, or skip."""
    folder = os.environ.get("DYNLOOK_DATA")
    if not folder:
        pytest.skip("DYNLOOK_DATA is not set: it names a folder with real speech")
    path = Path(folder)
    if not path.is_dir():
        raise pytest.UsageError(f"DYNLOOK_DATA={folder} is not a folder")
    return path
