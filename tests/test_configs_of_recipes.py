"""Every configuration that a recipe comes with passes the check."""

from pathlib import Path

import pytest

from espnet_dynlook import config
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


@named("decode")
def test_decoding_configuration_is_accepted(path):
    keys = config.resolve(path)
    config.check_options(keys, asr_inference.get_parser(), str(path))
    assert keys


def test_there_is_no_other_kind_of_configuration():
    known = ("train_asr", "train_adapter", "decode", "matrix")
    assert [path for path in CONFIGS if not path.name.startswith(known)] == []
