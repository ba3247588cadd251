"""Make lists of names by utterance, in the format of the public biasing benchmark.

What is true of an utterance's list comes from one of: words that are not common in the
training text (``--train_text``) or in a file (``--common``), phrases of a file
(``--phrases``), names by their capitals (``--cased_text``). Distractors are drawn from
``--pool``, or from what else is rare. Command::

    python -m espnet_dynlook.recipe.biasing_lists --text dump/raw/test/text \
        --train_text dump/raw/train/text --distractors 100 --output data/test.100.tsv

The draw of an utterance depends on the seed, its name and the pool alone: not on the
other utterances, and a longer list begins with the shorter one's distractors.
"""

import argparse
import gzip
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

from espnet_dynlook.biasing.lists import BiasingList, ListError, format_lists
from espnet_dynlook.biasing.spelling import Spelling
from espnet_dynlook.metrics.biasing import PhraseFinder
from espnet_dynlook.recipe.data_dir import DataError, read_text
from espnet_dynlook.recipe.names import (
    common_words,
    frequent_words,
    names_by_capitals,
    phrase_counts,
)
from espnet_dynlook.recipe.whole_files import write_atomic

#: Finds the phrases of a list that are in a text.
Find = Callable[[str], set[str]]


def rare_words(common: set[str]) -> Find:
    """Return what finds the words of a text that are not common."""
    return lambda text: set(text.split()) - common


def listed_phrases(phrases: Iterable[str]) -> Find:
    """Return what finds phrases of a list in a text, the longest ones first."""
    finder = PhraseFinder(phrases)

    def find(text: str) -> set[str]:
        words = text.split()
        return {" ".join(words[first:end]) for first, end in finder(words)}

    return find


def draw(pool: Sequence[str], seed: int, utt: str, text: str, number: int) -> list[str]:
    """Draw distractors of an utterance, in the order of the draw.

    Args:
        pool: Different phrases, sorted.
        seed: Of the draw.
        utt: The utterance's name.
        text: What is said; phrases that are in it are no distractors.
        number: How many.

    Raises:
        DataError: The pool has too few.
    """
    rng = random.Random(f"{seed} {utt}")
    said = f" {' '.join(text.split())} "
    # A shuffle that keeps only what it has moved, so that N costs no more than N.
    moved: dict[int, int] = {}
    found: list[str] = []
    for i in range(len(pool)):
        if len(found) == number:
            break
        j = rng.randrange(i, len(pool))
        phrase = pool[moved.get(j, j)]
        moved[j] = moved.get(i, i)
        if f" {phrase} " not in said:
            found.append(phrase)
    if len(found) < number:
        raise DataError(
            [
                f"{utt}: {number} distractors of a pool with {len(found)} that are not "
                "said in it: give a larger --pool or fewer --distractors"
            ]
        )
    return found


def make_lists(
    texts: Mapping[str, str],
    find: Find,
    pool: Iterable[str],
    distractors: int,
    seed: int = 0,
    without_true: bool = False,
) -> dict[str, BiasingList]:
    """Make the list of every utterance, in the order of the utterances.

    Args:
        texts: Transcript by utterance.
        find: The phrases of a list that are in a text.
        pool: What distractors are drawn from.
        distractors: How many an utterance; 0: its true phrases alone.
        seed: Of the draws.
        without_true: Leave the true phrases out: whatever is then recognised of the
            list is wrong.

    Raises:
        DataError: The pool has too few phrases for some utterance.
    """
    candidates = sorted(set(pool))
    lists = {}
    for utt, text in texts.items():
        drawn = draw(candidates, seed, utt, text, distractors)
        true = () if without_true else tuple(sorted(find(text)))
        lists[utt] = BiasingList(
            " ".join(text.split()), true, tuple(sorted({*true, *drawn}))
        )
    return lists


def read_phrases(path: str | Path) -> list[str]:
    """Read phrases, one a line and before any tab; also a file packed with gzip.

    Raises:
        DataError: The file is missing, not UTF-8, or empty.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError([f"{path}: {error}"]) from None
    lines = (line.split("\t")[0] for line in text.splitlines())
    phrases = [" ".join(line.split()) for line in lines if line[:1] != "#"]
    if not any(phrases):
        raise DataError([f"{path}: no phrase in it"])
    return [phrase for phrase in phrases if phrase]


def spelling_of(texts: Iterable[str]) -> Spelling:
    """Return what spells other text as these transcripts are: their case and marks."""
    written = set("".join(texts)) - {" "}
    # A short set may lack a letter by chance.
    for letters in (ascii_lowercase, ascii_uppercase):
        if not written.isdisjoint(letters):
            written.update(letters)
    return Spelling(sorted(written))


def spelled_like(phrases: Iterable[str], texts: Iterable[str]) -> set[str]:
    """Return phrases in the case and spelling of transcripts, without impossible ones.

    Phrases with a character that is no letter and that no transcript has could never be
    found in one, nor be told from what a recogniser can write.
    """
    spelling = spelling_of(texts)
    spelled = (spelling(phrase) for phrase in phrases)
    return {phrase for phrase in spelled if phrase and not spelling.unknown(phrase)}


def sources(
    args: argparse.Namespace, texts: Mapping[str, str]
) -> tuple[Find, set[str]]:
    """Return what finds the true phrases of a text, and the pool of distractors.

    Args:
        args: The options of this command.
        texts: Transcript by utterance.

    Raises:
        DataError: A faulty file.
    """
    training = list(read_text(args.train_text).values()) if args.train_text else []
    rare: set[str] = set()
    if args.phrases:
        rare = spelled_like(read_phrases(args.phrases), texts.values())
        find = listed_phrases(rare)
    elif args.cased_text:
        names = names_by_capitals(read_text(args.cased_text).values())
        rare = spelled_like(names, texts.values())
        if args.max_count is not None:
            counts = phrase_counts(training, rare)
            rare = {name for name in rare if counts[name] <= args.max_count}
        find = listed_phrases(rare)
    elif args.common:
        find = rare_words(spelled_like(read_phrases(args.common), texts.values()))
    else:
        if args.max_count is not None:
            common = frequent_words(training, args.max_count)
        else:
            common = common_words(training, args.common_words)
        find = rare_words(common)
        rare = {word for line in training for word in line.split()} - common
    if args.pool:
        pool = spelled_like(
            (phrase for path in args.pool for phrase in read_phrases(path)),
            texts.values(),
        )
    else:
        pool = rare.union(*map(find, texts.values()))
    return find, pool


def say_sources(args: argparse.Namespace, size: int) -> None:
    """Print where true phrases come from, and what distractors are drawn from.

    Args:
        args: The options of this command.
        size: Of the pool of distractors.
    """
    if args.max_count is not None:
        rare = f"that training says {args.max_count} times at most"
    else:
        rare = f"that are none of the {args.common_words} commonest of training"
    if args.phrases:
        true, pool = f"phrases of {args.phrases}", "the same phrases"
    elif args.cased_text:
        counted = f" {rare}" if args.max_count is not None else ""
        true = f"names by their capitals in {args.cased_text}{counted}"
        pool = "the same names"
    elif args.common:
        true, pool = f"words that are not in {args.common}", "such words of the set"
    else:
        true, pool = f"words {rare}", "such words of training and of the set"
    pool = " and ".join(args.pool) or pool
    print(f"true: {true}; distractors: {pool} ({size} phrases)")


def prepare(args: argparse.Namespace) -> dict[str, BiasingList]:
    """Make the lists that the command line asks for.

    Raises:
        DataError: A faulty file, options that do not go together, or a small pool.
    """
    check(args)
    texts = read_text(args.text)
    find, pool = sources(args, texts)
    say_sources(args, len(pool))
    return make_lists(texts, find, pool, args.distractors, args.seed, args.without_true)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Make lists of names by utterance.")
    parser.add_argument("--text", required=True, help="Kaldi text to make lists for")
    parser.add_argument("--output", required=True, help="file of four columns")
    parser.add_argument("--train_text", help="Kaldi text: what is not common in it")
    parser.add_argument("--common", help="file of common words: what is not in it")
    parser.add_argument("--phrases", help="file of phrases: what is in it")
    parser.add_argument(
        "--cased_text", help="Kaldi text as written: names by their capitals"
    )
    parser.add_argument(
        "--common_words",
        type=int,
        default=5000,
        help="so many most frequent words of the training text are common",
    )
    parser.add_argument(
        "--max_count",
        type=int,
        help="instead: those that occur there more often; of --cased_text, names that "
        "do are left out",
    )
    parser.add_argument(
        "--pool",
        action="append",
        default=[],
        help="file of phrases to draw distractors from; default: rare words of the "
        "training text (or --phrases, or names) and true ones of other utterances",
    )
    parser.add_argument("--distractors", type=int, default=100, help="an utterance")
    parser.add_argument("--without_true", action="store_true", help="distractors only")
    parser.add_argument("--seed", type=int, default=0, help="of the distractors")
    return parser


def check(args: argparse.Namespace) -> None:
    """Raise DataError for options that do not go together."""
    faults = []
    given = [n for n in ("common", "phrases", "cased_text") if getattr(args, n)]
    if len(given) > 1:
        faults.append(f"--{' and --'.join(given)}: one of them says what is true")
    if not given and not args.train_text:
        faults.append(
            "what is true is not said: --train_text, --common, --phrases, --cased_text"
        )
    if args.train_text and given and given != ["cased_text"]:
        faults.append(f"--train_text has no part in lists from --{given[0]}")
    if given == ["cased_text"] and bool(args.train_text) != (
        args.max_count is not None
    ):
        faults.append("--cased_text: --train_text and --max_count go together")
    if args.max_count is not None and not args.train_text:
        faults.append("--max_count counts in --train_text, which is not given")
    for name in ("distractors", "common_words", "max_count"):
        value = getattr(args, name)
        if value is not None and value < 0:
            faults.append(f"--{name} {value}: must be 0 or more")
    if faults:
        raise DataError(faults)


def write_lists(output: str, make: Callable[[], dict[str, BiasingList]]) -> int:
    """Write what ``make`` returns, and say what it is; 1 and its faults if it fails."""
    try:
        lists = make()
    except (DataError, ListError) as error:
        print(error, file=sys.stderr)
        return 1
    write_atomic(output, format_lists(lists))
    true = [phrase for one in lists.values() for phrase in one.true]
    phrases = sum(len(one.phrases) for one in lists.values())
    print(
        f"{output}: {len(lists)} utterances, {len(true)} true phrases of "
        f"{len(set(true))} types, {phrases / max(1, len(lists)):.1f} phrases a list"
    )
    return 0


def main(cmd: list[str] | None = None) -> int:
    """Make the lists; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    return write_lists(args.output, lambda: prepare(args))


if __name__ == "__main__":
    sys.exit(main())
