"""speechocean762's adult speakers, from the corpus as published or from a table.

* As published (openslr.org/101): ``train/`` and ``test/`` with the files of Kaldi's
  recipes (wav.scp, text, utt2spk, spk2age) and ``WAVE/``. Half of the speakers are
  children: those below 15 years are left out.
* Table: ``metadata.tsv`` (columns utt, spk, split, text) and the recordings.
"""

from pathlib import Path

from espnet_dynlook.recipe.corpus import CorpusError, Recording, normalize_text
from espnet_dynlook.recipe.data_dir import DataError, list_faults, read_text
from espnet_dynlook.recipe.metadata import read_metadata

YOUNGEST = 15  # years


def read_so762(folder: Path) -> tuple[list[Recording], dict[str, str]]:
    """Read whichever layout ``folder`` has.

    Returns:
        The recordings, grouped by speaker, and the split of each utterance.

    Raises:
        CorpusError: No layout fits, or something in it is wrong; every fault is listed.
    """
    if (folder / "metadata.tsv").is_file():
        return read_metadata(folder, group="spk")
    if not (folder / "train" / "wav.scp").is_file():
        raise CorpusError(
            f"{folder}: found neither {folder / 'metadata.tsv'} nor "
            f"{folder / 'train' / 'wav.scp'}"
        )
    recordings: list[Recording] = []
    splits: dict[str, str] = {}
    faults: list[str] = []
    for split in ("train", "test"):
        for recording in _read_published(folder, split, faults):
            recordings.append(recording)
            splits[recording.utt] = split
    if faults:
        raise CorpusError(list_faults(faults))
    return recordings, splits


def _read_published(folder: Path, split: str, faults: list[str]) -> list[Recording]:
    part = folder / split
    try:
        wav, text, utt2spk, spk2age = (
            read_text(part / name) for name in ("wav.scp", "text", "utt2spk", "spk2age")
        )
    except DataError as error:
        faults += error.faults
        return []
    recordings = []
    for utt, name in wav.items():
        speaker = utt2spk.get(utt, "")
        age = spk2age.get(speaker, "")
        path = folder / name
        if utt not in text or not age.isdigit():
            faults.append(
                f"{part / 'wav.scp'}: {utt} needs a transcript in text, a speaker in "
                "utt2spk and the speaker's age in spk2age"
            )
        elif int(age) < YOUNGEST:
            continue
        elif not path.is_file():
            faults.append(
                f"{part / 'wav.scp'}: {utt}: the recording {path} does not exist"
            )
        else:
            try:
                words = normalize_text(text[utt])
            except ValueError as error:
                faults.append(f"{part / 'text'}: {utt}: {error}")
                continue
            recordings.append(Recording(utt, speaker, path.absolute(), words, speaker))
    return recordings
