"""One tiny corpus, and one uninterrupted training on it, for every test here."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from hub_data import Corpus, make_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def trained(corpus, tmp_path_factory) -> Path:
    """Return the output folder of two epochs, trained without interruption."""
    from espnet_dynlook.bin import asr_train

    expdir = tmp_path_factory.mktemp("trained") / "exp"
    asr_train.main(corpus.train_args(expdir))
    return expdir


@pytest.fixture
def copy_of_trained(trained, tmp_path) -> Path:
    """Return a copy of that folder that a test may change."""
    import shutil

    shutil.copytree(trained, tmp_path / "exp", symlinks=True)
    return tmp_path / "exp"
