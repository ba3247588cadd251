"""Every configuration that a recipe comes with passes the check."""

import io
from pathlib import Path

import pytest
import torch

from espnet_dynlook import config
from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.bin import asr_inference
from espnet_dynlook.task import DynlookASRTask

pytestmark = pytest.mark.host

ROOT = Path(__file__).parent.parent
CONFIGS = [*ROOT.glob("conf/*.yaml"), *ROOT.glob("egs/*/asr1/conf/*.yaml")]


def named(prefix):
    """Return parameters for the configurations that begin with ``prefix``."""
    files = sorted(path for path in CONFIGS if path.name.startswith(prefix))
    assert files
    return pytest.mark.parametrize(
        "path", [pytest.param(f, id=str(f.relative_to(ROOT))) for f in files]
    )


@named("train_asr")
def test_training_configuration_is_accepted(path):
    config.check(config.resolve(path), DynlookASRTask, str(path))


@named("train_adapter")
def test_configuration_of_adapters_is_accepted(path):
    config.check(config.resolve(path), DynlookASRTask, str(path))


@pytest.mark.parametrize("name", ["conformer", "dynlook"])
def test_base_of_voxpopuli_has_its_heads_at_thirds_and_halfway(name):
    folder = ROOT / "egs/voxpopuli/asr1/conf"
    found = config.resolve(folder / f"train_asr_{name}_interctc_phone.yaml")
    assert found["encoder_conf"]["num_blocks"] == 18
    assert found["encoder_conf"]["interctc_layer_idx"] == [6, 12]
    assert found["model_conf"]["interctc_weight"] > 0
    assert found["model_conf"]["phone_ctc_layer"] == 9
    assert found["model_conf"]["phone_ctc_weight"] > 0
    assert found["decoder"] == "transformer"


def test_checkpoint_of_the_shipped_adapter_is_small():
    """On the largest base that comes with one, over ESPnet's pieces for 960 hours."""
    pieces = 5000
    folder = ROOT / "egs/voxpopuli/asr1/conf"
    base = config.resolve(folder / "train_asr_conformer_interctc_phone.yaml")
    conf = config.resolve(folder / "train_adapter.yaml")["model_conf"]
    encoder = base["encoder_conf"]
    adapter = ContextualAdapter(
        encoder["interctc_layer_idx"],
        True,
        encoder["output_size"],
        pieces,
        conf["adapter_size"],
        conf["adapter_heads"],
        conf["adapter_dropout"],
    )
    file = io.BytesIO()
    torch.save(adapter.state_dict(), file)
    assert file.tell() < 8e6


@named("decode")
def test_decoding_configuration_is_accepted(path):
    keys = config.resolve(path)
    config.check_options(keys, asr_inference.get_parser(), str(path))
    assert keys


def test_there_is_no_other_kind_of_configuration():
    known = ("train_asr", "train_adapter", "decode", "matrix")
    assert [path for path in CONFIGS if not path.name.startswith(known)] == []
