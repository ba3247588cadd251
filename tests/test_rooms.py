"""The package's rooms import only downwards, and some never import ESPnet."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "espnet_dynlook"
# From top to bottom; a room may import the rooms below it and itself.
ORDER = [
    {"bin", "recipe"},
    {"plots"},
    {"recognizer"},
    {"run"},
    {"task"},
    {"config"},
    {"training"},
    {"model"},
    {"streaming"},
    {"search"},
    {"encoder"},
    {"frontend"},
    {"biasing"},
    {"lookahead"},
    {"metrics"},
    {"compat"},
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
WITHOUT_ESPNET = {"lookahead", "biasing", "metrics"}


def imports_of(source: str) -> set[str]:
    """Return every dotted name that a source file imports, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room_of(path: Path) -> str:
    """Return the room that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(
    p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem[0] != "_"
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in RANK, f"{path} is in no room that the design knows"
    for name in imports_of(path.read_text(encoding="utf-8")):
        if not name.startswith("espnet_dynlook."):
            continue
        other = name.split(".")[1]
        if other not in RANK:  # a name of the package itself, such as __version__
            continue
        assert other == room or RANK[other] > RANK[room], f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_espnet_stays_out_of_the_theory(path):
    if room_of(path) not in WITHOUT_ESPNET:
        return
    for name in imports_of(path.read_text(encoding="utf-8")):
        assert name.split(".")[0] not in ("espnet", "espnet2", "espnet3"), name


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_compat_names_what_moved(path):
    if path.stem == "compat":
        return
    source = path.read_text(encoding="utf-8")
    assert "espnet2.legacy" not in source
    assert not any(
        n == "espnet.nets" or n.startswith("espnet.nets.") for n in imports_of(source)
    )
