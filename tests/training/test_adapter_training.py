"""An adapter is trained by the same command as its base, and resumes."""

import shutil

import pytest
import torch
import yaml
from hub_data import CONFIG
from test_resume import losses

from espnet_dynlook.training.loading import safe_load

pytestmark = pytest.mark.host


def arguments(corpus, trained, folder, *extra, **model_conf):
    """Return the command line of an adapter's training on the trained base."""
    keys = ("optim", "optim_conf", "batch_type", "batch_size", "num_workers", "seed")
    config = {key: CONFIG[key] for key in keys}
    config |= {"num_att_plot": 0, "use_matplotlib": False, "max_epoch": 2}
    config |= {"best_model_criterion": [["valid", "loss", "min"]]}
    config["keep_nbest_models"] = 2
    config["model"] = "dynlook_contextual"
    config["model_conf"] = {
        "base_config": str(trained / "config.yaml"),
        "base_model": str(trained / "valid.loss.best.pth"),
        "adapter_size": 8,
        "adapter_heads": 2,
        "catalog_size": [2, 12],
        **model_conf,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_adapter.yaml").write_text(yaml.safe_dump(config))
    args = corpus.train_args(folder / "exp", *extra)
    args[args.index("--config") + 1] = str(folder / "train_adapter.yaml")
    return args


@pytest.fixture(scope="module")
def adapted(corpus, trained, tmp_path_factory):
    from espnet_dynlook.bin import asr_train

    folder = tmp_path_factory.mktemp("adapted")
    asr_train.main(arguments(corpus, trained, folder))
    return folder / "exp"


def test_files_hold_the_adapter_and_the_whole_configuration(adapted, trained):
    base = safe_load(trained / "valid.loss.best.pth")
    for name in ("2epoch.pth", "valid.loss.ave_2best.pth"):
        state = safe_load(adapted / name)
        assert all(key.startswith("adapter.") for key in state), name
        assert torch.equal(
            state["adapter.base"], safe_load(adapted / "1epoch.pth")["adapter.base"]
        )
        assert state["adapter.output.weight"].abs().sum() > 0
    assert not set(base) & set(safe_load(adapted / "checkpoint.pth")["model"])
    config = yaml.safe_load((adapted / "config.yaml").read_text())
    own = yaml.safe_load((trained / "config.yaml").read_text())
    for key in ("encoder", "encoder_conf", "decoder", "frontend_conf", "token_list"):
        assert config[key] == own[key], key
    assert config["model_conf"]["ctc_weight"] == own["model_conf"]["ctc_weight"]


class Interrupted(Exception):
    pass


def test_resumes_to_the_same_losses(corpus, trained, adapted, tmp_path, monkeypatch):
    from espnet_dynlook.bin import asr_train
    from espnet_dynlook.training import progress

    tell = progress.tell_progress

    def stop(model, epoch, fraction):
        tell(model, epoch, fraction)
        if epoch == 2 and fraction > 0.6:
            raise Interrupted

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(progress, "tell_progress", stop)
        asr_train.main(arguments(corpus, trained, tmp_path))
    assert set(losses(tmp_path / "exp" / "checkpoint.pth")) == {
        (1, "train"),
        (1, "valid"),
    }
    asr_train.main(arguments(corpus, trained, tmp_path))
    checkpoints = [folder / "checkpoint.pth" for folder in (tmp_path / "exp", adapted)]
    assert losses(checkpoints[0]) == losses(checkpoints[1])
    resumed, whole = (safe_load(one)["model"] for one in checkpoints)
    for key, value in whole.items():
        assert torch.equal(resumed[key], value), key


def test_does_not_resume_on_a_base_that_has_changed(corpus, trained, tmp_path):
    from espnet_dynlook.biasing.fingerprint import OtherBase
    from espnet_dynlook.bin import asr_train

    base = tmp_path / "base.pth"
    state = safe_load(trained / "valid.loss.best.pth")
    torch.save(state, base)

    def train(epochs):
        more = ("--max_epoch", str(epochs))
        asr_train.main(
            arguments(corpus, trained, tmp_path, *more, base_model=str(base))
        )

    train(1)
    state["ctc.ctc_lo.bias"] = state["ctc.ctc_lo.bias"] + 0.1
    torch.save(state, base)
    with pytest.raises(OtherBase, match="was trained on the base"):
        train(2)
    assert not (tmp_path / "exp/2epoch.pth").exists()


def test_decodes_as_its_base_without_names(corpus, trained, adapted, tmp_path):
    """Stock arguments of decoding: what the adapter has learnt waits for a list."""
    from espnet_dynlook.bin import asr_inference

    texts = []
    for name, folder in (("base", trained), ("adapted", adapted)):
        out = tmp_path / name
        asr_inference.main(corpus.decode_args(folder, out, "--beam_size", "3"))
        texts.append((out / "1best_recog" / "text").read_text())
    assert texts[0] == texts[1]


def test_an_adapter_goes_on_its_base_alone(adapted, trained, corpus):
    from espnet_dynlook.biasing.fingerprint import OtherBase
    from espnet_dynlook.task import DynlookASRTask
    from espnet_dynlook.training.adapter import load_adapter
    from espnet_dynlook.training.loading import CheckpointMismatch

    files = adapted / "config.yaml", adapted / "2epoch.pth"
    base, _ = DynlookASRTask.build_model_from_file(
        trained / "config.yaml", trained / "valid.loss.best.pth"
    )
    adapter = load_adapter(base, *files)
    whole, _ = DynlookASRTask.build_model_from_file(*files)
    for key, value in whole.adapter.state_dict().items():
        assert torch.equal(adapter.state_dict()[key], value), key
    assert adapter.layers == whole.adapter.layers and not adapter.training
    with pytest.raises(CheckpointMismatch, match="is not the configuration of an"):
        load_adapter(base, trained / "config.yaml", adapted / "2epoch.pth")
    with torch.no_grad():
        base.ctc.ctc_lo.bias.add_(0.1)
    with pytest.raises(OtherBase, match="was trained on the base"):
        load_adapter(base, *files)


def test_lists_of_utterances_come_from_a_data_file(corpus, trained, tmp_path, caplog):
    from espnet_dynlook.bin import asr_train

    extra = []
    for name in ("train", "valid"):
        text = (corpus.root / name / "text").read_text().splitlines()
        lines = [f"{line.split()[0]} {line.split()[1][:2]}|cab|9" for line in text]
        lines[0] = f"{text[0].split()[0]} |"  # no names
        file = tmp_path / f"{name}_names"
        file.write_text("\n".join(lines) + "\n")
        extra += [f"--{name}_data_path_and_name_and_type", f"{file},names,text"]
    extra += ["--max_epoch", "1"]
    asr_train.main(arguments(corpus, trained, tmp_path, *extra))
    stats = safe_load(tmp_path / "exp" / "checkpoint.pth")["reporter"]["stats"][1]
    assert 0 < stats["train"]["attention_recall"] < 1
    said = [one.message for one in caplog.records if "data field" in one.message]
    place = f"{tmp_path}/train_names:2"
    assert said == [
        "1 phrases of the data field names cannot be written in the tokens and are "
        f"left out: {place}: '9': no token has '9' (U+0039)"
    ]
    shutil.rmtree(tmp_path / "exp")
