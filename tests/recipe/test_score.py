"""Scores, RESULTS.md and the comparison of systems."""

import json

import pytest

from espnet_dynlook.recipe import compare, results, score
from espnet_dynlook.recipe.data_dir import DataError

REFERENCE = {"amy-1": "ab ba", "amy-2": "cab", "bob-1": "b b ab"}
SPEAKERS = {utt: utt[:3] for utt in REFERENCE}


def write_table(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} {value}\n" for key, value in table.items()))


@pytest.fixture
def decoded(tmp_path):
    """Return a function that writes and scores one decoded set."""
    write_table(tmp_path / "data/text", REFERENCE)
    write_table(tmp_path / "data/utt2spk", SPEAKERS)

    def make(experiment, hypotheses, tag="greedy", waits=None, seconds=None):
        folder = tmp_path / experiment / tag / "test"
        write_table(folder / "text", hypotheses)
        if waits:
            write_table(folder / "lookahead_ms", waits)
        if seconds:
            write_table(folder / "decode_seconds", seconds)
        status = score.main(
            [
                *("--data_dir", f"{tmp_path}/data", "--decode_dir", f"{folder}"),
                *("--command", "./asr.sh --stage 12"),
            ]
        )
        return status, folder

    return make


ONE_WRONG = {**REFERENCE, "bob-1": "b ab"}


def test_score_files_have_the_fields_of_sclite(decoded):
    status, folder = decoded("exp/asr_x", ONE_WRONG)
    assert status == 0
    wer = folder / "score_wer"
    assert (wer / "ref.trn").read_text().splitlines()[2] == "b b ab\t(bob-bob-1)"
    assert (wer / "hyp.trn").read_text().splitlines()[2] == "b ab\t(bob-bob-1)"
    lines = (wer / "result.txt").read_text().splitlines()
    assert lines[1].replace("|", " ").split() == ["SPKR", *score.COLUMNS]
    average = next(line for line in lines if "Sum/Avg" in line)
    assert average.replace("|", " ").split() == [
        *("Sum/Avg", "3", "6", "83.3", "0.0", "16.7", "0.0", "16.7", "33.3")
    ]
    characters = (folder / "score_cer/ref.trn").read_text().splitlines()
    assert characters[0] == "a b <space> b a\t(amy-amy-1)"


def test_lookahead_is_pooled_over_frames_and_rtf_over_seconds(decoded, tmp_path):
    waits = {"amy-1": "0 0 0 0 0 0 0 0 100", "amy-2": "100", "bob-1": ""}
    seconds = {"amy-1": "1.0 2.0", "amy-2": "0.5 1.0", "bob-1": "0.5 5.0"}
    _, folder = decoded("exp/asr_x", REFERENCE, waits=waits, seconds=seconds)
    found = json.loads((folder / "score_wer/result.json").read_text())
    assert found["lookahead_ms"]["mean"] == pytest.approx(20)
    assert found["lookahead_ms"]["p50"] == 0
    assert found["lookahead_ms"]["p90"] == pytest.approx(100)
    assert found["rtf"] == pytest.approx(2 / 8)
    assert results.main([str(tmp_path / "exp/asr_x")]) == 0
    page = (tmp_path / "exp/asr_x/RESULTS.md").read_text()
    assert "|test|3|6|100.0|0.0|0.0|0.0|0.0|0.0|0.250|20|0|100|" in page


def test_perceived_latency_is_shown_where_it_was_simulated(decoded, tmp_path, capsys):
    _, folder = decoded("exp/asr_x", REFERENCE)
    assert json.loads((folder / "score_wer/result.json").read_text())["upl_ms"] is None
    assert "UPL" not in capsys.readouterr().out
    write_table(folder / "upl_ms", {"amy-1": "10.0", "amy-2": "20.0", "bob-1": "60.0"})
    decoded("exp/asr_x", REFERENCE)
    found = json.loads((folder / "score_wer/result.json").read_text())["upl_ms"]
    assert found["mean"] == pytest.approx(30) and found["p50"] == 20
    assert "UPL 30 ms (p50 20, p90 52)" in capsys.readouterr().out
    assert results.main([str(tmp_path / "exp/asr_x")]) == 0
    page = (tmp_path / "exp/asr_x/RESULTS.md").read_text()
    assert "test: user-perceived latency (simulated) 30 ms, p50 20, p90 52" in page


def test_latencies_of_streams_are_shown_where_they_were_measured(
    decoded, tmp_path, capsys
):
    _, folder = decoded("exp/asr_x", REFERENCE)
    result = json.loads((folder / "score_wer/result.json").read_text())
    assert result["streamed_ms"] == {}
    results.main([str(tmp_path / "exp/asr_x")])
    assert "latency (ms)" not in (tmp_path / "exp/asr_x/RESULTS.md").read_text()
    write_table(folder / "token_stable_ms", {"amy-1": "0.0 80.0", "bob-1": "40.0"})
    write_table(folder / "final_ms", {"amy-1": "5.0", "amy-2": "7.0", "bob-1": "60.0"})
    write_table(folder / "first_partial_ms", {"amy-1": "", "amy-2": "", "bob-1": ""})
    capsys.readouterr()
    decoded("exp/asr_x", REFERENCE)
    assert "stable latency 40 ms (p50 40, p90 72)\n" in capsys.readouterr().out
    result = json.loads((folder / "score_cer/result.json").read_text())
    assert result["streamed_ms"]["final"]["mean"] == pytest.approx(24)
    results.main([str(tmp_path / "exp/asr_x")])
    page = (tmp_path / "exp/asr_x/RESULTS.md").read_text()
    assert "|latency (ms)|mean|p50|p90|\n" in page
    assert "|test, stable|40|40|72|\n|test, final|24|7|49|\n" in page
    assert "first partial" not in page


def test_one_result_has_its_rate_and_what_was_measured(decoded):
    _, folder = decoded("exp/asr_x", ONE_WRONG, waits={"amy-1": "10 30"})
    result = results.read_result(folder, "wer")
    assert results.counts_of(result).rate == pytest.approx(1 / 6)
    assert results.measured(result) == ["-", "20", "20", "28"]
    with pytest.raises(DataError, match=r"score_mer.*does not exist: run stage 13"):
        results.read_result(folder, "mer")


def test_results_page_has_command_and_versions(decoded, tmp_path):
    decoded("exp/asr_x", REFERENCE)
    results.main([str(tmp_path / "exp/asr_x")])
    page = (tmp_path / "exp/asr_x/RESULTS.md").read_text()
    assert "```sh\n./asr.sh --stage 12\n```" in page
    assert "espnet_dynlook " in page and "torch " in page and "python " in page


def test_rerun_replaces_its_own_row_and_keeps_the_others(decoded, tmp_path):
    decoded("exp/asr_x", REFERENCE, tag="one")
    decoded("exp/asr_x", REFERENCE, tag="two")
    results.main([str(tmp_path / "exp/asr_x")])
    decoded("exp/asr_x", ONE_WRONG, tag="two")
    results.main([str(tmp_path / "exp/asr_x")])
    page = (tmp_path / "exp/asr_x/RESULTS.md").read_text()
    assert page.count("## one") == page.count("## two") == 1
    assert page.count("|test|3|6|100.0|") == 1
    assert page.count("|test|3|6|83.3|") == 1
    again = tmp_path / "exp/asr_x/RESULTS.md"
    results.main([str(tmp_path / "exp/asr_x")])
    assert again.read_text() == page


def test_missing_hypothesis_fails_and_writes_no_score(decoded, capsys):
    status, folder = decoded("exp/asr_x", {"amy-1": "ab"})
    assert status == 1
    assert "2 of 3 utterances have no hypothesis" in capsys.readouterr().err
    assert not list(folder.glob("score_*"))


def test_non_linguistic_symbols_are_not_scored(decoded, tmp_path):
    _, folder = decoded("exp/asr_x", REFERENCE)
    write_table(folder / "text", {**REFERENCE, "amy-2": "<noise> cab"})
    counts = score.score_set(tmp_path / "data", folder, ["<noise>"])
    assert counts["wer"].errors == 0


def test_experiment_without_scores_is_an_error(tmp_path, capsys):
    assert results.main([str(tmp_path)]) == 1
    assert "run stage 13" in capsys.readouterr().err
    assert not (tmp_path / "RESULTS.md").exists()


def test_comparison_has_a_row_a_system_with_every_seed(decoded, tmp_path, capsys):
    _, good = decoded("exp/asr_a1", REFERENCE, waits={"amy-1": "10"})
    _, bad = decoded("exp/asr_a2", ONE_WRONG, waits={"amy-1": "30"})
    capsys.readouterr()
    out = tmp_path / "table.md"
    assert (
        compare.main([f"a={good},{bad}", f"b={bad},{bad}", "--output", f"{out}"]) == 0
    )
    table = out.read_text()
    assert capsys.readouterr().out == table
    rows = [line[1:-1].split("|") for line in table.splitlines()[2:]]
    assert rows[0] == ["a", "0.00 16.67", "8.33", "20", "", "", ""]
    assert rows[1][:5] == ["b", "16.67 16.67", "16.67", "30", "+8.33"]


def test_comparison_with_unequal_numbers_of_seeds_weighs_them_equally(decoded):
    _, bad = decoded("exp/asr_a2", ONE_WRONG)
    one = compare.read_system(f"one={bad}", "wer")
    three = compare.read_system(f"three={bad},{bad},{bad}", "wer")
    row = compare.compare([one, three], "wer", False, 0).splitlines()[-1].split("|")
    assert row[5:8] == ["+0.00", "+0.00 to +0.00", "1.0000"]


def test_comparison_refuses_different_sets(decoded, tmp_path, capsys):
    _, full = decoded("exp/asr_a1", REFERENCE)
    write_table(tmp_path / "data/text", {"amy-1": "ab ba", "amy-2": "cab"})
    write_table(tmp_path / "data/utt2spk", {"amy-1": "amy", "amy-2": "amy"})
    _, part = decoded("exp/asr_a2", {"amy-1": "ab ba", "amy-2": "cab"})
    assert compare.main([f"a={full}", f"b={part}"]) == 1
    assert "scored on another set" in capsys.readouterr().err


def test_comparison_of_a_folder_that_was_not_scored(tmp_path, capsys):
    assert compare.main([f"a={tmp_path}"]) == 1
    assert "score the folder first (stage 13)" in capsys.readouterr().err
