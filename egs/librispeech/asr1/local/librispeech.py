"""LibriSpeech's layout, read into recordings, and a held-out part of it."""

from pathlib import Path

from espnet_dynlook.recipe.corpus import (
    CorpusError,
    Recording,
    normalize_text,
    split_off,
)
from espnet_dynlook.recipe.data_dir import list_faults

VALID_FRACTION = 0.08
FEWEST_CHAPTERS = 25  # below, a few held-out chapters would be a large part of training


def read_part(corpus: Path, part: str) -> list[Recording]:
    """Read one part: ``<part>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt``.

    Raises:
        CorpusError: The part is not there, or something in it is wrong; every fault is
            listed with its file and line.
    """
    folder = corpus / part
    if not folder.is_dir():
        there = sorted(p.name for p in corpus.iterdir() if p.is_dir())
        raise CorpusError(
            f"looked for {folder}, which is no folder; {corpus} has "
            f"{', '.join(there) or 'no folders'}"
        )
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise CorpusError(
            f"looked for {folder}/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt and found "
            "none"
        )
    faults: list[str] = []
    recordings = [r for path in transcripts for r in _read_chapter(path, faults)]
    if faults:
        raise CorpusError(list_faults(faults))
    return recordings


def _read_chapter(transcript: Path, faults: list[str]) -> list[Recording]:
    chapter = transcript.parent
    group = f"{chapter.parent.name}-{chapter.name}"
    recordings = []
    for number, raw in enumerate(transcript.read_bytes().splitlines(), 1):
        place = f"{transcript}:{number}"
        try:
            utt, _, text = raw.decode("utf-8").strip().partition(" ")
            words = normalize_text(text)
        except ValueError as error:  # UnicodeDecodeError is one
            faults.append(f"{place}: {error}")
            continue
        path = chapter / f"{utt}.flac"
        if not utt.startswith(f"{group}-"):
            faults.append(f"{place}: {utt!r} is no utterance of {group}")
        elif not words:
            faults.append(f"{place}: the transcript of {utt} is empty")
        elif not path.is_file():
            faults.append(f"{place}: the recording {path} does not exist")
        else:
            # The reader, where Kaldi's recipe takes reader and chapter: statistics by
            # speaker shall count people.
            reader = chapter.parent.name
            recordings.append(Recording(utt, reader, path.absolute(), words, group))
    return recordings


def hold_out_dev(
    train: list[Recording], seed: int
) -> tuple[list[Recording], list[Recording]]:
    """Divide training data into training and dev.

    Held out are 8 % of the chapters, if there are at least 25; else 8 % of the
    utterances of every chapter, at least one.
    """
    chapters = sorted({r.group for r in train})
    if len(chapters) >= FEWEST_CHAPTERS:
        return split_off(train, VALID_FRACTION, seed)
    kept: list[Recording] = []
    held: list[Recording] = []
    for chapter in chapters:
        part = [r for r in train if r.group == chapter]
        if len(part) < 2:
            kept += part
            continue
        stay, leave = split_off(part, VALID_FRACTION, seed, key=lambda r: r.utt)
        kept += stay
        held += leave
    return kept, held
