"""A configuration of ESPnet's LibriSpeech size with the encoder's name changed."""

from pathlib import Path

import pytest
import torch
import yaml

from espnet_dynlook import config
from espnet_dynlook.task import DynlookASRTask

pytestmark = pytest.mark.host

CONFIGS = Path(__file__).parent.parent / "egs/librispeech/asr1/conf"
TOKENS = ["<blank>", "<unk>", *(f"t{i}" for i in range(60)), "<sos/eos>"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the stock model and the one with the encoder's name changed."""
    built = {}
    for name in ("conformer", "dynlook"):
        keys = config.resolve(CONFIGS / f"train_asr_{name}_960h.yaml")
        keys |= {"token_list": TOKENS, "normalize": "utterance_mvn"}
        file = tmp_path_factory.mktemp(name) / "train.yaml"
        file.write_text(yaml.safe_dump(keys), encoding="utf-8")
        command = ["--config", str(file), "--output_dir", str(file.parent / "exp")]
        torch.manual_seed(0)
        built[name] = DynlookASRTask.build_model(DynlookASRTask.parse(command))
    return built


def test_only_the_name_differs():
    stock = config.resolve(CONFIGS / "train_asr_conformer_960h.yaml")
    ours = config.resolve(CONFIGS / "train_asr_dynlook_960h.yaml")
    assert {k for k in ours if ours[k] != stock.get(k)} == {"encoder"}
    assert (stock["encoder"], ours["encoder"]) == ("conformer", "dynlook_conformer")
    conf = ours["encoder_conf"]
    assert (conf["num_blocks"], conf["output_size"]) == (12, 256)
    assert conf["interctc_layer_idx"] and ours["model_conf"]["interctc_weight"] > 0


def test_parameters_are_those_of_the_stock_model(models):
    stock, ours = (models[name].state_dict() for name in ("conformer", "dynlook"))
    assert list(stock) == list(ours)
    for key, value in stock.items():
        assert torch.equal(value, ours[key]), f"initial value of {key}"


def test_it_trains(models):
    """A few steps on one batch lower the loss, intermediate CTC included."""
    model = models["dynlook"].train()
    generator = torch.Generator().manual_seed(0)
    batch = {
        "speech": torch.randn(2, 16000, generator=generator),
        "speech_lengths": torch.tensor([16000, 12000]),
        "text": torch.randint(2, 60, (2, 4), generator=generator),
        "text_lengths": torch.tensor([4, 3]),
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    losses = []
    for _ in range(4):
        loss, stats, _ = model(**batch)
        assert {"loss_interctc_layer4", "loss_interctc_layer8"} <= set(stats)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
