"""A checkpoint that does not fit is refused, with its keys."""

import pickle

import pytest
import torch

from espnet_dynlook.training.loading import (
    CheckpointMismatch,
    load_init_param,
    load_whole_model,
    safe_load,
)


class Model(torch.nn.Module):
    def __init__(self, size=2):
        super().__init__()
        self.encoder = torch.nn.Linear(size, 3)
        self.decoder = torch.nn.Linear(3, 1)


@pytest.fixture
def file(tmp_path):
    torch.save(Model().state_dict(), tmp_path / "model.pth")
    return tmp_path / "model.pth"


def test_every_key_that_does_not_fit_is_listed(tmp_path):
    state = Model().state_dict()
    del state["decoder.bias"]
    state["scheduler.weight"] = torch.zeros(1)
    state["encoder.weight"] = torch.zeros(3, 5)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointMismatch) as failure:
        load_whole_model(Model(), tmp_path / "model.pth")
    message = str(failure.value)
    assert "missing in the file (1):\n    decoder.bias" in message
    assert "unknown to the model (1):\n    scheduler.weight" in message
    assert "encoder.weight: (3, 5) in the file, (3, 2) in the model" in message


def test_init_param_loads_every_parameter(file):
    model = Model()
    load_init_param(str(file), model, False)
    for key, value in safe_load(file).items():
        assert torch.equal(model.state_dict()[key], value)


def test_init_param_of_a_part_leaves_the_rest(file):
    model = Model()
    before = model.decoder.weight.clone()
    load_init_param(f"{file}:encoder:encoder", model, False)
    assert torch.equal(model.encoder.weight, safe_load(file)["encoder.weight"])
    assert torch.equal(model.decoder.weight, before)


def test_init_param_without_excluded_keys(file):
    model = Model()
    before = model.decoder.weight.clone()
    load_init_param(f"{file}:::decoder", model, False)
    assert torch.equal(model.decoder.weight, before)
    assert torch.equal(model.encoder.weight, safe_load(file)["encoder.weight"])


def test_init_param_that_does_not_fit_fails_unless_told(file, caplog):
    model = Model(size=4)
    before = model.encoder.weight.clone()
    with pytest.raises(CheckpointMismatch, match="ignore_init_mismatch"):
        load_init_param(str(file), model, False)
    load_init_param(str(file), model, True)
    assert torch.equal(model.encoder.weight, before)
    assert torch.equal(model.decoder.weight, safe_load(file)["decoder.weight"])
    assert "left out:" in caplog.text
    assert "encoder.weight: (3, 2) in the file, (3, 4) in the model" in caplog.text
    assert "decoder" not in caplog.text


@pytest.mark.parametrize("ignore", [False, True])
@pytest.mark.parametrize(
    "parts", ["encodr:encoder", "encoder:decoder", "decoder:encoder"]
)
def test_init_param_of_which_nothing_fits_fails(file, parts, ignore):
    with pytest.raises(CheckpointMismatch, match="init_param"):
        load_init_param(f"{file}:{parts}", Model(), ignore)


@pytest.mark.parametrize("ignore", [False, True])
def test_init_param_for_a_part_that_the_model_lacks_names_those_it_has(file, ignore):
    with pytest.raises(CheckpointMismatch, match=r"no part 'encodr'.*encoder, decoder"):
        load_init_param(f"{file}:encoder:encodr", Model(), ignore)


class Code:
    def __reduce__(self):
        return (print, ("executed",))


def test_code_in_a_checkpoint_is_not_executed(tmp_path, capsys):
    torch.save({"weight": Code()}, tmp_path / "model.pth")
    with pytest.raises(pickle.UnpicklingError):
        safe_load(tmp_path / "model.pth")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.host
def test_whole_checkpoint_loads_without_executing_code(trained):
    states = safe_load(trained / "checkpoint.pth")
    assert states["reporter"]["epoch"] == 2
    torch.load(trained / "2epoch.pth", weights_only=True)


@pytest.mark.host
def test_model_file_that_does_not_fit_its_config_fails(trained, tmp_path):
    from espnet_dynlook.task import DynlookASRTask

    state = safe_load(trained / "2epoch.pth")
    state.pop("ctc.ctc_lo.bias")
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointMismatch, match=r"missing.*\n *ctc\.ctc_lo\.bias"):
        DynlookASRTask.build_model_from_file(
            trained / "config.yaml", tmp_path / "model.pth"
        )


@pytest.mark.host
def test_init_param_of_a_training_that_does_not_fit_fails(corpus, trained, tmp_path):
    from espnet_dynlook.bin import asr_train

    other = ("--encoder_conf", "num_blocks=3", "--init_param", f"{trained}/2epoch.pth")
    with pytest.raises(CheckpointMismatch, match=r"encoder\.encoders\.2"):
        asr_train.main(corpus.train_args(tmp_path / "exp", *other))
