"""One table of all systems and lists."""

import json
from pathlib import Path

import pytest
from named_set import in_capitals

from espnet_dynlook.biasing.lists import BiasingList, format_lists
from espnet_dynlook.recipe import names_results, results

SAID = {"u1": "the cat met zoe", "u2": "no name here"}
TEXTS = {
    "base/test": ["the cat met joe", "no name here"],
    "both/test.100.0": ["the cat met zoe", "no name here"],
    "both/test.100.1": ["the cat met joe", "no name here"],
    "both/test.100.without.0": ["the cat met joe", "no ann here"],
    "both/test.100.without.1": ["the cat met joe", "no name here"],
}


@pytest.fixture
def decoded(tmp_path):
    """Return the arguments for what stage 17 leaves, with two seeds."""
    folder, lists = tmp_path / "asr_x/names", tmp_path / "lists"
    for name, texts in TEXTS.items():
        (folder / name).mkdir(parents=True)
        lines = [f"{u} {t}\n" for u, t in zip(SAID, texts, strict=True)]
        (folder / name / "text").write_text("".join(lines))
    lists.mkdir()
    for seed in (0, 1):
        for end, true in (("", ("zoe",)), (".without", ())):
            made = {
                utt: BiasingList(
                    text,
                    tuple(p for p in true if p in text),
                    ("ann", *(p for p in true if p in text)),
                )
                for utt, text in SAID.items()
            }
            (lists / f"test.100{end}.{seed}.tsv").write_text(format_lists(made))
    return folder, [
        *(str(folder), "--lists", str(lists), "--sets", "test", "--seeds", "0", "1"),
        *("--names", "100", "100.without", "--systems", "base", "both"),
        *("--command", "./run.sh --biasing true"),
    ]


def test_seeds_of_a_list_are_scored_together(decoded):
    folder, options = decoded
    assert names_results.main(options) == 0
    found = json.loads((folder / "names.json").read_text())["sets"]["test"]
    both = found["100"]["both"]["counts"]["entities"]
    assert (both["utterances"], both["reference"], both["correct"]) == (4, 2, 1)
    assert found["100"]["base"]["counts"]["entities"]["correct"] == 0
    wrong = found["100.without"]["both"]["rates"]
    assert wrong["false insertions per 100 utterances"] == 25.0
    page = (folder / "names.md").read_text()
    assert "|100|base|14.29|0.00|100.00|-|0.00|0.00|-|2|0.00|" in page
    assert "|100|both|7.14|0.00|50.00|100.00|50.00|66.67|+0.00|2|0.00|" in page
    assert "./run.sh --biasing true" in page


def test_lists_are_spelled_as_the_model_is(decoded, capsys):
    folder, options = decoded
    lists = folder.parents[1] / "lists"
    assert names_results.main(options) == 0
    lower = json.loads((folder / "names.json").read_text())
    for path in lists.glob("test.*"):
        Path(in_capitals(path)).rename(path)
    assert names_results.main(options) == 1
    error = capsys.readouterr().err
    assert "differs from the lists' texts in case: give the model's --asr_tr" in error
    config = folder.parent / "config.yaml"
    options += ["--asr_train_config", str(config)]
    config.write_text("token_list: [<blank>, a, b, z, <space>]\n")
    assert names_results.main(options) == 0
    assert json.loads((folder / "names.json").read_text()) == lower
    config.write_text("encoder: conformer\n")
    assert names_results.main(options) == 1
    assert "config.yaml: no token_list" in capsys.readouterr().err


def test_page_of_the_experiment_has_the_table(decoded):
    folder, options = decoded
    experiment = folder.parent
    assert results.main([str(experiment)]) == 1
    assert names_results.main(options) == 0
    assert results.main([str(experiment)]) == 0
    page = (experiment / "RESULTS.md").read_text()
    assert (folder / "names.md").read_text() in page


def test_missing_files_are_named_with_the_stage_that_makes_them(decoded, capsys):
    folder, options = decoded
    (folder / "both/test.100.1/text").unlink()
    assert names_results.main(options) == 1
    assert "test.100.1/text does not exist: run stage 17" in capsys.readouterr().err
    (folder.parents[1] / "lists/test.100.1.tsv").unlink()
    assert names_results.main(options) == 1
    assert "test.100.1.tsv does not exist: run stage 15" in capsys.readouterr().err
