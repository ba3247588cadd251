"""Whether the vocabulary of an n-gram fits a recogniser's tokens."""

import functools
import logging

from espnet_dynlook.biasing.spelling import alphabet_of, is_special
from espnet_dynlook.search.ngram import LN10, UNKNOWN, ArpaModel, NgramLM, NgramModel
from espnet_dynlook.search.token_words import TokenWords

#: Less than that is no probability: -99 is written for what never comes, and -100 is
#: taken where a model has no ``<unk>``.
IMPOSSIBLE = -90.0 * LN10


def has_unknown(model: NgramModel) -> bool:
    """Tell whether a model has a probability for words that it does not know."""
    return model.score(model.begin(), UNKNOWN)[0] > IMPOSSIBLE


def unigram_fault(lm: NgramLM | None) -> str:
    """Say why unigram boosting can do nothing in a model of words; "": it can."""
    if lm is None or lm.unit != "word" or has_unknown(lm.model):
        return ""
    return (
        f"unigram lifts words of the list above {UNKNOWN}, for which the n-gram has no "
        f"probability: make it with {UNKNOWN} (lmplz of KenLM does; ngram-count of "
        "SRILM with -unk), or write unigram: null"
    )


def check_vocabulary(lm: NgramLM, words: TokenWords) -> None:
    """Refuse a model that knows no word which the tokens can write, for their case.

    Where it has no ``<unk>``, that is said once.

    Args:
        lm: The model.
        words: Of the tokens.

    Raises:
        ValueError: its words are in another case than the tokens.
    """
    other = _of_other_case(lm, words)
    if other:
        unit = "word" if lm.unit == "word" else "token"
        raise ValueError(
            f"the n-gram has {other!r}, which these tokens write {other.swapcase()!r}: "
            f"it would know no {unit} at all; make it of text in the case of the tokens"
        )
    if lm.unit == "word" and not has_unknown(lm.model):
        _warn_of_unknown()


def _of_other_case(lm: NgramLM, words: TokenWords) -> str:
    """Return a word of a model that knows words only in another case; else ""."""
    if lm.unit == "word" and isinstance(lm.model, ArpaModel):
        alphabet = alphabet_of(words.token_list)
        cased = [w for w in lm.model.words if not is_special(w) and w.swapcase() != w]
        if any(alphabet.issuperset(word) for word in cased):
            return ""
        return next((w for w in cased if alphabet.issuperset(w.swapcase())), "")
    # Others cannot be asked for their words: those of a single token say it.
    units = words.pieces if lm.unit == "word" else words.token_list
    cased = [t for t in units if t and not is_special(t) and t.swapcase() != t]
    if any(lm.model.knows(text) for text in cased):
        return ""
    return next((t for t in map(str.swapcase, cased) if lm.model.knows(t)), "")


@functools.cache
def _warn_of_unknown() -> None:
    """Say once what a model without ``<unk>`` does."""
    logging.warning(
        "the n-gram of words has no probability for %s: an unknown word costs %d nats, "
        "so that words which it does not know run together or vanish; make it with %s "
        "(lmplz of KenLM does; ngram-count of SRILM with -unk)",
        UNKNOWN,
        round(100 * LN10),
        UNKNOWN,
    )
