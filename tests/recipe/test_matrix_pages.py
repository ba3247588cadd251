"""What a matrix of experiments writes: tables, results and a picture."""

import json

import pytest
from matrix_fakes import DRAW

from espnet_dynlook.recipe import matrix


def test_results_have_every_system_seed_and_set(run_matrix, matrix_folder, monkeypatch):
    monkeypatch.setattr(matrix, "draw", DRAW)
    run_matrix()
    assert (matrix_folder / "results/matrix/tradeoff.png").stat().st_size > 1000
    assert (
        "](results/matrix/tradeoff.png)" in (matrix_folder / "RESULTS.md").read_text()
    )
    rows = json.loads((matrix_folder / "results/matrix/results.json").read_text())
    systems = ["parent, causal", "parent, full", "causal", "chunked", "full"]
    assert {(r["system"], r["seed"], r["set"]) for r in rows} == {
        (system, seed, name)
        for system in systems
        for seed in (1, 2)
        for name in ("easy", "hard", "all")
    }
    row = next(r for r in rows if (r["system"], r["set"]) == ("chunked", "all"))
    assert row["corpus"] == "beeps" and row["kind"] == "chunked"
    assert row["tokens"] == 120 and row["wer"] == pytest.approx(12.5)
    assert row["loss_per_token"] == pytest.approx(1.05)
    assert row["latency_mean_ms"] == 70 and row["token_delay_mean_ms"] == 150


def test_tables_compare_with_the_reference(run_matrix, matrix_folder):
    run_matrix()
    page = (matrix_folder / "RESULTS.md").read_text()
    lines = [
        line.split("|") for line in page.splitlines() if line.startswith("|causal|")
    ]
    assert len(lines) == 3  # all, easy, hard
    for cells in lines:
        assert cells[2] == "70 / 60 / 120"
        assert cells[4:6] == ["3.050 3.050", "3.0500"]
        assert cells[6] == "+2.0000 (+2.0000 to +2.0000)"
    (reference,) = {x for x in page.splitlines() if x.startswith("|chunked|")}
    assert reference.split("|")[6] == ""


def test_user_perceived_latency_is_in_the_tables_where_a_system_has_it(
    run_matrix, matrix_folder
):
    run_matrix()
    assert "user-perceived" not in (matrix_folder / "RESULTS.md").read_text()
    for path in matrix_folder.glob("exp/matrix/causal_*/evaluate/*/utterances.jsonl"):
        path.write_text(path.read_text().replace('"upl_ms": null', '"upl_ms": 250.0'))
    run_matrix()
    lines = (matrix_folder / "RESULTS.md").read_text().splitlines()
    for name, value in {"causal": "250", "chunked": "-"}.items():
        cells = [x.split("|") for x in lines if x.startswith(f"|{name}|")]
        assert len(cells) == 3 and all(c[3] == value for c in cells)


def test_page_keeps_what_others_wrote(run_matrix, matrix_folder):
    (matrix_folder / "RESULTS.md").write_text("# Results\n\nBefore.\n")
    run_matrix("--seeds", "1")
    with (matrix_folder / "RESULTS.md").open("a") as file:
        file.write("\nAfter.\n")
    run_matrix()
    page = (matrix_folder / "RESULTS.md").read_text()
    assert page.startswith("# Results\n\nBefore.\n")
    assert page.endswith("\nAfter.\n")
    assert page.count("<!-- matrix -->") == 1
    assert "3.050 3.050" in page
