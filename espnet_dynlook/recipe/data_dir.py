"""Kaldi data directories: read them, list every fault, write them whole.

A data directory holds, one utterance a line, ``wav.scp`` (``utt path``), ``text``
(``utt transcript``), ``utt2spk`` (``utt speaker``) and ``spk2utt``. Paths are relative
to the folder from which the recipe runs, as in Kaldi. A directory of features has
``feats.scp`` in the place of ``wav.scp``: each path is a NumPy file of a matrix
(frames, dimensions).

Command: ``python -m espnet_dynlook.recipe.data_dir data/train data/valid``.
"""

import argparse
import codecs
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet_dynlook.recipe.whole_files import whole_folder

MOST_FAULTS_SHOWN = 50


def list_faults(faults: Sequence[str]) -> str:
    """Return faults one a line; of very many, the first and how many more."""
    shown = list(faults[:MOST_FAULTS_SHOWN])
    if len(faults) > len(shown):
        shown.append(f"... and {len(faults) - len(shown)} more faults")
    return "\n".join(shown)


class DataError(Exception):
    """Faults of data, each with its place; ``str()`` lists them one a line."""

    def __init__(self, faults: Iterable[str]):
        self.faults = list(faults)
        super().__init__(list_faults(self.faults))


@dataclass
class DataDir:
    """A data directory in memory; every mapping is keyed by utterance.

    Attributes:
        wav: Path of the recording, or of the features.
        text: Transcript; may be empty.
        utt2spk: Speaker.
        num_samples: Length in samples, or in frames of features, where it is known.
        extracted: Whether these are features.
    """

    wav: dict[str, str]
    text: dict[str, str]
    utt2spk: dict[str, str]
    num_samples: dict[str, int] = field(default_factory=dict)
    extracted: bool = False

    @property
    def scp(self) -> str:
        """Name of the file of paths."""
        return "feats.scp" if self.extracted else "wav.scp"

    @property
    def lengths_file(self) -> str:
        """Name of the file of lengths."""
        return "utt2num_frames" if self.extracted else "utt2num_samples"


def read_table(path: Path, faults: list[str]) -> dict[str, tuple[int, str]]:
    """Read ``key value…`` lines into ``{key: (line number, value)}``.

    What is wrong with a line (not UTF-8, no key, a key seen before) is appended to
    ``faults`` and the line is left out. So is a byte order mark, which other readers
    would take for a part of the first key.
    """
    table: dict[str, tuple[int, str]] = {}
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        faults.append(f"{path}: the file does not exist")
        return table
    for number, line_bytes in enumerate(raw.split(b"\n"), 1):
        if line_bytes == b"" and number == raw.count(b"\n") + 1:
            break  # what follows the last line end
        place = f"{path}:{number}"
        if number == 1 and line_bytes.startswith(codecs.BOM_UTF8):
            faults.append(
                f"{place}: a byte order mark is before the first key: remove it, for "
                r"instance with `sed -i '1s/^\xEF\xBB\xBF//'`"
            )
            line_bytes = line_bytes.removeprefix(codecs.BOM_UTF8)
        try:
            line = line_bytes.decode("utf-8")
        except UnicodeDecodeError as error:
            faults.append(
                f"{place}: not UTF-8: byte 0x{line_bytes[error.start]:02x} at column "
                f"{error.start + 1}; convert the file, for instance with "
                "`iconv -f latin1 -t utf-8`"
            )
            continue
        parts = line.split(maxsplit=1)
        if not parts or line[0].isspace():
            faults.append(f"{place}: the line has no key in its first column")
            continue
        key = parts[0]
        if key in table:
            faults.append(
                f"{place}: {key} is a duplicate: it is also on line {table[key][0]}"
            )
            continue
        table[key] = (number, parts[1].strip() if len(parts) > 1 else "")
    return table


def read_text(path: str | Path) -> dict[str, str]:
    """Read one table, such as a ``text`` file, into ``{key: value}``.

    Raises:
        DataError: The file is missing or some line is faulty.
    """
    faults: list[str] = []
    table = read_table(Path(path), faults)
    if faults:
        raise DataError(faults)
    return {key: value for key, (_, value) in table.items()}


def _check_wav(path: Path, table: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    for key, (number, value) in table.items():
        place = f"{path}:{number}"
        if "/" in key:
            yield f"{place}: {key} contains '/': utterance ids name files here"
        if value.endswith("|"):
            yield (
                f"{place}: {key} is a command ({value}): give the path of a file; "
                "soundfile reads wav, flac, ogg and sph"
            )
        elif path.name == "feats.scp" and value and not value.endswith(".npy"):
            yield f"{place}: {key}: {value} is no NumPy file (.npy)"
        elif not value:
            yield f"{place}: {key} has no path"
        elif not os.path.isfile(value):
            kind = "file of features" if path.name == "feats.scp" else "recording"
            yield f"{place}: {key}: the {kind} {value} does not exist"


def _check_same_keys(
    path: Path, table: Mapping, reference: Path, expected: Mapping
) -> Iterator[str]:
    for key, (number, _) in table.items():
        if key not in expected:
            yield f"{path}:{number}: {key} is not in {reference.name}"
    for key, (number, _) in expected.items():
        if key not in table:
            yield f"{reference}:{number}: {key} is not in {path.name}"


def _check_speakers(folder: Path, utt2spk: Mapping[str, str]) -> Iterator[str]:
    path = folder / "spk2utt"
    if not path.exists():
        return
    faults: list[str] = []
    listed = {}
    for speaker, (number, utterances) in read_table(path, faults).items():
        for utt in utterances.split():
            listed[utt] = speaker
            if utt2spk.get(utt) != speaker:
                faults.append(
                    f"{path}:{number}: {utt} belongs to {utt2spk.get(utt, 'no one')} "
                    f"in utt2spk, not to {speaker}"
                )
    missing = [utt for utt in utt2spk if utt not in listed]
    if missing:
        faults.append(
            f"{path}: {len(missing)} utterances of utt2spk are missing, the first "
            f"is {missing[0]}"
        )
    yield from faults


def read_data_dir(folder: str | Path, allow_empty_text: bool = False) -> DataDir:
    """Read a data directory and check all of it.

    Args:
        folder: The data directory.
        allow_empty_text: Accept empty transcripts; the length filter takes them out.

    Raises:
        DataError: With every fault, as ``file:line: what is wrong``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError([f"{folder}: the data directory does not exist"])
    faults: list[str] = []
    if (folder / "segments").exists():
        faults.append(
            f"{folder / 'segments'}: segments are not read: cut the recordings into "
            "one file an utterance in local/data.sh"
        )
    kind = DataDir({}, {}, {}, extracted=(folder / "feats.scp").exists())
    if kind.extracted and (folder / "wav.scp").exists():
        faults.append(
            f"{folder} has wav.scp and feats.scp: remove the one not to be used"
        )
    scp = folder / kind.scp
    wav = read_table(scp, faults)
    text = read_table(folder / "text", faults)
    utt2spk = read_table(folder / "utt2spk", faults)
    faults.extend(_check_wav(scp, wav))
    for name, table in (("text", text), ("utt2spk", utt2spk)):
        # A file that is not there, or not readable, is one fault, not thousands.
        if table:
            faults.extend(_check_same_keys(folder / name, table, scp, wav))
    for key, (number, value) in text.items():
        if not value and not allow_empty_text:
            faults.append(
                f"{folder / 'text'}:{number}: {key} has an empty transcript: remove "
                "the utterance, or let the length filter do it with "
                "--allow_empty_text true"
            )
    for key, (number, value) in utt2spk.items():
        if len(value.split()) != 1:
            faults.append(
                f"{folder / 'utt2spk'}:{number}: {key} needs one speaker, found "
                f"{value!r}"
            )
    if not wav and not faults:
        faults.append(f"{scp}: no utterance in it")
    speakers = {key: value for key, (_, value) in utt2spk.items()}
    faults.extend(_check_speakers(folder, speakers))
    lengths: dict[str, int] = {}
    path = folder / kind.lengths_file
    if path.exists():
        for key, (number, value) in read_table(path, faults).items():
            if value.isdigit():
                lengths[key] = int(value)
            else:
                faults.append(f"{path}:{number}: {value!r} is not a length")
    if faults:
        raise DataError(faults)
    return DataDir(
        wav={key: value for key, (_, value) in wav.items()},
        text={key: value for key, (_, value) in text.items()},
        utt2spk=speakers,
        num_samples=lengths,
        extracted=kind.extracted,
    )


def _write_table(path: Path, table: Mapping[str, object]) -> None:
    lines = (f"{key} {table[key]}".rstrip() + "\n" for key in sorted(table))
    path.write_text("".join(lines), encoding="utf-8")


def write_tables(folder: Path, data: DataDir) -> None:
    """Write the files of a data directory into an existing folder, sorted."""
    spk2utt: dict[str, list[str]] = {}
    for utt in sorted(data.utt2spk):
        spk2utt.setdefault(data.utt2spk[utt], []).append(utt)
    _write_table(folder / data.scp, data.wav)
    _write_table(folder / "text", data.text)
    _write_table(folder / "utt2spk", data.utt2spk)
    _write_table(folder / "spk2utt", {s: " ".join(u) for s, u in spk2utt.items()})
    if data.num_samples:
        _write_table(folder / data.lengths_file, data.num_samples)
        feats_type = "extracted" if data.extracted else "raw"
        (folder / "feats_type").write_text(f"{feats_type}\n", encoding="utf-8")


def write_data_dir(folder: str | Path, data: DataDir) -> None:
    """Write a data directory, whole or not at all."""
    with whole_folder(folder) as partial:
        write_tables(partial, data)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Validate data directories and list every fault."
    )
    parser.add_argument("folders", nargs="+", help="data directories")
    parser.add_argument(
        "--allow_empty_text",
        choices=["true", "false"],
        default="false",
        help="accept empty transcripts, which the length filter removes",
    )
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Validate; return 1 where a fault was found."""
    args = get_parser().parse_args(cmd)
    faults: list[str] = []
    for folder in args.folders:
        try:
            data = read_data_dir(folder, args.allow_empty_text == "true")
        except DataError as error:
            faults.extend(error.faults)
        else:
            speakers = len(set(data.utt2spk.values()))
            print(f"{folder}: {len(data.wav)} utterances, {speakers} speakers")
    if faults:
        print(f"{len(faults)} faults\n{DataError(faults)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
