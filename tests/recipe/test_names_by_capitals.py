"""Rare words by frequency and names by their capitals."""

from espnet_dynlook.recipe.names import (
    common_words,
    frequent_words,
    names_by_capitals,
    phrase_counts,
)

SPEECH = [
    "Mr President, I think that Søren O'Brien is right.",
    "We went to New York. The president of Nigeria, Ann and Bob J. Smith came.",
    "“Nigeria is here,” I'm told; I’ve said so to the Commission.",
    "The commission met the commission. We agree, Ann.",
    "Nigeria New York",
]


def test_names_are_words_with_capitals_inside_sentences():
    assert dict(names_by_capitals(SPEECH)) == {
        "Søren O'Brien": 1,
        "New York": 1,
        "Nigeria": 2,
        "Ann": 2,
        "Bob J Smith": 1,
        "Nigeria New York": 1,
    }


def test_text_without_capitals_has_no_names():
    assert not names_by_capitals(line.lower() for line in SPEECH)
    assert not names_by_capitals(["", "...", "- -", "42"])


def test_share_decides_on_words_written_both_ways():
    lines = ["see the Commission", "see the commission", "see the commission"]
    assert not names_by_capitals(lines)
    assert names_by_capitals(lines, share=0.3) == {"Commission": 1}


def test_common_words_do_not_depend_on_the_order_of_lines():
    lines = ["b a", "c a b", "d"]
    assert common_words(lines, 3) == common_words(lines[::-1], 3) == {"a", "b", "c"}
    assert common_words(lines, 0) == set()
    assert frequent_words(lines, 1) == {"a", "b"} and frequent_words(lines, 2) == set()


def test_phrases_are_counted_also_inside_longer_ones():
    lines = ["new york new york city", "york"]
    phrases = ["new york", "york", "new york city", "rome"]
    counts = phrase_counts(lines, phrases)
    assert counts == {"new york": 2, "york": 3, "new york city": 1}
