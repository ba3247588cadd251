"""Lists as a model spells them, checked against what is said in the data."""

import logging
from types import SimpleNamespace

import pytest

from espnet_dynlook.biasing.lists import BiasingList, format_lists
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recipe.model_lists import read_model_lists

LOWER = ["<blank>", "<unk>", *"abcdeiknorstwyz'", "<space>"]
LISTS = {
    "u0": BiasingList("Zoë is at York", ("Zoë", "York"), ("Ann", "York", "Zoë", "zoe")),
    "u1": BiasingList("no one", (), ("Ann", "C3", "C-3", "Kim")),
    "u2": BiasingList("else", (), ("Q",)),
}


@pytest.fixture
def read(tmp_path):
    """Return a function that writes some lists and reads them for a model."""

    def start(lists=LISTS, tokens=LOWER, utts=("u0", "u1"), text=""):
        path = tmp_path / "lists.tsv"
        path.write_text(format_lists(lists), encoding="utf-8")
        (tmp_path / "text").unlink(missing_ok=True)
        if text:
            (tmp_path / "text").write_text(text, encoding="utf-8")
        model = SimpleNamespace(token_list=tokens)
        trained = SimpleNamespace(model=model, tokenizer=CharTokenizer(tokens))
        data = f"{tmp_path}/wav.scp,speech,sound"
        return read_model_lists(trained, data, utts, [str(path)] * 2)[str(path)]

    return start


def test_lists_are_spelled_as_the_tokens_are(read):
    found = read()
    assert list(found) == ["u0", "u1"]
    spelled = BiasingList("zoe is at york", ("zoe", "york"), ("ann", "york", "zoe"))
    assert found["u0"] == spelled
    upper = read(tokens=[token.upper() for token in LOWER])
    assert upper["u0"].text == "ZOE IS AT YORK"
    both = [*LOWER, *"ZYAKCQË", "ë"]
    assert read(tokens=both)["u0"] == LISTS["u0"]  # case and marks matter to this one


def test_phrases_that_tokens_cannot_write_are_warned_of_once(read, caplog):
    with caplog.at_level(logging.WARNING):
        read()
    [record] = caplog.records
    message = record.getMessage()
    assert message.startswith("3 phrases of the lists cannot be written in the model's")
    assert "lists.tsv, u1: 'C3': no token has '3' (U+0033)" in message
    assert "'Kim'" in message and "'Q'" not in message
    caplog.clear()
    read(tokens=[*LOWER, *"3-m"])
    assert not caplog.records


def test_lists_of_another_text_are_refused(read):
    said = "u0 ZOË IS AT YORK\nu1 NO ONE\nu9 MORE\n"
    assert read(text=said) == read()
    with pytest.raises(ConfigError, match=r"lists.tsv: u1 says 'no one', and .*/text "):
        read(text=said.replace("ONE", "TWO"))


def test_utterances_without_a_list_and_faulty_files_are_named(read):
    with pytest.raises(ConfigError, match=r"lists.tsv: no list of u7"):
        read(utts=["u0", "u7"])
    with pytest.raises(ConfigError, match=r"lists.tsv: no list in it"):
        read(lists={})
