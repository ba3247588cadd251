"""The named experiments: every file builds a model, and the folders differ by base."""

from pathlib import Path

import pytest
import yaml

from espnet_dynlook import config
from espnet_dynlook.recipe.matrix import check_configs
from espnet_dynlook.recipe.matrix_plan import plan, read_matrix
from espnet_dynlook.task import DynlookASRTask

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(path for path in (ROOT / "conf/lookahead").iterdir())
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))]
MATRICES = sorted(ROOT.glob("egs/*/asr1/conf/matrix*.yaml"))
KINDS = {"causal", "layerwise", "chunked", "full", "dynamic", "random"}


def test_there_is_a_folder_for_every_encoder_and_loss():
    assert [path.name for path in FOLDERS] == [
        f"{encoder}_{loss}"
        for encoder in ("conformer", "transformer")
        for loss in ("ctc", "transducer")
    ]


@pytest.mark.parametrize("name", sorted({path.name for path in FILES} - {"base.yaml"}))
def test_an_experiment_is_the_same_change_on_every_base(name):
    first, *others = ((folder / name).read_text() for folder in FOLDERS)
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_experiment_builds_a_model(path, tmp_path):
    keys = config.resolve(path)
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("\n".join(["<blank>", "<unk>", "a", "b", "<sos/eos>"]))
    command = ["--config", str(path), "--token_list", str(tokens)]
    args = DynlookASRTask.parse([*command, "--token_type", "char"])
    model = DynlookASRTask.build_model(args)
    encoder, loss = path.parent.name.split("_")
    assert type(model.encoder).__name__ == f"Dynlook{encoder.capitalize()}Encoder"
    assert model.use_transducer_decoder == (loss == "transducer")
    assert model.encoder.kind.name == keys["encoder_conf"].get("lookahead", "causal")
    assert (model.encoder.scheduler is not None) == path.stem.startswith("dynamic")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_all_kinds_are_there(folder):
    files = (config.resolve(path) for path in folder.glob("*.yaml"))
    found = {keys["encoder_conf"].get("lookahead", "causal") for keys in files}
    assert found == KINDS


@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.parents[2].name)
def test_matrix_of_a_recipe_is_sound(path, monkeypatch):
    monkeypatch.chdir(path.parents[1])
    matrix = read_matrix(path.relative_to(path.parents[1]))
    experiments = plan(matrix, Path("exp"), matrix.seeds)
    check_configs(experiments)
    assert len(experiments) == len(matrix.seeds) * (1 + len(matrix.systems))
    # What the systems are called is what they do.
    for experiment in experiments:
        conf = experiment.config()["encoder_conf"]
        kind = "random" if experiment.system == "parent" else experiment.system
        names = [conf["lookahead"]]
        if names == ["dynamic"]:
            names += [conf.get("lookahead_scheduler", "segment")]
            names += [experiment.config()["model_conf"]["latency_loss"]]
        assert kind.startswith(tuple(names))
        assert experiment.checkpoint().name.endswith(".ave.pth")
    assert yaml.safe_load(path.read_text())["reference"] in matrix.systems
