"""``python -m espnet_dynlook.plots PICTURE …``: draw one picture into a file."""

import importlib
import sys
from collections.abc import Sequence

from espnet_dynlook.plots.style import PlotError, save

PICTURES = {
    "masks": "what each layer attends to, over spectrogram and words; two models",
    "graph": "the computational graph of a few frames, with the path that waits",
    "gates": "gate values as the annealing hardens them; curves of a training",
    "tradeoff": "loss or error against latency, every system of a matrix",
    "latency": "how late the text of streams is, as measured; several decodings",
    "names": "an adapter's attention over a list of names, along time",
    "explain": "why a name was recognised in an utterance, or why not",
    "backlog": "work that waits for the device, over time, and its delay at the end",
}


def usage() -> str:
    """Return the list of pictures."""
    lines = [f"  {name:<9} {what}" for name, what in PICTURES.items()]
    return "\n".join(
        [
            "usage: python -m espnet_dynlook.plots PICTURE [options] --output FILE",
            "",
            "pictures (PICTURE --help lists its options):",
            *lines,
        ]
    )


def main(cmd: Sequence[str] | None = None) -> int:
    """Draw; return the exit status.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
    """
    words = list(sys.argv[1:] if cmd is None else cmd)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    name, *rest = words
    if name not in PICTURES:
        print(f"{usage()}\n\nplots: error: no picture {name!r}", file=sys.stderr)
        return 2
    # One at a time: some need ESPnet, which takes seconds to import.
    module = importlib.import_module(f"espnet_dynlook.plots.{name}")
    try:
        args = module.get_parser().parse_args(rest)
        save(module.picture(args), args.output)
    except PlotError as error:
        print(f"plots {name}: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
