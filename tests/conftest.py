"""Fixtures that every test may use, and the rule that tests open no connection."""

import os
import runpy
from pathlib import Path

import pytest

OFFLINE = Path(__file__).parent / "offline"


def pytest_configure(config):
    """Refuse connections from now on: in collection, fixtures, tests and children."""
    runpy.run_path(str(OFFLINE / "sitecustomize.py"))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), *filter(None, [before])])


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
