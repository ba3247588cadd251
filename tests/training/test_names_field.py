"""The data field of names: spelled as lists of decoding are, and nothing is silent."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "biasing"))

from biasing_tokens import LOWER, UPPER

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.training.names import SEPARATOR, NamesPreprocessor

NAMES = ["Ann", "Zoë O’Brien", "jean-luc", "R2D2", "ann", "日本"]


def preprocessor(tokens, cleaner=None):
    from espnet2.train.preprocessor import CommonPreprocessor

    inner = CommonPreprocessor(False, token_type="char", token_list=tokens)
    if cleaner is not None:  # ESPnet's own need packages that not every version has
        inner.text_cleaner = cleaner
    return NamesPreprocessor(inner)


def written(names, found):
    """Return the phrases of a preprocessed field."""
    ids = found["names"].tolist()
    assert ids[0] == ids[-1] == SEPARATOR
    tokens = [names.converter.token_list[i] for i in ids]
    text = "".join({"<blank>": "|", "<space>": " "}.get(t, t) for t in tokens)
    return text.strip("|").split("|")


@pytest.mark.host
@pytest.mark.parametrize("tokens", [UPPER, LOWER])
def test_phrases_are_spelled_as_those_of_a_catalog(tokens):
    names = preprocessor(tokens)
    found = written(names, names("u", {"names": "|".join(NAMES)}))
    catalog = Catalog(NAMES, names.inner.tokenizer, tokens)
    assert {entry.text for entry in catalog} == set(found)
    assert found[0].upper() == "ANN" and len(found) == len(NAMES) - 2


@pytest.mark.host
def test_phrases_go_through_the_cleaner_of_the_transcripts():
    names = preprocessor(UPPER, lambda text: text.replace("Dr.", "Doctor"))
    found = names("u", {"names": "Dr. Who|Ann"})
    assert written(names, found) == ["DOCTOR WHO", "ANN"]


@pytest.mark.host
@pytest.mark.parametrize("field", ["|", " | ", "R2D2", ""])
def test_without_a_phrase_that_can_be_used_there_is_the_separator_alone(field):
    assert preprocessor(UPPER)("u", {"names": field})["names"].tolist() == [SEPARATOR]


@pytest.mark.host
def test_what_cannot_be_written_is_named_once_with_its_place(tmp_path):
    files = [tmp_path / name for name in ("train", "valid")]
    files[0].write_text("u0 Ann|R2D2\nu1 |\nu2\nu3 R2D2|日本\n", encoding="utf-8")
    files[1].write_text("v0 R2D2|C3PO\n", encoding="utf-8")
    data = [(str(file), "names", "text") for file in files]
    data.append((str(tmp_path / "none"), "text", "text"))
    found = list(map(str, preprocessor(UPPER).unusable(data)))
    assert found == [
        f"{files[0]}:1: 'R2D2': no token has '2' (U+0032)",
        f"{files[0]}:4: '日本': no token has '日' (U+65E5), '本' (U+672C)",
        f"{files[1]}:1: 'C3PO': no token has '3' (U+0033)",
    ]


def test_fields_in_splits_are_read(tmp_path):
    from espnet_dynlook.training.data_text import lines_of

    for number in range(2):
        (tmp_path / f"split.{number}").write_text(f"u{number} A B\n")
    found = list(lines_of([(str(tmp_path), "names", "text")], "names"))
    assert found == [(f"{tmp_path}/split.{n}:1", "A B") for n in range(2)]
