"""Hold names out of training, with every utterance of the prompts that say them.

What is tuned on lists of names (scales, weights, thresholds) must not be tuned on names
that training has heard. This chooses names by a seed and divides a training set: every
utterance that says a chosen name, whoever reads it, goes to a tuning set, and none is
left in training. Command::

    python -m espnet_dynlook.recipe.hold_out_names --in_dir data/train \
        --names data/local/names --number 60 --exclude data/test/text \
        --train_dir data/train_names --tune_dir data/tune_names

``tune_names/names`` then has the names, one a line: ``--phrases`` of
``recipe.biasing_lists``. A name is a word; its possessive says it too.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from espnet_dynlook.recipe.biasing_lists import read_phrases, spelled_like
from espnet_dynlook.recipe.data_dir import (
    DataDir,
    DataError,
    read_data_dir,
    read_text,
    write_data_dir,
)
from espnet_dynlook.recipe.names import names_by_capitals
from espnet_dynlook.recipe.whole_files import write_atomic

SHORTEST = 3  # letters of a name; initials and titles are none
TITLES = frozenset("MR MRS MS DR SIR MISS MADAM MASTER PRESIDENT".split())


def stem(word: str) -> str:
    """Return a word without the end of a possessive: ANN'S and ANN' say ANN."""
    for end in ("'S", "'s", "'"):
        if word.endswith(end) and len(word) > len(end):
            return word.removesuffix(end)
    return word


def stems(text: str) -> set[str]:
    """Return the words of a transcript without the ends of possessives."""
    return {stem(word) for word in text.split()}


def words_of_names(names: Iterable[str]) -> set[str]:
    """Return the words of names that can stand for one; titles and initials cannot."""
    words = {stem(word) for name in names for word in name.split()}
    return {w for w in words if len(w) >= SHORTEST and w.upper() not in TITLES}


def choose(
    texts: Iterable[str],
    candidates: Iterable[str],
    number: int,
    seed: int,
    max_count: int,
    exclude: Iterable[str] = (),
) -> set[str]:
    """Choose names that training texts say.

    The order of the choice is a hash of seed and name, so that a larger ``number``
    takes the smaller one's names and more.

    Args:
        texts: Transcripts of training.
        candidates: Names, or phrases whose words are names.
        number: How many.
        seed: Of the choice.
        max_count: Names in more utterances stay in training.
        exclude: Transcripts whose words are not chosen: those of test sets.

    Raises:
        DataError: There are fewer such names.
    """
    counts = Counter(word for text in texts for word in stems(text))
    said = {word for text in exclude for word in stems(text)}
    free = [
        word
        for word in words_of_names(candidates)
        if 0 < counts[word] <= max_count and word not in said
    ]
    if len(free) < number:
        raise DataError(
            [
                f"--number {number}: the training set says {len(free)} names that are "
                f"in {max_count} utterances at most and not excluded; ask for fewer, "
                "or give more --names or a larger --max_count"
            ]
        )

    def order(word: str) -> bytes:
        return hashlib.sha256(f"{seed} {word}".encode()).digest()

    return set(sorted(free, key=order)[:number])


def divide(data: DataDir, names: set[str]) -> tuple[DataDir, DataDir]:
    """Return what is left of a data directory, and the utterances that say a name.

    Raises:
        DataError: Either part would be empty.
    """
    held = {utt for utt, text in data.text.items() if not names.isdisjoint(stems(text))}
    if not held or len(held) == len(data.text):
        raise DataError(
            [f"{len(held)} of {len(data.text)} utterances say a held-out name"]
        )
    return _part(data, set(data.text) - held), _part(data, held)


def _part(data: DataDir, utts: set[str]) -> DataDir:
    return replace(
        data,
        wav={utt: path for utt, path in data.wav.items() if utt in utts},
        text={utt: text for utt, text in data.text.items() if utt in utts},
        utt2spk={utt: name for utt, name in data.utt2spk.items() if utt in utts},
        num_samples={utt: n for utt, n in data.num_samples.items() if utt in utts},
    )


def spoken_forms(texts: Iterable[str], names: set[str]) -> list[str]:
    """Return the words that say the names as transcripts have them, sorted."""
    words = {word for text in texts for word in text.split()}
    return sorted(word for word in words if stem(word) in names)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Hold names out of training, with every utterance of their prompts."
    )
    parser.add_argument("--in_dir", required=True, help="data directory of training")
    parser.add_argument("--train_dir", required=True, help="what is left of it")
    parser.add_argument("--tune_dir", required=True, help="what says a held-out name")
    parser.add_argument(
        "--names", action="append", default=[], help="file of names, one a line"
    )
    parser.add_argument(
        "--cased_text", help="Kaldi text as written: names by their capitals"
    )
    parser.add_argument("--number", type=int, default=60, help="of names to hold out")
    parser.add_argument(
        "--max_count", type=int, default=40, help="utterances of a name at most"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], help="Kaldi text of a test set"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the choice")
    return parser


def hold_out_names(
    in_dir: str | Path,
    train_dir: str | Path,
    tune_dir: str | Path,
    candidates: Iterable[str],
    number: int,
    seed: int = 1,
    max_count: int = 40,
    exclude: Sequence[str | Path] = (),
) -> list[str]:
    """Write the two data directories, and ``names`` in the second; return the names.

    Raises:
        DataError: A faulty file, or too few names.
    """
    if number < 1 or max_count < 1:
        raise DataError(
            [f"--number {number}, --max_count {max_count}: must be 1 or more"]
        )
    data = read_data_dir(in_dir)
    names = choose(
        data.text.values(),
        spelled_like(candidates, data.text.values()),
        number,
        seed,
        max_count,
        [text for path in exclude for text in read_text(path).values()],
    )
    train, tune = divide(data, names)
    write_data_dir(train_dir, train)
    write_data_dir(tune_dir, tune)
    forms = spoken_forms(tune.text.values(), names)
    write_atomic(Path(tune_dir) / "names", "".join(f"{form}\n" for form in forms))
    print(
        f"{tune_dir}: {len(tune.text)} utterances say {len(names)} names; "
        f"{train_dir}: {len(train.text)} are left"
    )
    return sorted(names)


def main(cmd: list[str] | None = None) -> int:
    """Divide a training set; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        candidates = [name for path in args.names for name in read_phrases(path)]
        if args.cased_text:
            candidates += names_by_capitals(read_text(args.cased_text).values())
        if not candidates:
            raise DataError(["no name is given: --names or --cased_text"])
        hold_out_names(
            args.in_dir,
            args.train_dir,
            args.tune_dir,
            candidates,
            args.number,
            args.seed,
            args.max_count,
            args.exclude,
        )
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
