"""N-grams that do not fit the tokens, or have no place for what they do not know."""

import logging

import pytest
from ctc_beam_cases import LETTERS, Asked, said, seeded, write_arpa

from espnet_dynlook.search import ngram_vocabulary
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.effects import check_effects
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.ngram_vocabulary import has_unknown
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.unigram_boost import UnigramBoost

UPPER = [t if t.startswith("<") else t.upper() for t in LETTERS]


@pytest.fixture
def write(tmp_path):
    def write(*words, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.arpa"
        return write_arpa(path, list(words), seeded(0), **options)

    return write


def test_unigram_boosting_refuses_an_ngram_without_unk(write):
    model = write("call", "bob", unknown=False)
    assert not has_unknown(model) and has_unknown(write("call", "bob"))
    techniques = Techniques(unigram=UnigramBoost())
    for one in (model, Asked(model)):
        with pytest.raises(ValueError, match=r"no probability: make it with <unk>"):
            CTCBeamSearch(LETTERS, lm=NgramLM(one), unigram=UnigramBoost())
        with pytest.raises(ValueError, match=r"techniques: unigram .* unigram: null"):
            check_effects(techniques, NgramLM(one))
    check_effects(Techniques(), NgramLM(model))
    check_effects(techniques, NgramLM(write("call", "bob")))


def test_an_unk_that_never_comes_is_none(write, tmp_path):
    write("call")
    text = (tmp_path / "0.arpa").read_text()
    line = next(line for line in text.splitlines() if "\t<unk>" in line)
    (tmp_path / "1.arpa").write_text(text.replace(line, "-99\t<unk>"))
    assert not has_unknown(ngram_vocabulary.ArpaModel(tmp_path / "1.arpa"))


def test_an_ngram_without_unk_is_said_once(write, caplog):
    ngram_vocabulary._warn_of_unknown.cache_clear()
    model = write("call", "bob", unknown=False)
    with caplog.at_level(logging.WARNING):
        CTCBeamSearch(LETTERS, lm=NgramLM(write("call")))
        assert caplog.messages == []
        for _ in range(3):
            CTCBeamSearch(LETTERS, lm=NgramLM(model))
    assert len(caplog.messages) == 1
    assert "<unk>: an unknown word costs 230 nats" in caplog.text


@pytest.mark.parametrize("unit", ["word", "token"])
def test_an_ngram_in_another_case_is_refused(write, unit):
    small, large = ["a", "bob", "don't"], ["A", "BOB", "DON'T"]
    for words, token_list, heard in (
        (large, LETTERS, r"has 'A', which these tokens write 'a'"),
        (small, UPPER, r"has 'a', which these tokens write 'A'"),
    ):
        for model in (write(*words), Asked(write(*words))):
            with pytest.raises(ValueError, match=heard + f".* no {unit} at all"):
                CTCBeamSearch(token_list, lm=NgramLM(model, unit=unit))
    both = [*LETTERS[:-1], *UPPER[3:-2], "<sos/eos>"]
    for words, token_list in ((large, UPPER), (small, both), (large, both)):
        for model in (write(*words), Asked(write(*words))):
            CTCBeamSearch(token_list, lm=NgramLM(model, unit=unit))


def test_words_that_the_tokens_can_write_are_enough(write):
    """Others may be in any case, or have letters that no token has."""
    model = write("call", "McKay", "café", "日本")
    found = CTCBeamSearch(LETTERS, lm=NgramLM(model))(said("call"), None, 1)
    assert found[0].text == "call"
    CTCBeamSearch(["<blank>", "日", "本"], lm=NgramLM(write("日本")))
