"""A checkpoint that does not fit is refused, with its keys."""

import pickle
import random

import pytest
import torch

from espnet_dynlook.training.loading import (
    CheckpointMismatch,
    CheckpointUnreadable,
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
    path = tmp_path / "model.pth"
    torch.save({"weight": Code()}, path)
    message = r"model.pth holds .*print.* could run code: it has not been loaded"
    with pytest.raises(CheckpointUnreadable, match=message):
        safe_load(path)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"weight": Code()}, protocol))
        with pytest.raises(CheckpointUnreadable, match=r"model\.pth"):
            safe_load(path)
    assert "executed" not in capsys.readouterr().out


def test_a_damaged_file_is_named_and_what_to_do_is_said(file):
    data = file.read_bytes()
    damaged = [data[: len(data) * n // 8] for n in range(8)]
    damaged += [b"hello", b"version https://git-lfs.github.com/spec/v1\n", b"\0" * 999]
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(CheckpointUnreadable) as failure:
            load_whole_model(Model(), file)
        message = str(failure.value)
        assert message.startswith(f"{file} ({len(content)} bytes) is damaged")
        assert "copy it again" in message
    with pytest.raises(FileNotFoundError, match="none"):
        load_whole_model(Model(), file.parent / "none.pth")


def test_no_damage_is_anything_else_than_that(file):
    data = bytearray(file.read_bytes())
    draw = random.Random(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(draw.choice([1, 1, 5])):
            changed[draw.randrange(len(data))] = draw.randrange(256)
        file.write_bytes(bytes(changed))
        try:
            load_whole_model(Model(), file)
        except CheckpointMismatch as error:
            assert str(file) in str(error)
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1.0, 2.0], "holds list, not the parameters of a model"),
        (
            {"model": {}, "reporter": {}},
            "also holds model, reporter.*what a training resumes from",
        ),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointUnreadable, match=message):
        load_whole_model(Model(), tmp_path / "other.pth")


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: !!python/object/apply:os.system [ls]", "has tags that could run code"),
        ("a: !!python/name:os.system", "has tags that could run code"),
        ("\0\1", "is no YAML"),
        ("[" * 5000, "is no YAML"),
        ("", "has no token_list, encoder, model_conf"),
        ("- a", "has no token_list, encoder, model_conf"),
        ("lm: transformer\ntoken_list: [a]", "has no encoder, model_conf: it is dam"),
    ],
)
def test_what_is_no_configuration_of_a_training_is_refused(tmp_path, content, message):
    from espnet_dynlook.config import ConfigError
    from espnet_dynlook.task import DynlookASRTask

    (tmp_path / "config.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as failure:
        DynlookASRTask.build_model_from_file(None, tmp_path / "model.pth")
    assert "Use the config.yaml that the training wrote" in str(failure.value)
    assert str(tmp_path / "config.yaml") in str(failure.value)
