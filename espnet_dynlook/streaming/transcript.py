"""What is recognised of a stream: its complete words, and the rest that may change."""

from dataclasses import dataclass, field

from espnet_dynlook.search.incremental import Search
from espnet_dynlook.streaming.words import Word, WordReader

#: Tokens that are forgotten together.
SPARE = 64


@dataclass(frozen=True)
class Result:
    """What is recognised of an utterance.

    Attributes:
        text: Its words.
        words: With their times.
        score: Log-probability of the hypothesis.
        lookahead_ms: Of its encoder frames: how long each waited, from its end; front
            end included.
        ended: Utterances before it that ended with the same last packet, where a stream
            has endpoints.
    """

    text: str
    words: tuple[Word, ...]
    score: float
    lookahead_ms: tuple[float, ...]
    ended: tuple["Result", ...] = ()


@dataclass(frozen=True)
class Partial:
    """What is recognised so far of the utterance that a stream is in.

    Attributes:
        lookahead_ms: Of the encoder frames that came out with this packet.
        ended: Utterances that ended with this packet, where a stream has endpoints.
    """

    lookahead_ms: tuple[float, ...]
    ended: tuple[Result, ...]
    _reader: WordReader = field(repr=False)
    _complete: list[Word] = field(repr=False)  # grows; its first words are ours
    _count: int = field(repr=False)
    _open: tuple[Word, ...] = field(repr=False)

    # Made when they are asked for: a stream of an hour has many words.
    @property
    def words(self) -> tuple[Word, ...]:
        """Words with their times."""
        return (*self._complete[: self._count], *self._open)

    @property
    def text(self) -> str:
        """Words of the best hypothesis."""
        return self._reader.text_of(self.words)

    @property
    def stable_text(self) -> str:
        """The words at its beginning that will not change any more."""
        return self._reader.text_of(self._complete[: self._count])


class Transcript:
    """The words of an utterance, read from its search as that goes on.

    Args:
        reader: Reads words from tokens.
    """

    def __init__(self, reader: WordReader):
        self.reader = reader
        self.complete: list[Word] = []
        self._tokens = 0  # of the words that are complete
        self._forgotten = 0

    def read(self, search: Search) -> tuple[Word, ...]:
        """Add the words that have become complete; return the others."""
        tokens = search.tokens_from(self._tokens)
        stable = tokens[: search.stable - self._tokens]
        closed = self.reader.closed_tokens(stable)
        self.complete += self.reader.words_of(tokens[:closed])
        self._tokens += closed
        return self.reader.words_of(tokens[closed:])

    def spared(self, search: Search) -> Search:
        """Return the search without tokens that nobody reads again, now and then."""
        if self._tokens - self._forgotten < SPARE:
            return search
        self._forgotten = self._tokens
        return search.forgetting(self._tokens)

    def result(self, search: Search, lookahead_ms: tuple[float, ...]) -> Result:
        """Return what there is, now that the utterance is over."""
        rest = self.read(search)
        words = (*self.complete, *rest)
        text = self.reader.text_of(words)
        return Result(text, words, search.score, lookahead_ms)
