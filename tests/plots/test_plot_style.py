"""How pictures are written: whole, the same each time, readable in a grey print."""

import argparse
import itertools

import matplotlib
import pytest
from matplotlib.colors import to_rgb

from espnet_dynlook.plots import masks
from espnet_dynlook.plots.style import (
    LOOKS,
    OTHER,
    SUFFIXES,
    PlotError,
    new_figure,
    picture_path,
    save,
    style,
)

MAGIC = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


def figure():
    with style():
        made = new_figure(2, 2)
        made.add_subplot().plot([1, 2], [3, 1], label="x")
        made.axes[0].legend()
    return made


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_suffix_says_the_format_and_equal_pictures_are_equal_files(tmp_path, suffix):
    for name in ("one", "two"):
        save(figure(), tmp_path / "new" / (name + suffix))
    files = sorted((tmp_path / "new").iterdir())
    assert [f.name for f in files] == ["one" + suffix, "two" + suffix]
    first, second = (f.read_bytes() for f in files)
    assert first.startswith(MAGIC[suffix])
    assert first == second


def test_a_picture_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    broken = figure()

    def fail(*args, **kwargs):
        args[0].write_bytes(b"half")
        raise OSError(28, "No space left on device")

    broken.savefig = fail
    with pytest.raises(PlotError, match="No space left"):
        save(broken, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_suffix_that_is_not_written_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=r"\.pdf, \.png, \.svg"):
        picture_path("masks.jpg")
    with pytest.raises(PlotError, match=r"must end in"):
        save(figure(), tmp_path / "masks.jpg")


def test_style_stays_inside():
    before = dict(matplotlib.rcParams)
    figure()
    assert dict(matplotlib.rcParams) == before


def grey(colour):
    """Return the luminance of a colour as a grey printer sees it (Rec. 601)."""
    return sum(
        w * c for w, c in zip((0.299, 0.587, 0.114), to_rgb(colour), strict=True)
    )


def test_parts_of_a_mask_differ_in_grey():
    levels = [grey(c) for c in (masks.WAITED, masks.SHARED, masks.PAST, "white")]
    for one, other in itertools.combinations(levels, 2):
        assert abs(one - other) > 0.12


def test_kinds_differ_without_colour():
    looks = [*LOOKS.values(), OTHER]
    assert len({look.marker for look in looks}) == len(looks)
    assert len({look.colour for look in looks}) == len(looks)
    assert len({str(look.line) for look in looks}) == len(looks)
