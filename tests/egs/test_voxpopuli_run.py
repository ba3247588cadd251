"""VoxPopuli's recipe, once through every stage, on a tree of the same layout."""

import sys
from pathlib import Path

import pytest
from small_recipe import link_recipe, run_recipe

sys.path.insert(0, str(Path(__file__).parent))
import voxpopuli_tree as tree

from espnet_dynlook.biasing.lists import read_lists
from espnet_dynlook.config import resolve
from espnet_dynlook.recipe.data_dir import read_text

pytestmark = pytest.mark.recipe

RECIPE = Path(__file__).parents[2] / "egs" / "voxpopuli" / "asr1"
CONFIG = "train_asr_conformer_interctc_phone.yaml"
# The recipe's own configurations, with another size laid over them.
SMALL = {
    "frontend_conf": {"n_fft": 256, "win_length": 256, "n_mels": 20},
    "specaug": None,
    "specaug_conf": None,
    "encoder_conf": {
        "output_size": 8,
        "attention_heads": 2,
        "linear_units": 8,
        "num_blocks": 3,
        "cnn_module_kernel": 3,
        "interctc_layer_idx": [1, 2],
    },
    "decoder_conf": {"attention_heads": 2, "linear_units": 8, "num_blocks": 1},
    "model_conf": {"phone_ctc_layer": 2},
}
SHORT = {
    "use_amp": False,
    "batch_type": "unsorted",
    "batch_size": 6,
    "accum_grad": 1,
    "max_epoch": 1,
    "num_workers": 0,
    "keep_nbest_models": 1,
}
ADAPTER = {"model_conf": {"adapter_size": 4, "adapter_heads": 2}}


@pytest.fixture
def recipe(tmp_path):
    """Return a copy of the recipe's folder, with the small tree beside it."""
    folder = tmp_path / "asr1"
    configs = {CONFIG: SMALL | SHORT, "train_adapter.yaml": ADAPTER | SHORT}
    link_recipe(RECIPE, folder, "run.sh", configs)
    tree.write_tree(tmp_path / "corpus")
    return folder


def run(recipe, *options):
    corpus = str(recipe.parent / "corpus")
    options = ("--voxpopuli", corpus, "--nj", "2", "--nbpe", "24", *options)
    return run_recipe(recipe, "run.sh", *options)


def test_configuration_of_the_recipe_is_the_one_that_runs(recipe):
    keys = resolve(recipe / "conf" / CONFIG)
    assert keys["decoder"] == "transformer" and keys["encoder"] == "conformer"
    assert keys["model_conf"]["phone_ctc_weight"] > 0
    assert 0 < keys["model_conf"]["ctc_weight"] < 1


def lists_of(recipe, kind, number):
    """Return lists of the test set, checked for what lists of all kinds have."""
    text = read_text(recipe / "data" / "test" / "text")
    lists = read_lists(recipe / "data" / kind / f"test.{number}.0.tsv")
    assert {utt: one.text for utt, one in lists.items()} == text
    assert all(len(set(o.phrases) - set(o.true)) == number for o in lists.values())
    return {name for one in lists.values() for name in one.true}


def test_every_stage_runs_once(recipe):
    names = {"KOVAC", "RIBEIRO", "O'NEILL", "SZABO"}
    said = run(
        recipe,
        *("--biasing", "true", "--adapter_config", "conf/train_adapter.yaml"),
        *("--biasing_sizes", "5", "--biasing_without", "", "--biasing_sets", "test"),
        *("--biasing_systems", "base both", "--biasing_args", "--beam_size 4"),
    )
    for stage in (*range(1, 6), *range(10, 19)):
        assert f"Stage {stage}:" in said
    (adapter,) = recipe.glob("exp/asr_*_train_adapter")
    assert (adapter / "valid.loss.ave.pth").exists()
    (experiment,) = set(recipe.glob("exp/asr_train_*")) - {adapter}
    assert (experiment / "valid.acc.ave.pth").exists()
    assert list(experiment.glob("*.zip"))
    found = lists_of(recipe, "biasing", 5)
    assert found and found <= names
    # What annotators marked, in the place of capitals.
    labels = recipe.parent / "corpus" / "slue"
    run(
        recipe,
        *("--stage", "15", "--stop_stage", "15", "--biasing", "true"),
        *("--biasing_sets", "test", "--biasing_sizes", "3", "--biasing_without", ""),
        *("--biasing_list_opts", f"--kind entities --slue {labels}"),
        *("--biasing_dir", "data/entities"),
    )
    assert lists_of(recipe, "entities", 3) == names
