"""Other words in place of some of a hypothesis."""

from collections.abc import Sequence
from dataclasses import replace

from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.incremental import Token
from espnet_dynlook.search.token_words import TokenWords


def rewritten(
    one: Hypothesis, start: int, end: int, tokens: Sequence[int], words: TokenWords
) -> Hypothesis:
    """Return a hypothesis with the tokens of an entry in place of some of its words.

    They take the time of what they replace, spread over it evenly; score and parts
    stay as they are.

    Args:
        one: The hypothesis.
        start: The first word.
        end: The word after the last.
        tokens: What stands there then.
        words: Of the model's tokens.
    """
    places = words.places(one.tokens)
    first, last = places[start][0], places[end - 1][1]
    begin, stop = one.frames[first], one.frames[last - 1]
    steps = max(len(tokens) - 1, 1)
    frames = [begin + (stop - begin) * n // steps for n in range(len(tokens))]
    ids = [*one.tokens[:first], *tokens, *one.tokens[last:]]
    at = [*one.frames[:first], *frames, *one.frames[last:]]
    pairs = zip(ids, at, strict=True)
    spans = words.spans([Token(token, frame, 0.0) for token, frame in pairs])
    text = words.between.join(word.text for word in spans)
    return replace(one, text=text, tokens=ids, frames=at, words=spans)


def distinct(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Return hypotheses, the best first, and of equal texts only the best.

    Texts are equal whose tokens differ, too, if one of them has been rewritten.
    """
    found: dict[str, Hypothesis] = {}
    for one in sorted(hypotheses, key=lambda one: -one.score):
        found.setdefault(one.text, one)
    return list(found.values())
