"""Build KenLM's lmplz and build_binary, which estimate the n-grams of stage 9.

From the source package of ``kenlm`` on PyPI, with cmake, a C++ compiler and Boost of
the system (on Debian: ``apt install cmake g++ libboost-program-options-dev
libboost-system-dev libboost-thread-dev libboost-test-dev zlib1g-dev``). Command::

    python -m espnet_dynlook.recipe.kenlm

The programs go beside python's own, where asr.sh finds them. The Python module kenlm,
which reads binary n-grams, is another thing: ``pip install kenlm``.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

PROGRAMS = ("lmplz", "build_binary")
BOOST = "libboost-{program-options,system,thread,test}-dev"


class BuildError(Exception):
    """A step of the build failed; says what would help."""


def check_tools() -> None:
    """Look for cmake and a compiler before anything is fetched.

    Raises:
        BuildError: names what is missing.
    """
    missing = [] if shutil.which("cmake") else ["cmake"]
    compilers = (os.environ.get("CXX", "c++").split()[0], "g++", "clang++")
    if not any(map(shutil.which, compilers)):
        missing.append("a C++ compiler (g++ or clang++)")
    if missing:
        raise BuildError(
            f"building lmplz needs {' and '.join(missing)}; on Debian: apt install "
            f"cmake g++ zlib1g-dev {BOOST}. Or use recipes with --use_ngram false"
        )


def fetch(folder: Path) -> Path:
    """Fetch the newest source package with pip, from wherever pip fetches.

    Raises:
        BuildError: pip could not.
    """
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--no-binary", "kenlm", "--dest", str(folder), "kenlm"),
    ]
    # With the packages that are here pip needs to fetch nothing else.
    for options in (["--no-build-isolation"], []):
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        found = sorted(folder.glob("kenlm-*.tar.gz"))
        if done.returncode == 0 and found:
            return found[-1]
    last = "\n".join(done.stderr.strip().splitlines()[-5:])
    raise BuildError(
        f"pip could not fetch the source package of kenlm:\n{last}\nWhere there is no "
        "network, fetch kenlm-*.tar.gz from PyPI elsewhere and give it with --sdist"
    )


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source package; return the folder with its CMakeLists.txt.

    Raises:
        BuildError: it is none of KenLM.
    """
    try:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise BuildError(f"{sdist} cannot be unpacked: {error}") from None
    found = sorted(folder.glob("*/CMakeLists.txt"))
    if not found:
        raise BuildError(f"{sdist} has no CMakeLists.txt: it is no source of KenLM")
    return found[0].parent


def build(source: Path, folder: Path, jobs: int, order: int) -> list[Path]:
    """Build the programs.

    Args:
        source: With CMakeLists.txt.
        folder: To build in.
        jobs: Compilers at a time.
        order: Highest order of n-grams.

    Raises:
        BuildError: the last lines of the step that failed.
    """
    _run(
        [
            *("cmake", "-S", str(source), "-B", str(folder)),
            *("-DCMAKE_BUILD_TYPE=Release", "-DENABLE_INTERPOLATE=OFF"),
            f"-DKENLM_MAX_ORDER={order}",
        ],
        f"Boost may be missing, with its headers; on Debian: apt install {BOOST}",
    )
    _run(
        ["cmake", "--build", str(folder), "--target", *PROGRAMS, "-j", str(jobs)],
        "with little memory, give --jobs 1",
    )
    return [folder / "bin" / name for name in PROGRAMS]


def _run(command: list[str], hint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        last = "\n".join(lines[-15:])
        raise BuildError(f"{' '.join(command)} failed:\n{last}\n{hint}")


def install(programs: list[Path], prefix: Path) -> None:
    """Copy the programs to a folder, none of them half written."""
    prefix.mkdir(parents=True, exist_ok=True)
    for program in programs:
        new = prefix / f".{program.name}.new"
        shutil.copy2(program, new)
        new.replace(prefix / program.name)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Build KenLM's lmplz and build_binary."
    )
    parser.add_argument(
        "--prefix",
        default=sysconfig.get_path("scripts"),
        help="folder for the programs; default: %(default)s",
    )
    parser.add_argument("--sdist", help="source package that is already here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--order", type=int, default=6, help="highest order of n-grams")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Build; return 1 and say what is missing where it cannot be done."""
    args = get_parser().parse_args(cmd)
    try:
        check_tools()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            sdist = Path(args.sdist) if args.sdist else fetch(folder)
            source = unpack(sdist, folder / "source")
            programs = build(source, folder / "build", args.jobs, args.order)
            install(programs, Path(args.prefix))
    except BuildError as error:
        print(f"kenlm: error: {error}", file=sys.stderr)
        return 1
    print(f"{args.prefix}: {', '.join(PROGRAMS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
