"""Building lmplz: what is missing is said, and half a build is not installed."""

import os
import tarfile

import pytest

from espnet_dynlook.recipe import kenlm

CMAKE = """#!/bin/bash
if [ "$1" = --build ]; then
    [ ! -e fail ] || { echo "no memory"; exit 1; }
    mkdir -p "$2/bin"
    for name in lmplz build_binary; do
        printf '#!/bin/sh\\n' >"$2/bin/$name"
        chmod +x "$2/bin/$name"
    done
fi
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Put stand-ins for cmake and a compiler on a PATH of their own."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in (("cmake", CMAKE), ("g++", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


def sdist(folder, name="CMakeLists.txt"):
    (folder / "kenlm-0").mkdir()
    (folder / "kenlm-0" / name).touch()
    path = folder / "kenlm-0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "kenlm-0", "kenlm-0")
    return str(path)


def test_programs_are_put_where_they_are_found(tools, tmp_path, capsys):
    prefix = tmp_path / "bin"
    found = kenlm.main(["--sdist", sdist(tmp_path), "--prefix", str(prefix)])
    assert found == 0, capsys.readouterr().err
    assert {path.name for path in prefix.iterdir()} == {"lmplz", "build_binary"}
    assert all(os.access(path, os.X_OK) for path in prefix.iterdir())


def test_a_failed_build_installs_nothing_and_shows_its_end(tools, tmp_path, capsys):
    (tmp_path / "fail").touch()
    options = ["--sdist", sdist(tmp_path), "--prefix", str(tmp_path / "bin")]
    assert kenlm.main(options) == 1
    assert "no memory" in capsys.readouterr().err
    assert not (tmp_path / "bin").exists()


@pytest.mark.parametrize("missing", ["cmake", "g++"])
def test_a_missing_tool_is_named_before_anything_is_fetched(
    tools, monkeypatch, capsys, missing
):
    (tools / missing).unlink()
    monkeypatch.setenv("PATH", str(tools))
    assert kenlm.main([]) == 1
    message = capsys.readouterr().err
    assert f"building lmplz needs {'cmake' if missing == 'cmake' else 'a C++'}" in (
        message
    )
    assert "apt install" in message


def test_a_package_that_is_none_is_named(tools, tmp_path, capsys):
    assert kenlm.main(["--sdist", sdist(tmp_path, "setup.py")]) == 1
    assert "has no CMakeLists.txt" in capsys.readouterr().err
    (tmp_path / "x.tar.gz").write_bytes(b"none")
    assert kenlm.main(["--sdist", str(tmp_path / "x.tar.gz")]) == 1
    assert "cannot be unpacked" in capsys.readouterr().err
