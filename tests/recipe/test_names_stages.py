"""Stages 15 to 18: lists of names, an adapter, decoding and scoring with them."""

import json
import os
import re

import pytest
import tiny_corpus
import yaml
from conftest import REPOSITORY
from test_asr_sh import CONFIG, stub_python

from espnet_dynlook.biasing.lists import read_lists

ADAPTER = {
    "model": "dynlook_contextual",
    "model_conf": {"adapter_size": 8, "adapter_heads": 2, "catalog_size": [1, 4]},
    "optim": "adam",
    "optim_conf": {"lr": 0.01},
    "max_epoch": 1,
    "batch_type": "unsorted",
    "batch_size": 8,
    "num_workers": 0,
    "best_model_criterion": [["valid", "loss", "min"]],
    "keep_nbest_models": 1,
    "num_att_plot": 0,
    "use_matplotlib": False,
}
#: An n-gram for stage 17 alone.
NGRAM = ("--use_ngram", "true", "--stage", "13")
NAMES = ("--biasing", "true", "--biasing_list_opts", "--max_count 0")
LISTS = "data/biasing_max_count0"  # what these options make


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--biasing_sizes", "many"], "are whole numbers, not 'many'"),
        (["--biasing_without", "0"], "--biasing_without 0: such a list is empty"),
        (["--biasing_sets", "dev"], "--biasing_sets dev: must be of: train valid test"),
        (["--biasing_decoding", "beam"], "must be one of: ctc_beam ctc_greedy espnet"),
        (["--biasing_systems", "bse"], "--biasing_systems bse: must be of: base"),
        (
            ["--biasing_systems", "base both"],
            "both needs an adapter: set --adapter_con",
        ),
        (
            ["--biasing_decoding", "ctc_greedy", "--biasing_systems", "techniques"],
            "ctc_greedy has no techniques",
        ),
        (["--adapter_train_set", "more"], "--adapter_train_set more: it trains an"),
        (["--adapter_config", "no.yaml"], "--adapter_config no.yaml: no such file"),
        (
            ["--biasing_techniques", "x", "--biasing_decoding", "espnet"],
            "--biasing_techniques goes with --biasing_decoding ctc_beam",
        ),
        (
            [*("--biasing_decoding", "espnet"), *NGRAM, "--ngram_unit", "word"],
            "--ngram_unit word is read by --biasing_decoding ctc_beam",
        ),
        (
            ["--biasing_decoding", "espnet", "--asr_args", "--decoder transducer"],
            "ESPnet's search of transducers takes no names",
        ),
        (
            ["--biasing_decoding", "espnet", "--use_streaming", "true"],
            "streams (--use_streaming true) are searched with CTC",
        ),
        (
            [*NGRAM, "--use_streaming", "true", "--ngram_unit", "token"],
            "searched with n-grams of words",
        ),
    ],
)
def test_wrong_options_stop_before_anything_is_written(
    asr_sh, recipe, options, message
):
    result = asr_sh("--biasing", "true", *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (recipe / "data").exists()


def test_a_transducer_of_the_configuration_is_told_of_before_its_training(
    asr_sh, recipe
):
    (recipe / "base.yaml").write_text("decoder: transducer\n")
    (recipe / "train.yaml").write_text("base: base.yaml\n")
    options = ("--biasing", "true", "--asr_config", "train.yaml")
    result = asr_sh(*options, "--biasing_decoding", "espnet")
    assert result.returncode == 2
    assert "transducers takes no names" in result.stderr
    assert not (recipe / "data").exists()
    # What needs no names of that search goes on, to what this recipe lacks.
    allowed = ("--biasing_systems", "base", "--stage", "17", "--asr_tag", "x")
    result = asr_sh(*options, "--biasing_decoding", "espnet", *allowed)
    assert "run stage 11" in result.stderr


@pytest.mark.parametrize("decoding", ["espnet", "ctc_beam"])
def test_an_ngram_of_tokens_needs_kenlm_for_names_too(asr_sh, recipe, decoding):
    stub = stub_python(recipe, '[ "$2" != "import kenlm" ]')
    options = ("--biasing", "true", *NGRAM, "--python", stub)
    result = asr_sh(*options, "--biasing_decoding", decoding)
    assert result.returncode == 2
    assert f"{decoding} with an n-gram of tokens needs the Python" in result.stderr
    assert not (recipe / "data").exists()


def test_without_biasing_there_are_no_such_stages(asr_sh):
    result = asr_sh("--stage", "15", "--biasing_sizes", "many", check=True)
    assert "Stage 15" not in result.stdout


def test_skipped_stages_are_those_of_their_kind(asr_sh, recipe, with_data):
    options = ("--stage", "10", "--skip_train", "true", "--skip_eval", "true")
    sizes = ("--biasing_sizes", "0", "--biasing_without", "")
    result = asr_sh(*options, *NAMES, *sizes, "--skip_stages", "14", check=True)
    for n in (16, 17, 18):
        assert re.search(rf"Stage {n}: .*: skipped", result.stdout)
    assert (recipe / LISTS / "test.0.0.tsv").exists()


def test_a_recipes_own_script_makes_the_lists(asr_sh, recipe, with_data):
    script = recipe / "local/biasing_lists.sh"
    script.write_text(
        '#!/usr/bin/env bash\nprintf "%s\\n" "$*" >>calls\n'
        'echo "${local_data_opts}" >data_opts\n'
    )
    script.chmod(0o755)
    options = ("--biasing_sizes", "5", "--biasing_without", "7")
    options += ("--biasing_seeds", "0 3", "--biasing_sets", "valid test")
    options += ("--local_data_opts", "--speech /some/where")
    asr_sh("--stage", "15", "--stop_stage", "15", *NAMES, *options, check=True)
    calls = (recipe / "calls").read_text().splitlines()
    assert (recipe / "data_opts").read_text() == "--speech /some/where\n"
    assert len(calls) == 8
    assert calls[3] == (
        "--text dump/raw/valid/text --train_text data/train/text --distractors 7 "
        f"--seed 3 --output {LISTS}/valid.7.without.3.tsv --without_true "
        "--max_count 0"
    )


SYSTEMS = {
    "ctc_beam": {
        "base": "--decoding ctc_beam",
        "techniques": "--biasing_lists LISTS --decoding ctc_beam",
        "adapter": "--biasing_lists LISTS --decoding ctc_beam ADAPTER"
        " --techniques none",
        "both": "--biasing_lists LISTS --decoding ctc_beam ADAPTER",
    },
    "espnet": {
        "base": "--decoding espnet",
        "techniques": "--biasing_lists LISTS --decoding espnet",
        "adapter": "--biasing_lists LISTS --decoding espnet ADAPTER --biasing_bonus 0",
        "both": "--biasing_lists LISTS --decoding espnet ADAPTER",
    },
    "ctc_greedy": {
        "base": "--decoding ctc_greedy",
        "adapter": "--biasing_lists LISTS --decoding ctc_greedy ADAPTER",
    },
}


@pytest.mark.parametrize("decoding", sorted(SYSTEMS))
def test_what_each_system_is_decoded_with(asr_sh, recipe, with_data, decoding):
    for folder in ("exp/asr_x", "exp/adapter"):
        (recipe / folder).mkdir(parents=True)
        (recipe / folder / "valid.loss.ave.pth").touch()
    (recipe / "data/biasing").mkdir()
    lists = "data/biasing/test.5.0.tsv"
    (recipe / lists).touch()
    stub = stub_python(recipe, 'echo "$*" >>calls')
    asr_sh(
        *("--stage", "17", "--stop_stage", "17", "--biasing", "true", "--python", stub),
        *("--biasing_sizes", "5", "--biasing_without", "", "--asr_tag", "x"),
        *("--biasing_decoding", decoding, "--adapter_exp", "exp/adapter"),
        *("--inference_nj", "1", "--adapter_scale", "1.5", "--biasing_tag", "names"),
        *("--biasing_args", "--beam_size 4"),
        check=True,
    )
    calls = (recipe / "calls").read_text().splitlines()
    assert len(calls) == len(SYSTEMS[decoding])
    adapter = (
        "--adapter_train_config exp/adapter/config.yaml "
        "--adapter_model_file exp/adapter/valid.loss.ave.pth --adapter_scale 1.5"
    )
    for call, (system, options) in zip(calls, SYSTEMS[decoding].items(), strict=True):
        options = options.replace("LISTS", lists).replace("ADAPTER", adapter)
        assert call.endswith(f"/output.1 {options} --beam_size 4"), system
        assert f"exp/asr_x/names/{system}/test" in call


def test_names_are_streamed_where_the_recipe_streams(asr_sh, recipe, with_data):
    folder = recipe / "exp/asr_x"
    folder.mkdir(parents=True)
    (folder / "valid.loss.ave.pth").touch()
    (recipe / "data/biasing").mkdir()
    (recipe / "data/biasing/test.5.0.tsv").touch()
    stub = stub_python(recipe, 'echo "$*" >>calls')
    options = (
        *("--stage", "17", "--stop_stage", "17", "--biasing", "true", "--python", stub),
        *("--biasing_sizes", "5", "--biasing_without", "", "--asr_tag", "x"),
        *("--inference_nj", "1", "--use_streaming", "true"),
        *("--use_ngram", "true", "--ngram_unit", "word", "--inference_ngram", "3.arpa"),
        *("--biasing_args", "--sim_chunk_length 2560"),
    )
    (folder / "config.yaml").write_text("encoder: conformer\n")
    result = asr_sh(*options)
    assert result.returncode == 2
    assert "names are streamed with encoder dynlook_conformer" in result.stderr
    assert not (recipe / "calls").exists()
    (folder / "config.yaml").write_text("encoder: dynlook_conformer\n")
    asr_sh(*options, check=True)
    base, techniques = (recipe / "calls").read_text().splitlines()
    end = "--decoding beam --word_ngram exp/ngram_word/3.arpa --sim_chunk_length 2560"
    for call in (base, techniques):
        assert "espnet_dynlook.bin.asr_inference_streaming " in call
        assert call.endswith(end)
    assert "--biasing_lists data/biasing/test.5.0.tsv" in techniques
    made = {path.name for path in folder.iterdir() if path.is_dir()}
    tag = "names_ctc_beam_sim_chunk_length2560_streaming_ngram_ngram_word_3"
    assert made == {f"{tag}_asr_model_valid.loss.ave"}


def test_results_of_different_options_are_in_different_folders(
    asr_sh, recipe, with_data
):
    trained = ("exp/asr_x", "exp/asr_x_names", "exp/other")
    for folder in trained:
        (recipe / folder).mkdir(parents=True)
        for name in ("valid.loss.ave.pth", "valid.loss.best.pth"):
            (recipe / folder / name).touch()
    (recipe / "weak.yaml").touch()
    stub = stub_python(recipe, 'echo "$*" >>calls')
    usual = (
        *("--stage", "17", "--stop_stage", "17", "--biasing", "true", "--python", stub),
        *("--biasing_systems", "base", "--asr_tag", "x", "--inference_nj", "1"),
    )
    adapter = ("--adapter_exp", "exp/asr_x_names")
    end = "_asr_model_valid.loss.ave"
    runs = {
        f"names_ctc_beam{end}": (),
        f"names_ctc_beam_kindwords_listsmy{end}": (
            "--biasing_list_opts",
            "--kind words --lists /some/my/",
        ),
        f"names_ctc_beam_own{end}": ("--biasing_dir", "data/own"),
        f"names_ctc_beam_beam_size4{end}": ("--biasing_args", "--beam_size 4"),
        f"names_ctc_beam_weak{end}": ("--biasing_techniques", "weak.yaml"),
        f"names_ctc_beam_names_scale1.0{end}": adapter,
        f"names_ctc_beam_names_scale0.5{end}": (*adapter, "--adapter_scale", "0.5"),
        f"names_ctc_beam_names_scale1.0_valid.loss.best{end}": (
            *adapter,
            *("--inference_adapter_model", "valid.loss.best.pth"),
        ),
        f"names_ctc_beam_other_scale1.0{end}": ("--adapter_exp", "exp/other"),
        "names_ctc_beam_asr_model_valid.loss.best": (
            "--inference_asr_model",
            "valid.loss.best.pth",
        ),
        f"names_espnet_lm_small_1epoch{end}": (
            *("--biasing_decoding", "espnet", "--use_lm", "true"),
            *("--lm_exp", "exp/small", "--inference_lm", "1epoch.pth"),
        ),
        f"names_ctc_beam_ngram_ngram_word_4gram{end}": (
            *("--use_ngram", "true", "--ngram_unit", "word"),
            *("--inference_ngram", "4gram.arpa"),
        ),
        "mine": ("--biasing_tag", "mine"),
    }
    for folder, options in runs.items():
        before = {path.name for path in (recipe / "exp/asr_x").iterdir()}
        asr_sh(*usual, *options, check=True)
        made = {path.name for path in (recipe / "exp/asr_x").iterdir()} - before
        assert made == {folder}


def test_decoding_without_lists_or_adapter_says_what_to_do(asr_sh, recipe, with_data):
    (recipe / "exp/asr_x").mkdir(parents=True)
    (recipe / "exp/asr_x/valid.loss.ave.pth").touch()
    stage = ("--stage", "17", "--asr_tag", "x", "--biasing", "true")
    result = asr_sh(*stage, "--biasing_systems", "techniques")
    assert result.returncode == 2
    assert "test.0.0.tsv does not exist: run stage 15" in result.stderr
    systems = ("--biasing_systems", "adapter", "--adapter_exp", "exp/adapter")
    result = asr_sh(*stage, *systems)
    assert result.returncode == 2
    assert "exp/adapter/valid.loss.ave.pth does not exist: run stage 16" in (
        result.stderr
    )


@pytest.fixture
def with_names(recipe):
    """Write data whose training has no "ba", which the test set then says."""
    sets = {
        "train": tiny_corpus.sentences("train", 24, 0),
        "valid": tiny_corpus.sentences("valid", 4, 1),
        "test": tiny_corpus.sentences("test", 6, 2),
    }
    for name, utterances in sets.items():
        if name != "test":
            utterances = {
                utt: [word if word != "ba" else "ab" for word in words]
                for utt, words in utterances.items()
            }
        tiny_corpus.write_set(
            recipe / "source" / name, recipe / "source/audio", utterances
        )
    (recipe / "local/data.sh").write_text("#!/usr/bin/env bash\ncp -r source data\n")


@pytest.mark.recipe
def test_names_from_lists_to_a_table(asr_sh, recipe, with_names):
    (recipe / "conf").mkdir()
    (recipe / "conf/train.yaml").write_text(CONFIG)
    (recipe / "conf/train_adapter.yaml").write_text(yaml.safe_dump(ADAPTER))
    words = "abc bac ccc acab aab bbc acc cca bca caa bcb aac".split()
    (recipe / "pool.txt").write_text("".join(f"{word}\n" for word in words))
    options = [
        *("--asr_config", "conf/train.yaml", "--asr_tag", "tiny", "--nj", "1"),
        *("--inference_nj", "1", "--adapter_config", "conf/train_adapter.yaml"),
        *("--biasing", "true", "--biasing_dir", "data/biasing"),
        *("--biasing_list_opts", "--max_count 0 --pool pool.txt"),
        *("--biasing_sizes", "2", "--biasing_without", "2", "--biasing_tag", "names"),
        *("--biasing_args", "--beam_size 4", "--biasing_systems", "base both"),
    ]
    for first, last in ((1, 11), (15, 16), (17, 18)):
        asr_sh(*options, "--stage", f"{first}", "--stop_stage", f"{last}", check=True)
    other = asr_sh(*options, "--adapter_train_set", "valid", "--stage", "16")
    assert "has no statistics of dump/raw/valid: run stage 10" in other.stderr
    trained = (recipe / "dump/raw/train/text").read_text().split()
    for without in ("", ".without"):
        lists = read_lists(recipe / f"data/biasing/test.2{without}.0.tsv")
        assert len(lists) == 6
        true = {phrase for one in lists.values() for phrase in one.true}
        assert true == (set() if without else {"ba"})
        for one in lists.values():
            assert len(set(one.phrases) - set(one.true)) == 2
            assert not set(one.phrases) & set(trained)
    adapter = recipe / "exp/asr_tiny_train_adapter"
    assert (adapter / "valid.loss.ave.pth").exists()
    assert "--stage 16" in (adapter / "run.sh").read_text()
    experiment = recipe / "exp/asr_tiny"
    folder = experiment / "names"
    decoded = {str(one.parent.relative_to(folder)) for one in folder.glob("*/*/text")}
    assert decoded == {"base/test", "both/test.2.0", "both/test.2.without.0"}
    used = (folder / "both/test.2.0/names_used").read_text().splitlines()
    assert len(used) == 6 and all(line.endswith(" 0") for line in used)
    content = json.loads((folder / "names.json").read_text())
    scored = content["sets"]["test"]["2"]
    assert list(scored) == ["base", "both"]
    said = scored["both"]["counts"]["entities"]["reference"]
    assert said == sum(
        line.split().count("ba")
        for line in (recipe / "dump/raw/test/text").read_text().splitlines()
    )
    page = (experiment / "RESULTS.md").read_text()
    for name in ("2", "2.without"):
        assert re.search(rf"^\|{name}\|both\|", page, re.MULTILINE), name


def test_every_recipe_can_make_lists():
    """Their own script is one that stage 15 can run."""
    for script in REPOSITORY.glob("egs/*/asr1/local/biasing_lists.sh"):
        assert os.access(script, os.X_OK), script
