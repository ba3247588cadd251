"""Slow and plain versions of the compiled searches.

``NaiveCTCBeam`` is what ``CTCBeamSearch`` computes, said with dictionaries: everything
that depends only on a labelling is worked out from its tokens, each time anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ctc_beam_arrays import BEGINS, INSIDE, SEPARATES
from espnet_dynlook.search.ngram import UNKNOWN
from espnet_dynlook.search.prefix_beam import NEVER, add

#: An entry that a labelling has begun: its first token's place, its weight.
Match = tuple[int, float]
#: Log-probabilities of paths that end with a blank, or with the last token.
Pair = tuple[float, float]
NOTHING: Pair = (NEVER, NEVER)


@dataclass
class Scores:
    """What a labelling is worth.

    Attributes:
        plain: As the model says.
        biased: With the bias of entries that are complete.
        matches: With that of each open entry, too.
    """

    plain: Pair = NOTHING
    biased: Pair = NOTHING
    matches: dict[Match, Pair] = field(default_factory=dict)


class NaiveCTCBeam:
    """What ``CTCBeamSearch`` does.

    Args:
        search: What it was told.
        entries: Token ids of every segmentation of every entry, with the weight.
        size: Number of entries.
    """

    def __init__(
        self,
        search: CTCBeamSearch,
        entries: Sequence[tuple[Sequence[int], float]] = (),
        size: int = 0,
    ):
        self.search = search
        self.entries = {(tuple(tokens), weight) for tokens, weight in entries}
        self.size = size
        self.kinds = search.words.kinds
        self.blank = search.blank

    def __call__(
        self, rows: Sequence[Sequence[float]]
    ) -> list[tuple[tuple[int, ...], float]]:
        """Return labellings (T, V) may have, with their scores, the best first."""
        nothing: tuple[int, ...] = ()
        beam = {nothing: Scores((0.0, NEVER), (0.0, NEVER))}
        for row in rows:
            beam = self.prune(self.follow(beam, row))
        found = []
        for tokens, one in beam.items():
            total, _ = self.committed(tokens, one)
            found.append((tokens, total + self.language(tokens, over=True)))
        return sorted(found, key=lambda pair: -pair[1])

    def follow(
        self, beam: dict[tuple[int, ...], Scores], row: Sequence[float]
    ) -> dict[tuple[int, ...], Scores]:
        """Return every labelling after one more frame."""
        everyone, boosts = self.tokens_of_frame(row)
        made: dict[tuple[int, ...], Scores] = {}
        for tokens, one in beam.items():
            new = made.setdefault(tokens, Scores())
            last = row[tokens[-1]] if tokens else NEVER

            def stay(pair: Pair, last: float = last) -> Pair:
                return add(*pair) + row[self.blank], pair[1] + last

            new.plain = both(new.plain, stay(one.plain))
            new.biased = both(new.biased, stay(one.biased))
            for match, pair in one.matches.items():
                new.matches[match] = both(new.matches.get(match, NOTHING), stay(pair))
            for token in sorted({*everyone, *boosts}):
                self.extend(made, tokens, one, token, row, everyone, boosts)
        return made

    def extend(
        self,
        made: dict[tuple[int, ...], Scores],
        tokens: tuple[int, ...],
        one: Scores,
        token: int,
        row: Sequence[float],
        everyone: list[int],
        boosts: dict[int, float],
    ) -> None:
        """Add the paths on which a token follows a labelling."""
        longer = (*tokens, token)
        again = bool(tokens) and tokens[-1] == token

        def source(pair: Pair) -> float:
            return pair[0] if again else add(*pair)

        if source(one.plain) == NEVER:
            return
        matches = self.matches(longer)
        wanted = [m for m in matches if m[0] < len(tokens) or self.may_begin(row)]
        if token not in everyone and not wanted:
            return
        closes = self.closes(tokens, token)
        base = source(one.biased)
        if closes:
            total, behind_blank = self.committed(tokens, one)
            base = behind_blank if again else total
        new = made.setdefault(longer, Scores())

        def emit(pair: Pair, value: float) -> Pair:
            return pair[0], add(pair[1], value + row[token])

        new.plain = emit(new.plain, source(one.plain))
        new.biased = emit(new.biased, base)
        for match in matches:
            begin, weight = match
            value = base
            if begin < len(tokens):
                value = source(one.matches[match])
                value += self.gain(tokens) * weight if closes else 0.0
            if begin < len(tokens) or self.may_begin(row):
                value += boosts.get(token, 0.0) * weight
            new.matches[match] = emit(new.matches.get(match, NOTHING), value)

    def may_begin(self, row: Sequence[float]) -> bool:
        """Tell whether an entry's first token gets anything in a frame."""
        return row[self.blank] < self.search.settings.boosting[5]

    def tokens_of_frame(
        self, row: Sequence[float]
    ) -> tuple[list[int], dict[int, float]]:
        """Return the tokens of a frame; those for entries, and what they get."""
        settings = self.search.settings
        rarest, sure_blank = settings.pruning[0], settings.pruning[1]
        slope, cap, few, floor, surest, _ = settings.boosting
        order = [t for t in range(len(row)) if t != self.blank and row[t] > NEVER]
        order.sort(key=lambda token: -row[token])
        best = max(row)
        everyone = [
            token
            for token in order[: settings.candidates]
            if row[token] >= rarest or row[token] == best
        ]
        if row[self.blank] >= sure_blank:
            everyone = []
        boosts = {}
        if self.entries:
            for token in order[: int(few)]:
                if row[token] >= floor:
                    boost = min(slope * (best - row[token]), cap)
                    boosts[token] = boost if best >= surest else 0.0
        return everyone, boosts

    def prune(
        self, made: dict[tuple[int, ...], Scores]
    ) -> dict[tuple[int, ...], Scores]:
        """Return the labellings that are kept."""
        beam = self.search.settings.beam
        scores, ranks = {}, {}
        for tokens, one in made.items():
            language = self.language(tokens, over=False)
            pairs = [one.biased, *one.matches.values()]
            scores[tokens] = add(*one.biased) + language
            ranks[tokens] = max(add(*pair) for pair in pairs) + language
        least = max(scores.values()) - self.search.settings.pruning[2]
        reserve = (beam + 3) // 4 if self.entries and beam > 1 else 0
        order = sorted(made, key=lambda tokens: -scores[tokens])
        kept = [t for t in order[: beam - reserve] if scores[t] >= least]
        order = sorted(set(made) - set(kept), key=lambda tokens: -ranks[tokens])
        kept += [t for t in order if ranks[t] >= least][: beam - len(kept)]
        return {tokens: made[tokens] for tokens in kept}

    def opens(self, tokens: tuple[int, ...]) -> bool:
        """Tell whether a labelling ends within a word."""
        return bool(tokens) and self.kinds[tokens[-1]] != SEPARATES

    def closes(self, tokens: tuple[int, ...], token: int) -> bool:
        """Tell whether a token ends the word that a labelling ends with."""
        return self.opens(tokens) and self.kinds[token] != INSIDE

    def begins_word(self, tokens: tuple[int, ...], place: int) -> bool:
        """Tell whether a token of a labelling is the first of a word."""
        kind = self.kinds[tokens[place]]
        before = tokens[:place]
        return kind == BEGINS or (kind == INSIDE and not self.opens(before))

    def matches(self, tokens: tuple[int, ...]) -> list[Match]:
        """Return the entries that a labelling's end is the beginning of."""
        found = {
            (begin, weight)
            for entry, weight in self.entries
            for begin in range(len(tokens))
            if self.begins_word(tokens, begin)
            and entry[: len(tokens) - begin] == tokens[begin:]
        }
        return sorted(found)

    def committed(self, tokens: tuple[int, ...], one: Scores) -> tuple[float, float]:
        """Return what goes on if the last word ends here: of all paths, behind a blank.

        The best of what complete entries make of it; never their sum.
        """
        total, blank = add(*one.biased), one.biased[0]
        for (begin, weight), pair in one.matches.items():
            if (tokens[begin:], weight) in self.entries:
                gain = self.gain(tokens) * weight
                total = max(total, add(*pair) + gain)
                blank = max(blank, pair[0] + gain)
        return total, blank

    def words(self, tokens: tuple[int, ...]) -> list[list[int]]:
        """Return the words of a labelling."""
        found: list[list[int]] = []
        for place, token in enumerate(tokens):
            if self.kinds[token] == SEPARATES:
                continue
            if self.begins_word(tokens, place):
                found.append([])
            found[-1].append(token)
        return found

    def language(self, tokens: tuple[int, ...], over: bool) -> float:
        """Return what the language model adds, of complete words or of all."""
        lm = self.search.lm
        if lm is None:
            return 0.0
        if lm.unit == "token":
            units = [self.search.token_list[token] for token in tokens]
        else:
            words = self.words(tokens)
            if not over and self.opens(tokens):
                words = words[:-1]
            units = [self.search.words.text(word) for word in words]
        state, total = lm.model.begin(), 0.0
        for unit in units:
            score, state = lm.score(state, unit)
            total += lm.weight * score + lm.word_insertion
        return total + (lm.finish(state) if over else 0.0)

    def gain(self, tokens: tuple[int, ...]) -> float:
        """Return what the last word of a labelling gets as one of an entry."""
        lm, unigram = self.search.lm, self.search.unigram
        if unigram is None or lm is None or not self.opens(tokens):
            return 0.0
        *before, last = [self.search.words.text(word) for word in self.words(tokens)]
        state = lm.model.begin()
        for word in before:
            _, state = lm.score(state, word)
        unknown = lm.model.score(state, UNKNOWN)[0]
        score = lm.score(state, last)[0]
        return lm.weight * unigram.gain(score, unknown, self.size)


def both(a: Pair, b: Pair) -> Pair:
    """Return the sums of two pairs' probabilities."""
    return add(a[0], b[0]), add(a[1], b[1])
