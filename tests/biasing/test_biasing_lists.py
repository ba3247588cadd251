"""The four columns of the public benchmark: read, written, and faulty."""

import gzip

import pytest

from espnet_dynlook.biasing.lists import (
    BiasingList,
    ListError,
    format_lists,
    read_lists,
)

PUBLISHED = [
    "lists/fbai_test-other.biasing_100.tsv.gz",
    "LibriSpeech/test-other.biasing_100.tsv",
    "arctic_kathleen/biasing_names.test.tsv",
    "arctic_kathleen/biasing_100.test.tsv",
    "so762_adults/biasing_100.test.tsv",
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_lists_are_read_and_written_byte_for_byte(dynlook_data, name):
    path = dynlook_data / name
    raw = path.read_bytes()
    lists = read_lists(path)
    assert format_lists(lists).encode() == (
        gzip.decompress(raw) if path.suffix == ".gz" else raw
    )
    for one in lists.values():
        assert set(one.true) <= set(one.phrases)
        assert 98 <= len(set(one.phrases) - set(one.true)) <= 100


def test_lists_survive_writing(tmp_path):
    lists = {
        "utt-1": BiasingList(
            "à new york", ("new york",), ("new york", 'say "hi"', "日本")
        ),
        "utt-2": BiasingList("", (), ()),
    }
    path = tmp_path / "lists.tsv"
    path.write_text(format_lists(lists), encoding="utf-8")
    assert read_lists(path) == lists


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"utt\ttext\t[]", "3 columns, expected 4 with tabs"),
        (b"utt\ta b\t[\t[]", "column 3 is no JSON: "),
        (b'utt\ta b\t[]\t{"a": 1}', "column 4 is no JSON list"),
        (b"utt\ta b\t[]\t[1]", "column 4: 1 is no phrase"),
        (b'utt\ta b\t[]\t[" "]', "column 4: ' ' is no phrase"),
        (b'utt\ta b\t["a"]\t["b"]', "'a' of column 3 is not in column 4"),
        (b'utt\ta b\t["c"]\t["c"]', "'c' of column 3 is not in the text"),
        (b'utt\ta b\t["b a"]\t["b a"]', "'b a' of column 3 is not in the text"),
        (b"\ta b\t[]\t[]", "the utterance is empty"),
        (b"good\ta b\t[]\t[]", "utterance good is there twice"),
        (b"utt\t\xff\t[]\t[]", "not UTF-8 (byte 0xff)"),
        (b"", "0 columns"),
    ],
)
def test_faults_are_named_by_line(tmp_path, line, reason):
    path = tmp_path / "lists.tsv"
    path.write_bytes(b'good\ta b\t["a"]\t["a", "x"]\n' + line + b"\n")
    with pytest.raises(ListError) as raised:
        read_lists(path)
    assert str(raised.value).startswith(f"{path}:2: ")
    if reason != "0 columns":
        assert reason in str(raised.value)


def test_all_faults_are_counted_and_the_first_ones_shown(tmp_path):
    path = tmp_path / "lists.tsv"
    path.write_text("faulty\n" * 50)
    with pytest.raises(ListError, match="and 30 more") as raised:
        read_lists(path)
    assert len(raised.value.faults) == 50


def test_empty_file_is_a_fault(tmp_path):
    path = tmp_path / "lists.tsv"
    path.write_text("\n")
    with pytest.raises(ListError, match="no list in it"):
        read_lists(path)
