"""The lists that an adapter is trained with, and where their names are."""

import random

import pytest
import torch

from espnet_dynlook.biasing.draws import CatalogDrawer, DrawConf
from espnet_dynlook.biasing.occurrences import attended, attention_targets

PIECES = ["<blank>", "<unk>", "▁", "▁an", "▁ann", "a", "n", "e", "▁b", "ob", "x"]
TOKENS = [*PIECES, "<sos/eos>"]


def ids(*pieces):
    return [TOKENS.index(piece) for piece in pieces]


ANNA = ids("▁ann", "a", "▁b", "ob")
TEXTS = [ANNA, ids("▁an", "n", "e", "▁b", "ob", "▁ann", "e"), ids("▁b", "e", "▁an")]


def is_in(name, text):
    return any(tuple(text[n : n + len(name)]) == name for n in range(len(text)))


def test_lists_have_their_size_and_no_name_twice():
    drawer = CatalogDrawer(TOKENS, DrawConf(sizes=(5, 9), bpe_dropout=0.0))
    for epoch in range(1, 20):
        draw = drawer.draw(TEXTS, epoch, True)
        assert 1 <= len(draw.names) <= 9
        names = [tuple(ways[0]) for ways in draw.names]
        assert len(set(names)) == len(names) and names == sorted(names)
        assert all(names) and not any({0, 1, 11} & set(name) for name in names)


def test_without_means_that_nothing_of_the_list_is_said():
    conf = DrawConf(sizes=(20, 20), without=1.0, spans=0.0, hard=0.2, bpe_dropout=0.0)
    drawer = CatalogDrawer(TOKENS, conf)
    draw = drawer.draw(TEXTS, 1, True)
    assert draw.occurrences == [[], [], []]
    words = [drawer.reader.words(text) for text in TEXTS]
    for text, own, row in zip(TEXTS, words, draw.present, strict=True):
        assert any(row)  # what others say remains
        said = {tuple(text[word.start : word.end]) for word in own}
        listed = {
            tuple(ways[0])
            for ways, present in zip(draw.names, row, strict=True)
            if present
        }
        assert not said & listed


def test_otherwise_every_utterance_says_something_of_it():
    conf = DrawConf(sizes=(50, 50), without=0.0, bpe_dropout=0.0)
    drawer = CatalogDrawer(TOKENS, conf)
    draw = drawer.draw(TEXTS, 1, True)
    assert all(draw.occurrences) and all(all(row) for row in draw.present)
    for text, own in zip(TEXTS, draw.occurrences, strict=True):
        for one in own:
            assert tuple(text[one.start : one.end]) == draw.names[one.name][0]


def test_about_the_share_that_was_asked_for_is_without():
    drawer = CatalogDrawer(TOKENS, DrawConf(sizes=(40, 40), without=0.3))
    said = [
        bool(own)
        for epoch in range(1, 101)
        for own in drawer.draw(TEXTS, epoch, True).occurrences
    ]
    assert 0.6 < sum(said) / len(said) < 0.8


@pytest.mark.parametrize(
    ("rare", "least", "most"), [(0.0, 0.15, 0.45), (1.0, 0.6, 0.95)]
)
def test_words_of_many_tokens_are_listed_as_often_as_was_asked_for(rare, least, most):
    drawer = CatalogDrawer(TOKENS, DrawConf(sizes=(9, 9), spans=0.0, rare=rare))
    text = ids("▁b", "▁an", "▁ann", "▁ann", "e", "n", "x", "▁b", "▁an")
    words = drawer.reader.words(text)
    long = [word for word in words if word.end - word.start > 1]
    assert len(words) == 6 and len(long) == 1
    seen = []
    for seed in range(300):
        phrase = drawer._phrase(random.Random(seed), text, words)
        assert is_in(phrase, text)
        seen.append("x" in drawer.reader.text(phrase))
    assert least < sum(seen) / len(seen) < most


def test_the_same_batch_of_an_epoch_gets_the_same_list_again():
    one, other = (CatalogDrawer(TOKENS, DrawConf()) for _ in range(2))
    one.draw(TEXTS, 1, True)
    one.draw(TEXTS[::-1], 2, True)
    other.draw(TEXTS[::-1], 2, True)  # resumed after the first epoch
    assert one.draw(TEXTS, 2, True) == other.draw(TEXTS, 2, True)
    assert one.draw(TEXTS, 3, True) != one.draw(TEXTS, 4, True)
    assert one.draw(TEXTS, 3, False) == other.draw(TEXTS, 9, False)
    seeded = CatalogDrawer(TOKENS, DrawConf(seed=1))
    assert seeded.draw(TEXTS, 3, False) != one.draw(TEXTS, 3, False)


def test_phrases_are_found_between_borders_of_words_only():
    drawer = CatalogDrawer(TOKENS, DrawConf())
    lists = [[tuple(ids("▁ann"))], [tuple(ids("▁ann", "e"))], [tuple(ids("▁an"))]]
    draw = drawer.fixed(TEXTS, lists)
    assert [len(own) for own in draw.occurrences] == [0, 1, 1]
    assert draw.occurrences[1][0].start == 5 and draw.occurrences[1][0].end == 7


def test_fixed_lists_are_the_utterances_own():
    drawer = CatalogDrawer(TOKENS, DrawConf())
    bob, ann = tuple(ids("▁b", "ob")), tuple(ids("▁ann", "a"))
    draw = drawer.fixed(TEXTS[:2], [[bob, ann, bob], []])
    names = [tuple(ways[0]) for ways in draw.names]
    assert names == sorted({bob, ann})
    assert draw.present == [[True, True], [False, False]]
    assert {one.name for one in draw.occurrences[0]} == {0, 1}
    assert draw.occurrences[1] == []  # it says Bob, and has not been told of him
    assert drawer.fixed(TEXTS[:1], [[]]).names == []


def test_bpe_dropout_writes_the_same_in_other_tokens():
    conf = DrawConf(sizes=(30, 30), bpe_dropout=1.0)
    usual = DrawConf(sizes=(30, 30), bpe_dropout=0.0)
    drawer = CatalogDrawer(TOKENS, conf)
    changed = drawer.draw(TEXTS, 1, True)
    same = CatalogDrawer(TOKENS, usual).draw(TEXTS, 1, True)
    pairs = list(zip(changed.names, same.names, strict=True))
    text = drawer.reader.text
    assert all(text(one[0]) == text(other[0]) for one, other in pairs)
    assert any(one != other for one, other in pairs)
    assert changed.occurrences == same.occurrences


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"sizes": (0, 5)}, r"catalog_size=\[0, 5\]"),
        ({"sizes": (5, 2)}, "catalog_size"),
        ({"without": 1.5}, "catalog_without=1.5 is a share"),
        ({"rare": -0.1}, "catalog_rare=-0.1 is a share"),
    ],
)
def test_bad_values_say_what_to_write(conf, message):
    with pytest.raises(ValueError, match=message):
        DrawConf(**conf)


def test_attention_is_judged_where_names_are_and_elsewhere():
    lengths = torch.tensor([10, 3])
    spans = [[((1,), 5, 7), ((0,), 6, 7)], None]
    targets = attention_targets(spans, torch.Size((2, 11, 3)))
    assert targets[0, :, 0].tolist() == [True] + [False] * 10  # what is near is open
    assert targets[0, :, 1].nonzero().flatten().tolist() == [6]
    assert targets[0, :, 2].nonzero().flatten().tolist() == [5, 6]
    assert not targets[1].any()
    right = torch.where(targets, 0.45, 0.1).requires_grad_()
    found = attended(right, targets, lengths)
    torch.testing.assert_close(found.recall, torch.tensor((0.45 + 0.9) / 2))
    torch.testing.assert_close(found.no_bias, torch.tensor(0.45))
    logs = -torch.tensor([0.45, 0.9]).log().mean() / 2 - torch.tensor(0.45).log() / 2
    torch.testing.assert_close(found.loss.detach(), logs)
    nothing = attended(right, attention_targets([[], None], right.shape), lengths)
    assert nothing.recall.isnan() and nothing.no_bias.isfinite()
    found.loss.backward()
