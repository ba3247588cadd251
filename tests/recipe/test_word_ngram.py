"""N-grams of words and of tokens in asr.sh, with stand-ins for KenLM and python."""

import os
from pathlib import Path

import pytest
from test_asr_sh import stub_python

LMPLZ = """#!/usr/bin/env bash
while [ "$1" != --arpa ]; do shift; done
touch "$2"
"""


@pytest.fixture(autouse=True)
def without_kenlm(monkeypatch):
    """A machine may have KenLM's programs on its PATH: they would read the stand-in."""
    folders = os.environ["PATH"].split(os.pathsep)
    kept = [folder for folder in folders if not Path(folder, "build_binary").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(kept))


@pytest.mark.parametrize("unit", ["word", "token"])
def test_ngram_is_of_the_unit_and_decoding_is_given_it(
    asr_sh, recipe, with_data, monkeypatch, unit
):
    tools = recipe / "tools"
    tools.mkdir()
    (tools / "lmplz").write_text(LMPLZ)
    (tools / "lmplz").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    stub = stub_python(recipe, 'echo "$*" >>calls')
    options = ("--use_ngram", "true", "--ngram_unit", unit, "--python", stub)
    asr_sh(*options, "--stage", "9", "--stop_stage", "9", check=True)
    folder = recipe / ("exp/ngram_word" if unit == "word" else "exp/ngram")
    assert (folder / "3gram.arpa").exists()
    (call,) = (c for c in (recipe / "calls").read_text().splitlines() if "tokeni" in c)
    kind = "word" if unit == "word" else "char"
    assert f"--token_type {kind}" in call
    assert f"--output {folder.relative_to(recipe)}/{unit}s.txt" in call
    (recipe / "exp/asr_x").mkdir()
    (recipe / "exp/asr_x/valid.loss.ave.pth").touch()
    if unit == "word":
        options += ("--inference_args", "--decoding ctc_beam")
    asr_sh(*options, "--stage", "12", "--stop_stage", "12", "--asr_tag", "x")
    calls = (recipe / "calls").read_text().splitlines()
    name = "--word_ngram" if unit == "word" else "--ngram_file"
    given = f"{name} {folder.relative_to(recipe)}/3gram.arpa"
    assert any("asr_inference" in c and given in c for c in calls)


def test_lmplz_is_found_beside_python(asr_sh, recipe, with_data):
    scripts = recipe / "scripts"
    scripts.mkdir()
    (scripts / "lmplz").write_text(LMPLZ)
    (scripts / "lmplz").chmod(0o755)
    stub = stub_python(recipe, f'[[ "$2" != *sysconfig* ]] || echo "{scripts}"')
    options = ("--use_ngram", "true", "--skip_eval", "true", "--python", stub)
    asr_sh(*options, "--stage", "9", "--stop_stage", "9", check=True)
    assert (recipe / "exp/ngram/3gram.arpa").exists()


def test_wrong_unit_is_named(asr_sh):
    result = asr_sh("--ngram_unit", "words")
    assert result.returncode == 2
    assert "--ngram_unit words: must be one of: token word" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--use_ngram true --ngram_unit word", "not by decoding espnet, which reads"),
        ("--use_ngram true --inference_config greedy", "ctc_greedy reads no language"),
        ("--use_lm true --inference_config greedy", "ctc_greedy reads no language"),
        ("--use_lm true --inference_config beam", "ctc_beam reads n-grams alone"),
    ],
)
def test_a_language_model_that_decoding_would_not_read_is_refused_at_once(
    asr_sh, recipe, options, message
):
    (recipe / "greedy").write_text("decoding: ctc_greedy\n")
    (recipe / "beam").write_text('decoding: "ctc_beam" # ours\n')
    stub = stub_python(recipe, "true")
    tools = recipe / "scripts"
    tools.mkdir()
    (tools / "lmplz").touch(0o755)
    result = asr_sh(*options.split(), "--stage", "12", "--python", stub)
    assert result.returncode == 2
    assert message in result.stderr


def test_greedy_decoding_leaves_the_language_model_to_names(asr_sh, recipe, with_data):
    (recipe / "greedy").write_text("decoding: ctc_greedy\n")
    (recipe / "exp/asr_x").mkdir(parents=True)
    (recipe / "exp/asr_x/valid.loss.ave.pth").touch()
    stub = stub_python(recipe, 'echo "$*" >>calls')
    names = ("--biasing", "true", "--use_ngram", "true", "--ngram_unit", "word")
    options = (*names, "--inference_config", "greedy", "--python", stub)
    asr_sh(*options, "--stage", "12", "--stop_stage", "12", "--asr_tag", "x")
    calls = (recipe / "calls").read_text().splitlines()
    calls = [call for call in calls if "asr_inference" in call]
    assert calls
    assert all("--config greedy" in call and "ngram" not in call for call in calls)
