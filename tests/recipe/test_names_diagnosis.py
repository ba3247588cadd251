"""Why names are found or not, on posteriors of which everything is known."""

import json
from types import SimpleNamespace

import pytest
import torch
from named_set import in_capitals, write_named_set

from espnet_dynlook.biasing.lists import BiasingList
from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.recipe import names_diagnosis
from espnet_dynlook.search.biased_decoder import BiasedDecoder

TOKENS = ["<blank>", "<unk>", *"abcdnr", "<space>"]
LIST = BiasingList("a bad can", ("bad",), ("bad", "dab", "ran"))


def rows_of(labels, instead=None, tokens=TOKENS):
    """Return posteriors that say labels, with a blank behind each.

    Args:
        labels: What is said.
        instead: By place: what is heard there, and how much less likely the label is
            than that, in nats.
        tokens: Of the model.
    """
    rows = torch.full((2 * len(labels), len(tokens)), -30.0)
    for at, label in enumerate(labels):
        heard, worse = (instead or {}).get(at, (label, 0.0))
        rows[2 * at, tokens.index(heard)] = 0.0
        rows[2 * at, tokens.index(label)] = -worse
        rows[2 * at + 1, 0] = 0.0
    return rows.log_softmax(1)


def spaced(text):
    return ["<space>" if letter == " " else letter for letter in text]


def looked_at(log_probs, phones=None, attention=None):
    """Return the diagnosis of an utterance of which a model gives these."""
    adapted = None
    if attention is not None:
        adapted = SimpleNamespace(scale=1.0, attention=attention[None])
    trained = SimpleNamespace(
        model=SimpleNamespace(token_list=TOKENS, blank_id=0),
        tokenizer=CharTokenizer(TOKENS),
        adapted=adapted,
        posteriors=lambda speech, catalog: (log_probs, phones),
    )
    found = names_diagnosis.Diagnosis(trained, BiasedDecoder(TOKENS, 4), 1.0)
    found(torch.zeros(1), LIST)
    return found


def test_a_name_that_is_heard_is_near_and_without_errors():
    tally = looked_at(rows_of(spaced(LIST.text))).tallies["base"]
    assert tally.margins == [0.0] and tally.followed == [True] * 3
    assert (tally.wrong, tally.tokens, tally.phones) == (0, 3, 0)
    assert tally.cells() == ["100.0"] * 4 + ["0.0", "-"]


@pytest.mark.parametrize(("worse", "followed"), [(3.0, True), (9.0, False)])
def test_a_token_that_is_not_heard_is_an_error_and_may_be_pruned(worse, followed):
    rows = rows_of(spaced(LIST.text), {3: ("n", worse)})  # the a of bad
    tally = looked_at(rows).tallies["base"]
    assert tally.margins == [pytest.approx(-worse, abs=1e-3)]
    assert tally.followed == [True, followed, True]
    assert (tally.wrong, tally.tokens) == (1, 3)
    near = "100.0" if worse < 5 else "0.0"
    assert tally.cells()[:3] == [near, "100.0", "100.0"]


def test_phones_are_counted_where_the_name_is():
    said = ["AH", "AA", "B", "AE", "D", "SH", "K", "AE", "N"]
    phones = rows_of(said, {3: ("T", 4.0)}, list(PHONE_TOKENS))
    tally = looked_at(rows_of(spaced(LIST.text)), phones).tallies["base"]
    assert (tally.phones_wrong, tally.phones) == (1, 3)


def test_attention_is_counted_in_frames_of_the_name_and_elsewhere():
    attention = torch.tensor([0.9, 0.04, 0.03, 0.03]).repeat(18, 1)
    attention[1:12] = torch.tensor([0.2, 0.6, 0.1, 0.1])  # bad is the first of the list
    found = looked_at(rows_of(spaced(LIST.text)), attention=attention)
    means = found.attention.means()
    assert means["mass on the name in its frames"] == pytest.approx(0.6)
    assert means["frames of a name in which it is the first"] == 1.0
    assert means["mass of <no-bias> in other frames"] == pytest.approx(0.9)
    assert found.tallies["adapter"].margins == found.tallies["base"].margins


def test_names_of_utterances_that_are_too_short_are_counted_as_not_placed():
    found = looked_at(rows_of("bad"))
    assert found.unplaced == 1 and found.tallies["base"].margins == []
    assert found.tallies["base"].cells() == ["-"] * 6


def test_the_command_writes_base_and_adapter(tmp_path, capsys):
    named = write_named_set(tmp_path)
    options = [
        *named.model_options,
        *("--lists", f"{tmp_path}/true.tsv", "--output", f"{tmp_path}/page.md"),
        *("--json", f"{tmp_path}/page.json"),
    ]
    assert names_diagnosis.main([*options, *named.adapter_options]) == 0
    page = (tmp_path / "page.md").read_text()
    assert capsys.readouterr().out == page
    assert "4 names said; 0 more could not be placed" in page
    found = json.loads((tmp_path / "page.json").read_text())
    assert set(found["posteriors"]) == {"base", "adapter"}
    assert found["posteriors"]["base"] != found["posteriors"]["adapter"]
    assert all(0 <= value <= 1 for value in found["attention"].values())
    upper = in_capitals(tmp_path / "true.tsv")
    options += ["--lists", upper, "--json", f"{tmp_path}/upper.json"]
    assert names_diagnosis.main([*options, *named.adapter_options]) == 0
    again = json.loads((tmp_path / "upper.json").read_text())
    assert {**again, "command": ""} == {**found, "command": ""}
    (tmp_path / "other.tsv").write_text("u9\tab c\t[]\t[]\n")
    assert names_diagnosis.main([*options, "--lists", f"{tmp_path}/other.tsv"]) == 1
    assert "no list of u0" in capsys.readouterr().err
