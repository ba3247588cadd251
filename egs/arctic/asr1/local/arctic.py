"""The layouts in which CMU ARCTIC-style corpora come, read into recordings.

* CMU: ``etc/txt.done.data`` and ``wav/`` for one voice (festvox.org/cmu_arctic), or a
  folder with several such folders. No split is given: the test set is chosen by prompt.
* Table: ``metadata.tsv`` (columns utt, prompt, split, text or raw_text, optionally
  speaker) and the recordings in ``ogg/``, ``flac/`` or ``wav/``. Its split is kept.
"""

import re
from pathlib import Path

from espnet_dynlook.recipe.corpus import CorpusError, Recording, normalize_text
from espnet_dynlook.recipe.metadata import lines_of, raise_faults, read_metadata

# ( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )
PROMPT_LINE = re.compile(r'^\(\s*(?P<prompt>\S+)\s+"(?P<text>.*)"\s*\)$')


def speaker_of(folder: Path) -> str:
    """Return ``bdl`` of ``cmu_us_bdl_arctic``, ``kathleen`` of ``arctic_kathleen``."""
    name = folder.resolve().name.lower()
    name = re.sub(r"^(cmu_us_|cmu_)|^arctic_|_arctic$", "", name)
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "speaker"


def read_corpus(folder: Path) -> tuple[list[Recording], dict[str, str]]:
    """Read whichever layout ``folder`` has.

    Returns:
        The recordings, and the split that the corpus itself gives to each utterance
        (empty where it gives none).

    Raises:
        CorpusError: No layout fits, or something in it is wrong; every fault is listed.
    """
    if not folder.is_dir():
        raise CorpusError(f"--arctic {folder}: there is no such folder")
    if (folder / "metadata.tsv").is_file():
        return read_metadata(folder, group="prompt", speaker=speaker_of(folder))
    voices = [p for p in (folder, *sorted(folder.iterdir())) if _is_voice(p)]
    if not voices:
        raise CorpusError(
            f"--arctic {folder}: found neither {folder / 'metadata.tsv'} nor "
            f"{folder / 'etc' / 'txt.done.data'} nor any "
            f"{folder / '*' / 'etc' / 'txt.done.data'}"
        )
    faults: list[str] = []
    recordings = [r for voice in voices for r in _read_voice(voice, faults)]
    raise_faults(faults)
    return recordings, {}


def _is_voice(folder: Path) -> bool:
    return (folder / "etc" / "txt.done.data").is_file()


def _read_voice(folder: Path, faults: list[str]) -> list[Recording]:
    """Read one voice in the CMU layout."""
    prompts = folder / "etc" / "txt.done.data"
    speaker = speaker_of(folder)
    recordings = []
    for place, line in lines_of(prompts, faults):
        match = PROMPT_LINE.match(line)
        if match is None:
            faults.append(f'{place}: expected ( NAME "TEXT" ), found {line!r}')
            continue
        path = folder / "wav" / f"{match['prompt']}.wav"
        cased = match["text"].replace('\\"', "")
        try:
            text = normalize_text(cased)
        except ValueError as error:
            faults.append(f"{place}: {error}")
            continue
        if not text:
            faults.append(f"{place}: the transcript is empty")
        elif not path.is_file():
            faults.append(f"{place}: the recording {path} does not exist")
        else:
            utt = f"{speaker}_{match['prompt']}"
            prompt = match["prompt"]
            recordings.append(
                Recording(utt, speaker, path.absolute(), text, prompt, cased)
            )
    return recordings
