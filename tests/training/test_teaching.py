"""Schedulers learn where waiting pays from what a parent measured."""

import json

import pytest
import torch
import yaml

from espnet_dynlook.lookahead.dynamic import SCHEDULERS, DynamicLookahead
from espnet_dynlook.lookahead.settling import Costs
from espnet_dynlook.training.loading import safe_load
from espnet_dynlook.training.teaching import Lesson, teach

FRAMES, SIZE = 4, 6


def needy_lessons(number, layers):
    """Return lessons in which a flagged frame needs the two frames after it.

    The flag is seen in the input; all other frames need nothing.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(number):
        x = 0.1 * torch.randn(2, 40, SIZE, generator=generator)
        flagged = torch.rand(2, 40, generator=generator) < 0.15
        x[flagged] += torch.tensor([1.0, -1.0, 0, 0, 0, 0])
        rows = torch.zeros(2, 40, FRAMES + 1)
        rows[flagged] = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
        lengths = torch.tensor([40, 33])
        rows[1, 33:] = 0.0
        segments = torch.full_like(rows, torch.inf)
        for b, length in enumerate(lengths.tolist()):
            for s in range(length):
                for more in range(min(FRAMES, length - 1 - s) + 1):
                    own = [rows[b, s + a, more - a] for a in range(more + 1)]
                    segments[b, s, more] = torch.stack(own).sum()
        costs = Costs(segments, rows, lengths)
        found.append(Lesson({layer: x for layer in layers}, costs))
    return found


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_taught_schedulers_wait_where_it_pays(scheduler):
    torch.manual_seed(0)
    layers = [1] if scheduler == "segment" else [1, 2]
    dynamic = DynamicLookahead(SIZE, 2, FRAMES, scheduler, hidden=16)
    # 15 % of the frames wait two frames, and those after them until they have left.
    found = teach(dynamic, needy_lessons(20, layers), target=0.4, epochs=40)
    assert found.wait == pytest.approx(0.4, abs=0.12)
    assert found.cost < 0.05 < found.cost_chunks[0.0]
    beaten = [cost for wait, cost in found.cost_chunks.items() if wait > 0.4]
    assert beaten and all(found.cost < cost for cost in beaten)


def test_a_target_that_cannot_be_had_is_an_error():
    dynamic = DynamicLookahead(SIZE, 1, FRAMES, "segment", hidden=8)
    with pytest.raises(ValueError, match="cannot be had"):
        teach(dynamic, needy_lessons(3, [1]), target=3.0, epochs=1)
    with pytest.raises(ValueError, match="more than 8 utterances"):
        teach(dynamic, needy_lessons(1, [1]), target=0.3, epochs=1)


def teach_args(corpus, trained, tmp_path, **encoder_conf):
    """Write a configuration with a learned lookahead; return arguments of asr_teach."""
    config = yaml.safe_load(corpus.config.read_text(encoding="utf-8"))
    config["encoder_conf"].update(
        {"lookahead": "dynamic", "lookahead_frames": 4, **encoder_conf}
    )
    path = tmp_path / "dynamic.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return [
        *("--config", str(path), "--asr_train_config", f"{trained}/config.yaml"),
        *("--asr_model_file", f"{trained}/2epoch.pth", "--epochs", "2"),
        *("--data_dir", f"{corpus.root}/train"),
        *("--output", f"{tmp_path}/taught/taught.pth"),
    ]


@pytest.mark.host
def test_command_teaches_the_scheduler_and_nothing_else(corpus, trained, tmp_path):
    from espnet_dynlook.bin import asr_teach, asr_train

    args = teach_args(corpus, trained, tmp_path)
    # 40 ms a frame, and a constant of 26 ms.
    found = asr_teach.main([*args, "--latency_target", "86"])
    assert 0 <= found.wait <= 4 and found.price > 0
    report = json.loads((tmp_path / "taught" / "taught.json").read_text())
    assert report["wait"] == found.wait
    state = safe_load(tmp_path / "taught" / "taught.pth")
    for key, value in safe_load(trained / "2epoch.pth").items():
        assert torch.equal(state[key], value), key
    assert state["encoder.scheduler.segments.out.weight"].abs().sum() > 0

    start = ("--init_param", f"{tmp_path}/taught/taught.pth", "--max_epoch", "1")
    rounded = ("--encoder_conf", "scheduler_anneal=0")
    train = corpus.train_args(tmp_path / "exp", *start, *rounded)
    train[train.index("--config") + 1] = args[1]
    asr_train.main(train)
    assert (tmp_path / "exp" / "1epoch.pth").exists()


def test_wrong_arguments_say_what_to_write(corpus, trained, tmp_path):
    from espnet_dynlook.bin import asr_teach
    from espnet_dynlook.config import ConfigError

    args = teach_args(corpus, trained, tmp_path)
    with pytest.raises(ConfigError, match="are front end and subsampling"):
        asr_teach.main([*args, "--latency_target", "1000"])
    args = teach_args(corpus, trained, tmp_path, lookahead="chunked")
    with pytest.raises(ConfigError, match="needs encoder_conf: lookahead: dynamic"):
        asr_teach.main([*args, "--latency_target", "86"])
    assert not (tmp_path / "taught").exists()
