"""The names experiment, once through every stage with a tiny model."""

from pathlib import Path

import pytest
from small_recipe import link_recipe, run_recipe

from espnet_dynlook.biasing.lists import read_lists
from espnet_dynlook.recipe.data_dir import read_text

pytestmark = pytest.mark.recipe

RECIPE = Path(__file__).parents[2] / "egs" / "mini" / "asr1"
BASE, ADAPTER = "train_asr_names_base.yaml", "train_adapter_names.yaml"
# The recipe's own configurations, with another size laid over them.
SHORT = {"batch_size": 6, "max_epoch": 1, "keep_nbest_models": 1}
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
    "model_conf": {"phone_ctc_layer": 2},
}
CORPUS = "--train 12 --adapt 7 --valid 3 --tune 3 --test 3"


@pytest.fixture
def recipe(tmp_path):
    """Return a copy of the recipe's folder."""
    pytest.importorskip("espeakng_loader")
    changes = {
        BASE: SMALL | SHORT,
        ADAPTER: {"model_conf": {"adapter_size": 4, "adapter_heads": 2}} | SHORT,
    }
    link_recipe(RECIPE, tmp_path, "run_names.sh", changes)
    return tmp_path


def test_every_stage_of_the_names_experiment_runs(recipe):
    printed = run_recipe(
        recipe,
        *("run_names.sh", "--corpus", CORPUS, "--nbpe", "40", "--nj", "1"),
        *("--skip_stages", "12 13 14", "--biasing_decoding", "ctc_greedy"),
        *("--biasing_sizes", "5", "--biasing_without", "5"),
        *("--biasing_sets", "test_names"),
    )
    base, adapter = recipe / "exp/asr_names_base", recipe / "exp/asr_names_base_adapter"
    assert (base / "valid.cer_ctc.ave.pth").exists()
    assert (adapter / "valid.loss.ave.pth").exists()
    # The adapter is trained on what its base has never heard.
    shapes = recipe / "exp/asr_stats_names_adapt_names/train/speech_shape"
    assert len(shapes.read_text().splitlines()) == 7
    used = (adapter / "config.yaml").read_text()
    assert "dump/raw/adapt_names/text" in used and "raw/train_names" not in used
    text = read_text(recipe / "data" / "test_names" / "text")
    names = (recipe / "data" / "test_names" / "names").read_text().splitlines()
    true, none = (
        read_lists(recipe / "data" / "biasing" / f"test_names.{name}.0.tsv")
        for name in ("5", "5.without")
    )
    assert true.keys() == none.keys() == text.keys()
    assert all(one.true and set(one.true) <= set(names) for one in true.values())
    assert all(len(one.phrases) == 5 and not one.true for one in none.values())
    decoded = list(base.glob("names_*/*/test_names*/text"))
    assert {path.parent.parent.name for path in decoded} == {"base", "adapter"}
    for path in decoded:
        assert read_text(path).keys() == text.keys()
    assert "|adapter|" in printed.replace(" ", "")
