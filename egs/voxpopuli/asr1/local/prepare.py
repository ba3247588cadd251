#!/usr/bin/env python3
"""Prepare data/train, data/dev and data/test of VoxPopuli's transcribed English part.

Sets are the project's own. Segments are cut out of the recordings of whole debates, as
the project defines them, into data/audio/<year>/; where Meta's own script has cut them
(transcribed_data/en/<year>/), those files are taken. Beside the usual files, each set
has text_cased (transcripts as written, where there are some; for lists of names),
utt2gender and, if it is known, utt2accent.

Left out, and listed with reasons in data/local/left_out.tsv: segments without text,
with text that cannot be spelled in A-Z, without times or audio, or with more text than
anybody can say in their time. The driver leaves out of training what is too long or too
short (--min_wav_duration, --max_wav_duration).

Without --voxpopuli, everything is fetched from Meta's server.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cut import Session, cut_all
from download import YEARS, check_years, download_voxpopuli
from voxpopuli import (
    SPLITS,
    Segment,
    annotations,
    read_annotations,
    reasons,
    recording,
)

from espnet_dynlook.recipe.corpus import CorpusError, Recording, write_sets
from espnet_dynlook.recipe.data_dir import DataError, list_faults
from espnet_dynlook.recipe.download import DownloadError
from espnet_dynlook.recipe.whole_files import write_atomic


@dataclass
class Corpus:
    """What is read and cut.

    Attributes:
        sets: Segments by set.
        paths: Audio file of each utterance.
        left_out: Utterance, set and reason.
    """

    sets: dict[str, list[Segment]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)


def years_there(root: Path) -> set[str]:
    """Return the years whose recordings, whole or cut, are below a root."""
    folders = (root / "raw_audios" / "original", root / "transcribed_data" / "en")
    found = {p.name for f in folders if f.is_dir() for p in f.iterdir() if p.is_dir()}
    return found & set(YEARS)


def find_audio(
    root: Path, segments: Iterable[Segment], audio: Path, folder: str
) -> tuple[dict[str, Path], list[Session]]:
    """Return files that are cut already, and what is to be cut.

    Args:
        root: Where Meta's layout begins.
        segments: Of any sets.
        audio: Where this recipe's segments go.
        folder: Below ``transcribed_data``, where Meta's are.

    Raises:
        CorpusError: Recordings are missing; each is named.
    """
    paths: dict[str, Path] = {}
    sessions: dict[Path, Session] = {}
    faults: set[str] = set()
    for one in segments:
        cut = root / "transcribed_data" / folder / one.year / f"{one.utt}.ogg"
        if cut.is_file():
            paths[one.utt] = cut.absolute()
            continue
        source = recording(root, one.session)
        if source not in sessions and not source.is_file():
            faults.add(f"the recording {source} does not exist")
            continue
        paths[one.utt] = target = (audio / one.year / f"{one.utt}.flac").absolute()
        wanted = sessions.setdefault(source, (source, []))[1]
        wanted.append((one.utt, target, one.spans))
    if faults:
        raise CorpusError(list_faults(sorted(faults)))
    return paths, list(sessions.values())


def add(
    corpus: Corpus, root: Path, years: set[str], audio: Path, nj: int, accented: bool
) -> None:
    """Read one file of annotations, cut its segments and add its sets.

    Raises:
        CorpusError: Something is missing or damaged.
    """
    path = annotations(root, accented)
    segments, left_out = read_annotations(path, years)
    files, sessions = find_audio(root, segments, audio, path.parent.name)
    refused: dict[str, str] = {}
    faults: list[str] = []
    for done, (some, fault) in enumerate(cut_all(sessions, nj), 1):
        refused |= some
        if fault:
            faults.append(fault)
        if done % 100 == 0 or done == len(sessions):
            print(f"{done} of {len(sessions)} recordings are cut", flush=True)
    if faults:
        raise CorpusError(list_faults(faults))
    corpus.left_out += left_out
    corpus.left_out += [
        (s.utt, s.split, refused[s.utt]) for s in segments if s.utt in refused
    ]
    corpus.paths |= files
    for split in SPLITS:
        part = [s for s in segments if s.split == split and s.utt not in refused]
        if not accented:
            corpus.sets[split] = part
        elif split == "test":
            corpus.sets["test_accented"] = part


def write(corpus: Corpus, data: Path) -> None:
    """Write the sets and what is known beside the text.

    Raises:
        CorpusError: A set is empty.
    """
    write_sets(
        data,
        {
            name: [
                Recording(
                    s.utt, s.speaker, corpus.paths[s.utt], s.text, s.session, s.cased
                )
                for s in segments
            ]
            for name, segments in corpus.sets.items()
        },
    )
    columns = {"utt2gender": "gender", "utt2accent": "accent"}
    for name, segments in corpus.sets.items():
        for file, attribute in columns.items():
            values = {s.utt: getattr(s, attribute) for s in segments}
            lines = [f"{utt} {value}\n" for utt, value in values.items() if value]
            if lines:
                write_atomic(data / name / file, "".join(sorted(lines)))
    write_atomic(
        data / "local" / "left_out.tsv",
        "".join("\t".join(row) + "\n" for row in sorted(corpus.left_out)),
    )


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--voxpopuli", type=Path, help="the root of Meta's layout; nothing is fetched"
    )
    parser.add_argument(
        "--years", nargs="+", help="default: all, or those below --voxpopuli"
    )
    parser.add_argument(
        "--accented", action="store_true", help="make data/test_accented too"
    )
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--nj", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    try:
        root = args.voxpopuli
        if root is None:
            years = set(check_years(args.years or YEARS))
            root = download_voxpopuli(args.downloads, years, args.accented)
        elif not root.is_dir():
            raise CorpusError(f"--voxpopuli {root}: there is no such folder")
        else:
            years = set(check_years(args.years)) if args.years else years_there(root)
        if not years:
            raise CorpusError(
                f"looked for {root}/raw_audios/original/<year>/, and found no year"
            )
        corpus = Corpus()
        for accented in (False, True) if args.accented else (False,):
            add(corpus, root, years, args.data / "audio", args.nj, accented)
        write(corpus, args.data)
        print(reasons(corpus.left_out), end="")
    except (CorpusError, DataError, DownloadError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
