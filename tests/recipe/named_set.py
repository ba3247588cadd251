"""A tiny model with an adapter, speech, and lists of names, as files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from names_files import write_both
from recogniser_files import FS, speech

from espnet_dynlook.biasing.lists import (
    BiasingList,
    format_lists,
    read_lists,
    spelled,
)

PHRASES = ("ab", "c a", "bcb")
TEXT = "ab c"


@dataclass
class NamedSet:
    """Where everything is."""

    root: Path
    files: tuple
    adapter: dict[str, Path]
    samples: dict[str, Any]

    @property
    def model_options(self):
        """Data, model and beam."""
        config, model = self.files
        return [
            *("--data", f"{self.root}/wav.scp,speech,sound", "--beam_size", "4"),
            *("--asr_train_config", str(config), "--asr_model_file", str(model)),
        ]

    @property
    def adapter_options(self):
        """The adapter on it."""
        config, model = self.adapter["adapter_config"], self.adapter["adapter_file"]
        return [
            *("--adapter_train_config", str(config)),
            *("--adapter_model_file", str(model)),
        ]


def in_capitals(path):
    """Write lists in capitals beside others; return the path."""
    upper = path.with_name(f"upper.{path.name}")
    upper.write_text(format_lists(spelled(read_lists(path), str.upper)))
    return str(upper)


def write_named_set(root):
    """Write lists ``true``, ``none.0`` and ``none.1``, and all else."""
    files, adapter = write_both(root, "chunked")
    samples = {f"u{n}": speech(n, seconds=0.6) for n in range(4)}
    scp = ""
    for utt, one in samples.items():
        soundfile.write(root / f"{utt}.wav", one.numpy(), FS, subtype="FLOAT")
        scp += f"{utt} {root}/{utt}.wav\n"
    (root / "wav.scp").write_text(scp)
    for name, true, phrases in (
        ("true", ("ab",), PHRASES),
        ("none.0", (), PHRASES[1:]),
        ("none.1", (), ("ba",)),
    ):
        lists = {utt: BiasingList(TEXT, true, phrases) for utt in samples}
        (root / f"{name}.tsv").write_text(format_lists(lists))
    return NamedSet(root, files, adapter, samples)
