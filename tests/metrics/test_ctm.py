"""CTM files."""

import pytest

from espnet_dynlook.metrics.ctm import TimedWord, read_ctm, write_ctm


def test_what_is_written_is_read(tmp_path):
    words = {
        "b-1": [TimedWord(0.0, 120.0, "HI"), TimedWord(160.0, 240.0, "IT'S")],
        "a-1": [TimedWord(40.0, 80.0, "A")],
    }
    write_ctm(tmp_path / "deep/words.ctm", words)
    found = read_ctm(tmp_path / "deep/words.ctm")
    assert list(found) == ["a-1", "b-1"]
    for utt, expected in words.items():
        assert [w.word for w in found[utt]] == [w.word for w in expected]
        times = [t for w in found[utt] for t in (w.start, w.end)]
        assert times == pytest.approx([t for w in expected for t in (w.start, w.end)])
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["words.ctm"]


@pytest.mark.parametrize("line", ["a 1 0.1 HI", "a 1 x 0.1 HI", "a"])
def test_broken_line_is_named(tmp_path, line):
    (tmp_path / "w.ctm").write_text(f"a 1 0.0 0.1 HI\n{line}\n")
    with pytest.raises(ValueError, match=r"w\.ctm:2: "):
        read_ctm(tmp_path / "w.ctm")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.ctm: no such file"):
        read_ctm(tmp_path / "none.ctm")
