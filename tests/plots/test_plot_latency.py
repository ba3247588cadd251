"""The picture of how late the text of streams is."""

import numpy as np
import pytest

from espnet_dynlook.metrics.streamed import LATENCIES
from espnet_dynlook.plots.__main__ import main
from espnet_dynlook.plots.latency import Decoding, draw, read_decoding


@pytest.fixture
def decoded(tmp_path):
    """Return a function that writes the files of a decoding."""

    def write(name, seed, without=()):
        rng = np.random.default_rng(seed)
        folder = tmp_path / name
        folder.mkdir()
        for one in LATENCIES:
            if one.name in without:
                continue
            lines = [f"utt{n} {rng.normal(50, 9):.1f} 7.0\n" for n in range(30)]
            (folder / one.file).write_text("".join([*lines, "short \n"]))
        return folder

    return write


def test_values_are_those_of_the_files(decoded):
    found = read_decoding(decoded("a", 0, without=["stable"]), "A")
    assert set(found.values) == {one.name for one in LATENCIES} - {"stable"}
    own = found.values["final"]
    assert len(own) == 60 and (np.diff(own) >= 0).all() and (own == 7).sum() == 30


def test_curves_pass_through_their_median_and_90th_percentile():
    values = {"final": np.arange(0.0, 101.0)}
    zeros = {"stable": np.zeros(9), "final": np.full(9, 30.0)}
    figure = draw([Decoding("a", values), Decoding("b", zeros)])
    panels = {axes.get_title("left").split(",")[0]: axes for axes in figure.axes}
    assert list(panels) == [one.name for one in LATENCIES]
    curve, marks, _, other = panels["final"].lines
    assert list(marks.get_xdata()) == [50, 90] and list(other.get_xdata()) == [30, 30]
    x, share = (np.asarray(values) for values in curve.get_data())
    for at, part in ((50, 0.5), (90, 0.9)):
        assert share[x <= at].max() == pytest.approx(part, abs=0.01)
    assert panels["final"].get_xlim()[1] > 99
    low, high = panels["stable"].get_xlim()
    assert low < 0 < high
    texts = [text.get_text() for text in panels["emission"].texts]
    assert texts == ["not measured"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_equal_curves_all_show():
    same = {"final": np.arange(5.0)}
    figure = draw([Decoding(name, same) for name in "abc"])
    curves = figure.axes[-1].lines[::2]
    widths = [line.get_linewidth() for line in curves]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 3
    assert len({line.get_color() for line in curves}) == 3
    markers = {line.get_marker() for line in figure.axes[-1].lines[1::2]}
    assert len(markers) == 3


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_command_draws_several_decodings(decoded, tmp_path, suffix):
    output = tmp_path / f"latency.{suffix}"
    cmd = ["latency", "--output", str(output)]
    for seed, name in enumerate("ab"):
        cmd += ["--decode_dir", str(decoded(name, seed)), "--name", f"system {name}"]
    assert main(cmd) == 0
    assert output.stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("empty", "has no latencies (token_algorithmic_ms"),
        ("broken", "final_ms has to be an utterance a line"),
        ("names", "--name is given 2 times for 1 folders"),
        ("many", "7 decodings cannot be told apart: give at most 6"),
    ],
)
def test_what_the_user_can_put_right_is_said(
    decoded, tmp_path, capsys, change, message
):
    folder = decoded(
        "a", 0, [one.name for one in LATENCIES] if change == "empty" else ()
    )
    if change == "broken":
        (folder / "final_ms").write_text("utt soon\n")
    cmd = ["latency", "--output", str(tmp_path / "x.png")]
    cmd += ["--decode_dir", str(folder)] * (7 if change == "many" else 1)
    cmd += ["--name", "a", "--name", "b"] if change == "names" else []
    assert main(cmd) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
