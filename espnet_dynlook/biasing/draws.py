"""Lists of names for training: drawn from the transcripts of a batch.

An adapter that is trained on rare words alone, or always finds what is spoken in its
list, learns to memorise or to ignore the list. So lists have words and phrases of any
frequency and spans of tokens that are no words, lists without anything that is spoken,
and others that look or sound like it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from espnet_dynlook.biasing.distractors import Distractors
from espnet_dynlook.biasing.occurrences import Ids, NameFinder, Occurrence
from espnet_dynlook.biasing.segmentations import Splitter
from espnet_dynlook.biasing.spelling import is_special
from espnet_dynlook.biasing.tokenizers import has_subwords
from espnet_dynlook.biasing.transcripts import TranscriptReader, TranscriptWord
from espnet_dynlook.metrics.delay import SPACE

#: Words of a phrase, and how often phrases have so many.
PHRASE_WORDS = (1, 1, 1, 2, 2, 3)
#: Of an utterance that are put into the list on purpose, at most.
MOST_TRUE = 3
#: Tokens of a span, at least and at most.
SPAN_TOKENS = (2, 8)
#: Segmentations among which one other than the usual one is chosen.
WAYS = 4

#: Between the names of one utterance in the data field ``names``: the blank, which is
#: in no name.
SEPARATOR = 0


@dataclass(frozen=True)
class DrawConf:
    """How lists are drawn; the keys ``catalog_*`` of a ``model_conf``.

    Attributes:
        sizes: Names of a batch's list, at least and at most.
        without: Share of the utterances whose list has nothing that they say.
        spans: Share of the names that are spans of tokens, no words.
        rare: Share of what is said and listed that is chosen for its many tokens: such
            words are rare, and names. The rest is chosen blindly.
        hard: Share of what is not said that looks or sounds like what is said.
        bpe_dropout: Share of the names that are written in other tokens than usual.
        seed: Of the draws.
    """

    sizes: Sequence[int] = (1, 200)
    without: float = 0.3
    spans: float = 0.3
    rare: float = 0.5
    hard: float = 0.3
    bpe_dropout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: a value is out of range.
        """
        if len(self.sizes) != 2 or not 1 <= self.sizes[0] <= self.sizes[1]:
            raise ValueError(
                f"catalog_size={list(self.sizes)} must be two numbers, the least "
                "names and the most, from 1: such as [1, 200]"
            )
        for key in ("without", "spans", "rare", "hard", "bpe_dropout"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(
                    f"catalog_{key}={getattr(self, key)} is a share: from 0 to 1"
                )


@dataclass(frozen=True)
class Draw:
    """The list of a batch.

    Attributes:
        names: Segmentations of each name.
        present: Which of the names each utterance's list has (B, N).
        occurrences: Of each utterance, where it says names of its list.
    """

    names: list[list[Ids]]
    present: list[list[bool]]
    occurrences: list[list[Occurrence]]


@dataclass
class _Pool:
    """Names for a list, and whether they are words."""

    whole: dict[Ids, bool] = field(default_factory=dict)

    def add(self, ids: Ids, whole: bool) -> None:
        self.whole[ids] = self.whole.get(ids, False) or whole


class CatalogDrawer:
    """Draws the lists of batches.

    The same batch of the same epoch gets the same list, whatever was drawn before: a
    training that is resumed draws what it would have drawn.

    Args:
        token_list: The model's tokens.
        conf: How.
    """

    def __init__(self, token_list: Sequence[str], conf: DrawConf):
        self.conf = conf
        self.reader = TranscriptReader(token_list)
        self.distractors = Distractors(self.reader)
        self._splitter = Splitter(token_list) if has_subwords(token_list) else None
        if self.reader.token_type == "word":
            self._splitter = None
        self._number = {token: n for n, token in enumerate(token_list)}
        self._no_text = {
            n for n, token in enumerate(token_list) if is_special(token)
        } - {self._number.get(SPACE)}
        self._space = self._number.get(SPACE)

    def draw(
        self, transcripts: Sequence[Sequence[int]], epoch: int, training: bool
    ) -> Draw:
        """Draw the list of a batch.

        Args:
            transcripts: Token numbers of each utterance.
            epoch: Of the training, from 1.
            training: Whether what is said may be in later lists of the epoch; else
                the list is the same in every epoch.
        """
        conf = self.conf
        texts = [list(ids) for ids in transcripts]
        rng = random.Random(f"{conf.seed} {epoch if training else 0} {texts}")
        words = [self.reader.words(ids) for ids in texts]
        others = self.distractors if training else Distractors(self.reader)
        others.learn(epoch, words, texts)
        size = rng.randint(*conf.sizes)
        without = [rng.random() < conf.without for _ in texts]
        pool = _Pool()
        for ids, own, left_out in zip(texts, words, without, strict=True):
            if not left_out:
                self._true(rng, ids, own, pool)
        while len(pool.whole) > size:
            pool.whole.pop(rng.choice(sorted(pool.whole)))
        self._fill(rng, texts, words, size, pool, others)
        names = sorted(pool.whole)
        lists = [[True] * len(names) for _ in texts]
        found = self._find(names, [pool.whole[n] for n in names], texts, words)
        for row, own_found, left_out in zip(lists, found, without, strict=True):
            for one in own_found if left_out else ():
                row[one.name] = False
        kept = [
            [] if left_out else own
            for own, left_out in zip(found, without, strict=True)
        ]
        return Draw([[self._respelled(rng, ids)] for ids in names], lists, kept)

    def fixed(
        self, transcripts: Sequence[Sequence[int]], lists: Sequence[Sequence[Ids]]
    ) -> Draw:
        """Return the given lists, one an utterance, as one drawn list is returned.

        Args:
            transcripts: Token numbers of each utterance.
            lists: Of each utterance, the tokens of its names.
        """
        texts = [list(ids) for ids in transcripts]
        words = [self.reader.words(ids) for ids in texts]
        names = sorted({ids for own in lists for ids in own})
        found = self._find(names, [True] * len(names), texts, words)
        present = [[name in own for name in names] for own in map(set, lists)]
        kept = [
            [one for one in own if row[one.name]]
            for own, row in zip(found, present, strict=True)
        ]
        return Draw([[ids] for ids in names], present, kept)

    def _find(
        self,
        names: Sequence[Ids],
        whole: Sequence[bool],
        texts: Sequence[Sequence[int]],
        words: Sequence[Sequence[TranscriptWord]],
    ) -> list[list[Occurrence]]:
        finder = NameFinder(names, whole)
        return [list(finder(ids, own)) for ids, own in zip(texts, words, strict=True)]

    def _true(
        self,
        rng: random.Random,
        ids: Sequence[int],
        words: Sequence[TranscriptWord],
        pool: _Pool,
    ) -> None:
        """Put something that an utterance says into the pool."""
        for _ in range(rng.randint(1, MOST_TRUE)):
            if rng.random() < self.conf.spans:
                span = self._span(rng, ids)
                if span:
                    pool.add(span, False)
            elif words:
                phrase = self._phrase(rng, ids, words)
                if phrase:
                    pool.add(phrase, True)

    def _phrase(
        self, rng: random.Random, ids: Sequence[int], words: Sequence[TranscriptWord]
    ) -> Ids | None:
        number = min(rng.choice(PHRASE_WORDS), len(words))
        if rng.random() < self.conf.rare:
            sizes = [(word.end - word.start) ** 2 for word in words]
            [inside] = rng.choices(range(len(words)), sizes)
            lowest = max(inside - number + 1, 0)
            first = rng.randint(lowest, min(inside, len(words) - number))
        else:
            first = rng.randrange(len(words) - number + 1)
        own = words[first : first + number]
        if not all(word.text for word in own):
            return None
        return tuple(ids[own[0].start : own[-1].end])

    def _span(self, rng: random.Random, ids: Sequence[int]) -> Ids | None:
        length = min(rng.randint(*SPAN_TOKENS), len(ids))
        if not length:
            return None
        first = rng.randrange(len(ids) - length + 1)
        span = tuple(ids[first : first + length])
        while span and span[0] == self._space:
            span = span[1:]
        while span and span[-1] == self._space:
            span = span[:-1]
        return None if self._no_text.intersection(span) else span or None

    def _fill(
        self,
        rng: random.Random,
        texts: Sequence[Sequence[int]],
        words: Sequence[Sequence[TranscriptWord]],
        size: int,
        pool: _Pool,
        others: Distractors,
    ) -> None:
        """Fill the pool with what is, most likely, not said."""
        said = [
            (tuple(ids[word.start : word.end]), word.text)
            for ids, own in zip(texts, words, strict=True)
            for word in own
            if word.text
        ]
        for _ in range(4 * size):  # some are there already
            if len(pool.whole) >= size:
                return
            kind = rng.random()
            if kind < self.conf.hard and said:
                near = others.near(rng, *rng.choice(said))
                if near:
                    pool.add(near, True)
            elif rng.random() < self.conf.spans:
                span = self._span(rng, rng.choice(texts))
                if span:
                    pool.add(others.changed(rng, span), False)
            else:
                other = others.other(rng)
                if other:
                    pool.add(other, True)

    def _respelled(self, rng: random.Random, ids: Ids) -> Ids:
        """Return a name in its usual tokens, or sometimes in others."""
        if self._splitter is None or rng.random() >= self.conf.bpe_dropout:
            return ids
        tokens = [self.reader.token_list[i] for i in ids]
        ways = self._splitter(tokens, WAYS)
        return tuple(self._number[t] for t in rng.choice(ways)) if ways else ids


def split_names(row: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the names of one utterance's data field."""
    names: list[list[int]] = [[]]
    for token in row:
        if token == SEPARATOR:
            names.append([])
        elif token >= 0:
            names[-1].append(token)
    return [tuple(name) for name in names if name]
