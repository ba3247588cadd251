"""What was compiled is used again while it says what its files say, and no longer."""

import subprocess
import sys
from pathlib import Path

from espnet_dynlook.search import compiled

CALLEE = """\
from {name}.compiled import compiled

STEP = {step}


@compiled
def double(n):
    return {double} * n
"""
CALLER = """\
from {name}.compiled import compiled
from {name}.callee import STEP, double


@compiled
def called(n):
    return double(n) + STEP


said = called(5)
stats = called.stats
print(said, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def package(folder, double=2, step=1):
    found = folder / "some_package"
    found.mkdir(exist_ok=True)
    (found / "__init__.py").touch()
    source = Path(compiled.__file__).read_text(encoding="utf-8")
    (found / "compiled.py").write_text(source, encoding="utf-8")
    said = CALLEE.format(name=found.name, double=double, step=step)
    (found / "callee.py").write_text(said, encoding="utf-8")
    if not (found / "caller.py").exists():
        (found / "caller.py").write_text(CALLER.format(name=found.name))
    # Python itself takes a file of the same second and size for the same (-B: no .pyc).
    return said_by(found, "caller")


def said_by(package, module):
    command = [sys.executable, "-B", "-m", f"{package.name}.{module}"]
    run = subprocess.run(
        command,
        cwd=package.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return [int(n) for n in run.stdout.split()]


def test_a_change_in_a_called_file_is_seen_and_nothing_is_compiled_twice(tmp_path):
    # What it says, how often that was kept, and how often it was not.
    assert package(tmp_path) == [11, 0, 1]
    assert package(tmp_path) == [11, 1, 0]
    assert package(tmp_path, double=3) == [16, 0, 1]
    assert package(tmp_path, double=3, step=9) == [24, 0, 1]


TYPED = """\
from {name}.compiled import compiled
from {name}.{types} import Pair


@compiled
def called(pair):
    return pair.one + pair.two


said = called(Pair(2, 3))
stats = called.stats
print(said, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
TYPES = "from typing import NamedTuple\n\n\nclass Pair(NamedTuple):\n"
TYPES += "    one: int\n    two: int\n"


def test_what_was_kept_of_types_that_are_gone_is_compiled_again(tmp_path):
    assert package(tmp_path) == [11, 0, 1]
    folder = tmp_path / "some_package"

    def typed(types):
        (folder / f"{types}.py").write_text(TYPES)
        (folder / "typed.py").write_text(TYPED.format(name=folder.name, types=types))
        return said_by(folder, "typed")

    assert typed("before") == [5, 0, 1]
    (folder / "before.py").unlink()
    assert typed("behind") == [5, 0, 1]
    assert typed("behind") == [5, 1, 0]
    for kept in (folder / "__pycache__").glob("typed.called-*.nbi"):
        kept.write_bytes(kept.read_bytes()[:-9])
    assert typed("behind") == [5, 0, 1]


def test_every_compiled_function_of_the_package_is_kept_so():
    package_folder = Path(compiled.__file__).parents[1]
    for path in package_folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "compiled.py":
            assert "njit" not in text, f"{path}: use search.compiled"
        if "search.compiled import" in text:
            assert path.parent == Path(compiled.__file__).parent
            assert "\n@compiled\n" in text or "\n@bare\n" in text
