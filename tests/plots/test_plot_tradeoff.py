"""The points of a trade-off are means that compare."""

import itertools
import json

import numpy as np
import pytest

from espnet_dynlook.plots.results import (
    Row,
    choose,
    pooled,
    read_rows,
    without_parts,
)
from espnet_dynlook.plots.style import PlotError, look_of, save
from espnet_dynlook.plots.tradeoff import (
    draw,
    family,
    get_parser,
    picture,
    points,
)

X, Y = "latency_mean_ms", "loss_per_token"


def row(system="causal", kind=None, seed=1, set_="test", tokens=100, **measures):
    kind = kind or system.split("_")[0]
    measures = {X: 32.0, Y: 0.5, **measures}
    return Row("c", set_, system, kind, seed, tokens, measures)


def matrix():
    """Return rows whose seeds differ more than their systems."""
    rows = []
    for seed, luck in ((1, 0.0), (2, 0.1)):
        for system, wait, loss in (
            ("causal", 32.0, 0.6),
            ("chunked_2", 72.0, 0.58),
            ("chunked_10", 232.0, 0.54),
            ("dynamic_naive", 90.0, 0.57),
            ("dynamic_relative", 90.0, 0.55),
            ("full", 1600.0, 0.53),
        ):
            rows.append(row(system, seed=seed, **{X: wait, Y: loss + luck, "wer": 9.0}))
    return rows


def test_sets_are_pooled_by_their_tokens():
    rows = [row(set_="a", tokens=100, loss_per_token=1.0)]
    rows += [row(set_="b", tokens=300, loss_per_token=2.0)]
    assert pooled(rows, Y) == {("causal", 1): 1.75}


@pytest.mark.parametrize("bad", [None, float("inf"), float("nan")])
def test_a_system_that_lacks_a_set_is_not_a_mean_over_fewer(bad):
    rows = [row(set_="a"), row(set_="b", loss_per_token=bad), row(seed=2)]
    assert list(pooled(rows, Y)) == [("causal", 2)]


def test_differences_are_taken_seed_by_seed():
    found = {p.system: p for p in points(matrix(), X, Y, relative_to="causal")}
    np.testing.assert_allclose(found["chunked_10"].y, [-0.06, -0.06])
    np.testing.assert_allclose(found["causal"].y, [0.0, 0.0])
    np.testing.assert_allclose(points(matrix(), X, Y)[0].y, [0.6, 0.7])


def test_differences_to_what_is_not_there_are_refused():
    with pytest.raises(PlotError, match="the systems are causal, chunked_2"):
        points(matrix(), X, Y, relative_to="none")
    lacking = [r for r in matrix() if not (r.system == "causal" and r.seed == 2)]
    with pytest.raises(PlotError, match="for the seeds 2"):
        points(lacking, X, Y, relative_to="causal")


def test_lines_join_only_what_differs_by_a_number():
    assert family("chunked_2") == family("chunked_10")
    assert family("dynamic_0.003") == family("dynamic_1e-3")
    assert family("dynamic_naive") != family("dynamic_relative")


def test_user_perceived_latency_is_drawn_where_it_was_simulated():
    labels = [axes.get_xlabel() for axes in draw(matrix(), ys=[Y]).axes]
    assert not any("user-perceived" in label for label in labels)
    rows = [row(seed=1, upl_ms=None), row("chunked_8", upl_ms=180.0)]
    labels = [axes.get_xlabel() for axes in draw(rows, ys=[Y]).axes]
    assert "user-perceived latency (ms)" in labels


def test_a_parent_under_a_mask_looks_as_that_kind_does():
    assert look_of("chunked:7") == look_of("chunked")
    assert look_of("chunked:7") != look_of("something")


def test_marks_are_the_means_and_full_is_a_level():
    axes = draw(matrix(), ys=[Y]).axes[0]
    marks = {
        (line.get_marker(), *map(float, line.get_xydata()[0].round(6)))
        for line in axes.lines
        if line.get_marker() != "None"
    }
    chunked, dynamic = look_of("chunked").marker, look_of("dynamic").marker
    assert marks == {
        (look_of("causal").marker, 32.0, 0.65),
        (chunked, 72.0, 0.63),
        (chunked, 232.0, 0.59),
        (dynamic, 90.0, 0.62),
        (dynamic, 90.0, 0.60),
    }
    assert any("waits for the end" in text.get_text() for text in axes.texts)
    assert axes.get_xlim()[0] == 0 and axes.get_xlim()[1] < 400


def test_delays_below_zero_are_shown():
    rows = [row(token_delay_mean_ms=-69.0), row("chunked_2", token_delay_mean_ms=20.0)]
    figure = draw(rows, ["token_delay_mean_ms"], [Y])
    low, high = figure.axes[0].get_xlim()
    assert low < -69 and high > 20


def test_every_system_is_numbered_in_the_legend():
    figure = draw(matrix(), ys=[Y])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0] == "1  causal" and len(names) == 6
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert {"1", "2", "3", "4", "5"} <= shown


def test_points_that_cover_each_other_are_numbered_once_each_and_readably():
    rng = np.random.default_rng(20261130)
    rows = [row(f"dynamic_{n}", **{X: 90.0, Y: 0.5}) for n in "abcdefg"]
    rows += [
        row(f"chunked_{n}", **{X: wait, Y: loss})
        for n, (wait, loss) in enumerate(rng.uniform((30, 0.4), (300, 0.6), (9, 2)))
    ]
    figure = draw(rows, [X], [Y])
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    numbers = ",".join(text.get_text() for text in texts).replace("\n", "").split(",")
    assert sorted(map(int, numbers)) == list(range(1, 17))
    boxes = [text.get_window_extent() for text in texts]
    for one, two in itertools.combinations(boxes, 2):
        assert not one.overlaps(two)


def test_what_was_not_measured_is_said():
    rows = [row(), row("dynamic", latency_mean_ms=None)]
    texts = [t.get_text() for t in draw(rows).axes[0].texts]
    assert "not measured: 2" in texts


def test_title_says_what_is_behind_a_point():
    assert draw(matrix()).axes[0].get_title(loc="left") == (
        "c (test): mean of 2 seeds (bars: range)"
    )
    assert draw([row()]).axes[0].get_title(loc="left") == "c (test): one seed"


def test_a_panel_for_each_measure():
    assert len(draw(matrix()).axes) == 2  # loss and WER
    more = [*matrix(), row(cer=3.0, latency_p90_ms=60.0)]
    assert len(draw(more).axes) == 4
    assert len(draw(more, xs=[X], ys=[Y, "wer", "cer"]).axes) == 3


def test_a_measure_that_is_not_there_is_refused():
    with pytest.raises(PlotError, match="upl_ms"):
        draw(matrix(), xs=["upl_ms"])


def write(path, rows):
    names = ("corpus", "set", "system", "kind", "seed", "tokens")
    plain = [{**{n: getattr(r, n) for n in names}, **r.measures} for r in rows]
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def test_results_are_read_as_written(tmp_path):
    assert read_rows(write(tmp_path / "results.json", matrix())) == matrix()


def test_command_draws_the_systems_that_are_asked_for(tmp_path):
    path = write(tmp_path / "results.json", matrix())
    cmd = ["--results", str(path), "--output", str(tmp_path / "t.png")]
    words = [*cmd, "--systems", "causal", "full", "--y", Y, "--relative_to", "causal"]
    args = get_parser().parse_args(words)
    save(picture(args), args.output)
    assert (tmp_path / "t.png").stat().st_size > 1000
    with pytest.raises(PlotError, match="the results have causal"):
        picture(get_parser().parse_args([*cmd, "--systems", "nothing"]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "results.json: "),
        ("[]", "no list of rows"),
        ('[{"corpus": "c"}]', "row 1 has no set, system, kind, seed, tokens"),
        ("[3]", "row 1: 3 is no mapping"),
    ],
)
def test_broken_results_are_named(tmp_path, content, message):
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PlotError, match=message):
        read_rows(path)


def test_sets_are_not_counted_twice_where_a_row_has_all_of_them():
    rows = [row(set_="a"), row(set_="b"), row(set_="all")]
    assert [r.set for r in without_parts(rows)] == ["all"]
    assert [r.set for r in without_parts(rows[:2])] == ["a", "b"]
    assert [r.set for r in choose(rows, "set", ["b"])] == ["b"]
    title = draw(without_parts(rows)).axes[0].get_title(loc="left")
    assert title == "c (all sets): one seed"
