"""Text that a training is given as data, read before it begins."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


def lines_of(data: Iterable[Sequence[str]], field: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a field: where each stands (``FILE:3``), and its text.

    Args:
        data: (path, name, type) of the data of a training, as its options give them; a
            path may be a folder of splits (``--multiple_iterator``).
        field: Name of data of type ``text``; other types are left out.
    """
    for path, name, kind in data:
        if (name, kind) != (field, "text"):
            continue
        whole = Path(path)
        for part in sorted(whole.glob("split.*")) if whole.is_dir() else [whole]:
            with open(part, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    yield (
                        f"{part}:{number}",
                        " ".join(line.rstrip().split(maxsplit=1)[1:]),
                    )
