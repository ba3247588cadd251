"""Further segmentations: those that plain recursion finds, the best of them first."""

import random

import pytest
from biasing_tokens import pieces

from espnet_dynlook.biasing import naive
from espnet_dynlook.biasing.segmentations import Splitter
from espnet_dynlook.biasing.tokenizers import has_subwords

TOKENS = ["<unk>", "a", "b", "c", "ab", "bc", "abc", "▁", "▁a", "aa", "▁ab", "<s>"]


def test_all_segmentations_are_found():
    rng = random.Random(1)
    for _ in range(200):
        text = "▁" + "".join(rng.choices("abc", k=rng.randint(1, 7)))
        found = Splitter(TOKENS)([text], 10_000)
        assert len(found) == len(set(found))
        assert set(found) == naive.segmentations(text, TOKENS)


def test_best_are_those_of_the_fewest_tokens_or_the_highest_probability():
    rng = random.Random(2)
    scores = {token: -rng.randint(1, 99) / 8 for token in TOKENS}
    for _ in range(100):
        text = "▁" + "".join(rng.choices("abc", k=6))
        every = naive.segmentations(text, TOKENS)
        fewest = sorted(every, key=lambda tokens: (len(tokens), tokens))
        assert Splitter(TOKENS)([text], 5) == fewest[:5]
        best = sorted(every, key=lambda t: (-round(sum(map(scores.get, t)), 4), t))
        assert Splitter(TOKENS, scores)([text], 5) == best[:5]


def test_order_of_the_token_list_does_not_matter():
    shuffled = random.Random(3).sample(TOKENS, len(TOKENS))
    text = ["▁abcab"]
    assert Splitter(TOKENS)(text, 7) == Splitter(shuffled)(text, 7)


def test_special_tokens_stay_where_they_are():
    found = Splitter(TOKENS)(["ab", "<space>", "c"], 10)
    assert found == [("ab", "<space>", "c"), ("a", "b", "<space>", "c")]


def test_text_that_tokens_cannot_write_has_none():
    assert Splitter(TOKENS)(["abd"], 10) == []
    assert Splitter(["<unk>"])(["a"], 10) == []


def test_characters_are_no_subwords():
    assert not has_subwords(["<blank>", "<space>", "[noise]", "a", "b"])
    assert has_subwords(TOKENS)


@pytest.mark.parametrize("word", ["▁NEW", "▁THE▁CAT", "▁SHORE"])
def test_best_segmentation_is_that_of_a_unigram_model(tmp_path, word):
    tokenizer = pieces(tmp_path)
    splitter = Splitter(tokenizer.token_list, tokenizer.token_scores)
    own = tuple(tokenizer.text2tokens(word.replace("▁", " ").strip()))
    assert splitter([word], 1) == [own]
    assert pieces(tmp_path, "bpe").token_scores is None
