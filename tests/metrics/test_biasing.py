"""Scores of lists of names: by hand, and what must hold for any texts."""

import random

import jiwer
import pytest

from espnet_dynlook.metrics.alignment import DELETION, INSERTION, SUBSTITUTION, align
from espnet_dynlook.metrics.biasing import (
    PhraseFinder,
    count_biasing,
    pool_biasing,
    score_biasing,
)

# Three utterances and what a person with a pencil finds in them.
#   the CAT sat on the mat      the cat sat on a mat         mat|a: U substitution
#   ask JEAN VALJEAN now        ask jean valgen right now    VALJEAN: B substitution,
#                                                            the other word: U insertion
#   so MILES left               so miles MILES left ROME     miles: B insertion,
#                                                            rome (distractor): U
REFERENCES = {
    "one": "the cat sat on the mat",
    "two": "ask jean valjean now",
    "three": "so miles left",
}
HYPOTHESES = {
    "one": "the cat sat on a mat",
    "two": "ask jean valgen right now",
    "three": "so miles miles left rome",
}
LISTS = {
    "one": (["cat"], ["cat", "rome"]),
    "two": (["jean", "valjean"], ["jean", "paris", "valjean"]),
    "three": (["miles"], ["miles", "rome"]),
}


def numbers(counts):
    return (
        counts.units,
        counts.substitutions,
        counts.deletions,
        counts.insertions,
    )


def test_worked_example_gives_the_numbers_of_the_benchmark():
    total = pool_biasing(score_biasing(REFERENCES, HYPOTHESES, LISTS).values())
    assert numbers(total.words) == (13, 2, 0, 3)
    assert numbers(total.unbiased) == (9, 1, 0, 2)
    assert numbers(total.biased) == (4, 1, 0, 1)
    assert total.words.rate == pytest.approx(5 / 13)
    assert total.unbiased.rate == pytest.approx(3 / 9)
    assert total.biased.rate == pytest.approx(2 / 4)


def test_worked_example_gives_its_names():
    by_utt = score_biasing(REFERENCES, HYPOTHESES, LISTS)
    entities = pool_biasing(by_utt.values()).entities
    # Said: cat jean valjean miles. Recognised: cat jean miles miles rome.
    assert (entities.reference, entities.hypothesis, entities.correct) == (4, 5, 3)
    assert entities.precision == pytest.approx(3 / 5)
    assert entities.recall == pytest.approx(3 / 4)
    assert entities.f1 == pytest.approx(2 * 3 / (4 + 5))
    assert entities.false_insertions == 2 and entities.wrong_utterances == 1
    assert entities.false_insertions_per_100 == pytest.approx(200 / 3)
    assert by_utt["one"].entities.false_insertions == 0


def test_list_without_any_true_word_counts_only_what_was_made_up():
    counts = count_biasing("a b".split(), "a rome c".split(), [], ["rome", "paris"])
    assert counts.biased.units == counts.biased.errors == 0
    assert counts.unbiased == counts.words
    entities = counts.entities
    assert entities.false_insertions == entities.wrong_utterances == 1
    assert entities.precision == 0 and entities.recall is None and entities.f1 == 0
    clean = count_biasing(["a"], ["a"], [], ["rome"]).entities
    assert clean.precision is clean.recall is clean.f1 is None


def test_names_are_matched_by_place_not_by_number():
    """A bag of words would find the name on both sides and call it right."""
    entities = count_biasing(
        "miles went home with us to stay".split(),
        "bless went home with us to miles".split(),
        ["miles"],
        ["miles"],
    ).entities
    assert (entities.reference, entities.hypothesis, entities.correct) == (1, 1, 0)


def test_names_of_several_words_are_right_only_as_a_whole():
    phrases = ["new york", "york", "jean luc picard"]
    for hypothesis, expected in (
        ("from new york to york", (2, 2, 2)),
        ("from new yorks to york", (2, 1, 1)),
        ("from york to york", (2, 2, 1)),
        ("from new old york to york", (2, 2, 1)),
    ):
        entities = count_biasing(
            "from new york to york".split(), hypothesis.split(), phrases, phrases
        ).entities
        found = (entities.reference, entities.hypothesis, entities.correct)
        assert found == expected, hypothesis


def test_words_of_a_phrase_are_biased_only_inside_it():
    counts = count_biasing(
        "new york is new".split(), "new york is now".split(), ["new york"], ["new york"]
    )
    assert numbers(counts.biased) == (2, 0, 0, 0)
    assert numbers(counts.unbiased) == (2, 1, 0, 0)


def test_longest_phrase_is_found_first():
    finder = PhraseFinder(["new york", "new york city", "york", "city", ""])
    assert finder("new york city york new york".split()) == [(0, 3), (3, 4), (4, 6)]


def random_words(rng, longest=9):
    return rng.choices("abcdef", k=rng.randint(0, longest))


def test_counts_add_up_whatever_the_texts():
    rng = random.Random(1)
    for _ in range(500):
        reference, hypothesis = random_words(rng), random_words(rng)
        phrases = ["a", "b", "c d", "d e f", "a a"]
        true = [p for p in phrases if p in " ".join(reference)]
        counts = count_biasing(reference, hypothesis, true, phrases)
        both = pool_biasing([counts]).unbiased + counts.biased
        assert numbers(both) == numbers(counts.words)
        assert counts.words.units == len(reference)
        recognised = counts.words.correct + counts.words.substitutions
        assert recognised + counts.words.insertions == len(hypothesis)
        entities = counts.entities
        assert 0 <= entities.correct <= min(entities.reference, entities.hypothesis)
        same = count_biasing(reference, reference, true, phrases)
        assert same.words.errors == 0
        assert same.entities.correct == entities.reference
        assert same.entities.false_insertions == 0
        shuffled = rng.sample(phrases, len(phrases)) + phrases
        assert count_biasing(reference, hypothesis, true, shuffled) == counts


def test_alignment_takes_every_word_once_and_costs_least():
    def cost(pairs, reference, hypothesis):
        return sum(
            INSERTION
            if i is None
            else DELETION
            if j is None
            else SUBSTITUTION * (reference[i] != hypothesis[j])
            for i, j in pairs
        )

    def least(reference, hypothesis):  # plain recursion
        if not reference or not hypothesis:
            return DELETION * len(reference) + INSERTION * len(hypothesis)
        return min(
            least(reference[1:], hypothesis[1:])
            + SUBSTITUTION * (reference[0] != hypothesis[0]),
            least(reference[1:], hypothesis) + DELETION,
            least(reference, hypothesis[1:]) + INSERTION,
        )

    rng = random.Random(2)
    for _ in range(200):
        reference, hypothesis = random_words(rng, 5), random_words(rng, 5)
        pairs = align(reference, hypothesis)
        assert [i for i, _ in pairs if i is not None] == [*range(len(reference))]
        assert [j for _, j in pairs if j is not None] == [*range(len(hypothesis))]
        assert cost(pairs, reference, hypothesis) == least(reference, hypothesis)


def test_errors_are_at_least_those_of_the_edit_distance():
    rng = random.Random(3)
    for _ in range(300):
        reference, hypothesis = random_words(rng) or ["a"], random_words(rng)
        counts = count_biasing(reference, hypothesis, [], []).words
        plain = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        edits = plain.substitutions + plain.deletions + plain.insertions
        assert edits <= counts.errors <= 1.5 * edits


def test_utterance_without_hypothesis_or_list_is_an_error():
    with pytest.raises(ValueError, match=r"1 of 3 utterances have no hypothesis.*two"):
        score_biasing(REFERENCES, {"one": "", "three": ""}, LISTS)
    with pytest.raises(ValueError, match="have no list, the first is three"):
        score_biasing(REFERENCES, HYPOTHESES, {"one": ([], []), "two": ([], [])})


def test_false_insertions_per_100_of_nothing_is_zero():
    assert pool_biasing([]).entities.false_insertions_per_100 == 0


@pytest.mark.parametrize("empty", [("", "miles"), ("miles", ""), ("", "")])
def test_empty_texts_are_scored(empty):
    reference, hypothesis = (text.split() for text in empty)
    true = ["miles"] if reference else []
    counts = count_biasing(reference, hypothesis, true, ["miles"])
    assert counts.words.errors == len(reference) + len(hypothesis)
    assert counts.entities.correct == 0
