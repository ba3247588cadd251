"""Configurations: merged from their base; what is wrong is found before it costs."""

import logging

import pytest
import yaml

from espnet_dynlook import config
from espnet_dynlook.config import ConfigError


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_change_is_laid_over_its_base(write):
    write("conf/base.yaml", "a: 1\nconf: {x: 1, deep: {p: 1, q: 2}}\nlist: [1, 2]\n")
    small = write(
        "egs/small.yaml",
        "base: ../conf/base.yaml\nconf: {x: 3, deep: {q: null}}\nlist: [5]\n",
    )
    assert config.resolve(small) == {
        "a": 1,
        "conf": {"x": 3, "deep": {"p": 1, "q": None}},
        "list": [5],
    }


def test_bases_chain(write):
    write("a.yaml", "x: 1\ny: 1\nz: 1\n")
    write("b.yaml", "base: a.yaml\ny: 2\nz: 2\n")
    assert config.resolve(write("c.yaml", "base: b.yaml\nz: 3\n")) == {
        "x": 1,
        "y": 2,
        "z": 3,
    }


def test_circle_of_bases_is_an_error(write):
    write("a.yaml", "base: b.yaml\n")
    with pytest.raises(ConfigError, match=r"circle.*b\.yaml → .*a\.yaml → .*b\.yaml"):
        config.resolve(write("b.yaml", "base: a.yaml\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: nowhere.yaml\n", r"nowhere\.yaml: no such file"),
        ("base: [a.yaml]\n", "name of one file"),
        ("- a\n- b\n", "keys and values"),
        ("a: {b\n", "not YAML"),
    ],
)
def test_unreadable_configuration_says_why(write, text, message):
    with pytest.raises(ConfigError, match=message):
        config.resolve(write("a.yaml", text))


def test_merged_file_is_plain_yaml(write, tmp_path):
    write("a.yaml", "x: 1.0e-3\nname: ä\n")
    small = write("b.yaml", "base: a.yaml\ny: true\n")
    config.write_resolved(small, tmp_path / "new" / "c.yaml")
    merged = (tmp_path / "new" / "c.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(merged) == {"x": 0.001, "name": "ä", "y": True}


@pytest.mark.parametrize(
    ("cmd", "split", "position"),
    [
        (["--a", "1"], ["--a", "1"], None),
        (["--config", "f", "--a"], ["--config", "f", "--a"], 1),
        (["--a", "--config=f"], ["--a", "--config", "f"], 2),
        (["--a", "--", "--config=f"], ["--a", "--", "--config=f"], None),
    ],
)
def test_config_is_found_in_a_command_line(cmd, split, position):
    assert config.split_config(cmd) == (split, position)


@pytest.fixture(scope="module")
def task():
    from espnet_dynlook.task import DynlookASRTask

    return DynlookASRTask


DYNLOOK = {"encoder": "dynlook_conformer"}
WRONG = [
    # top level
    ({"encodr": "conformer"}, r"unknown key 'encodr'; did you mean 'encoder'\?"),
    ({"encoder": "dynlook_conformr"}, "did you mean 'dynlook_conformer'"),
    ({"max_epoch": "ten"}, "max_epoch: 'ten'"),
    ({"max_epoch": 1.5}, r"max_epoch: 1.5 \(float\) has to be int"),
    ({"use_amp": 1}, "use_amp: 1 .* bool"),
    ({"batch_size": True}, "batch_size: True"),
    ({"encoder_conf": "wide"}, "encoder_conf: 'wide' .* keys and values"),
    ({**DYNLOOK, "num_blocks": 3}, "'num_blocks'; it is a key of encoder_conf"),
    # below
    ({**DYNLOOK, "encoder_conf": {"num_block": 3}}, "did you mean 'num_blocks'"),
    ({**DYNLOOK, "encoder_conf": {"ctc_weight": 0.3}}, "it is a key of model_conf"),
    ({**DYNLOOK, "encoder_conf": {"num_blocks": 2.5}}, "num_blocks: 2.5 .* int"),
    ({**DYNLOOK, "encoder_conf": {"num_blocks": "2"}}, "without quotation marks"),
    ({**DYNLOOK, "encoder_conf": {"lookahead": "casual"}}, "one of causal, "),
    ({**DYNLOOK, "encoder_conf": {"input_size": 80}}, "input_size is not a key"),
    ({"encoder": "conformer", "encoder_conf": {"macaron": True}}, "macaron_style"),
    ({"model_conf": {"ctc_wight": 0.3}}, "did you mean 'ctc_weight'"),
    ({"ctc_conf": {"dropout": 0.1}}, "did you mean 'dropout_rate'"),
    ({"optim": "adam", "optim_conf": {"lr": "1e-3"}}, r"write it .* 1\.0e-3"),
    ({"optim": "adam", "optim_conf": {"weight_decy": 0.1}}, "'weight_decay'"),
    ({"optim": "adam", "optim_conf": {"lr": float("nan")}}, "lr: nan is no number"),
    ({"optim": "adam", "optim_conf": {"lr": float("inf")}}, "lr: inf is no number"),
    (
        {"model": "dynlook", "model_conf": {"latency_weight": [float("nan"), 1.0]}},
        r"latency_weight: \[nan, 1.0\] is no number",
    ),
    ({"scheduler": "warmuplr", "scheduler_conf": {"warmup": 9}}, "'warmup_steps'"),
    ({"frontend_conf": {"n_mel": 80}}, "'n_mels'"),
    ({"specaug": "specaug", "specaug_conf": {"num_time_masks": 2}}, "num_time_mask"),
    ({"frontend_conf": {"fs": "sixteen"}}, "frontend_conf: InvalidSize: .*sixteen"),
    ({"best_model_criterion": [["valid", "los", "mn"]]}, "'mn' .* mean 'min'"),
    ({"best_model_criterion": [["vald", "loss", "min"]]}, "'vald' .* mean 'valid'"),
    ({"best_model_criterion": [["valid", "loss"]]}, "three words"),
    ({"early_stopping_criterion": ["valid", "loss", "best"]}, "'best' .* min, max"),
    # impossible sizes
    (
        {**DYNLOOK, "encoder_conf": {"output_size": 250, "attention_heads": 4}},
        "output_size=250 .* attention_heads=4; use output_size: 248 or 252",
    ),
    (
        {"encoder": "dynlook_transformer", "encoder_conf": {"attention_heads": 3}},
        "output_size=256 .* attention_heads=3; use output_size: 252 or 258",
    ),
    ({**DYNLOOK, "encoder_conf": {"attention_heads": 0}}, "attention_heads=0"),
    ({**DYNLOOK, "encoder_conf": {"num_blocks": 0}}, "num_blocks=0 .* at least 1"),
    ({**DYNLOOK, "encoder_conf": {"layer_drop_rate": 1.5}}, "layer_drop_rate=1.5"),
    (
        {**DYNLOOK, "encoder_conf": {"activation_type": "swich"}},
        "activation_type='swich' .* did you mean 'swish'",
    ),
    (
        {**DYNLOOK, "encoder_conf": {"cnn_module_kernel": -1}},
        "cnn_module_kernel=-1 must be odd and above 0",
    ),
    ({**DYNLOOK, "encoder_conf": {"lookahead_frames": -3}}, "lookahead_frames=-3"),
    (
        {"encoder": "dynlook_transformer", "encoder_conf": {"pos_enc_class": "foo"}},
        "pos_enc_class='foo' .* leave it out",
    ),
    ({**DYNLOOK, "encoder_conf": {"dropout_rate": 2}}, "encoder_conf: .*between 0"),
]


@pytest.mark.host
@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=lambda x: str(x)[:50])
def test_wrong_key_or_value_is_named_with_the_nearest(task, wrong, message):
    with pytest.raises(ConfigError, match=rf"(?s)^conf/a\.yaml: .*{message}"):
        config.check(wrong, task, source="conf/a.yaml")


@pytest.mark.host
def test_checking_leaves_logging_as_it_was(task):
    logging.disable(logging.INFO)
    try:
        config.check(DYNLOOK, task)
        assert logging.root.manager.disable == logging.INFO
    finally:
        logging.disable(logging.NOTSET)


RIGHT = [
    {},
    {"encoder": "conformer", "encoder_conf": {"interctc_layer_idx": [6]}},
    {**DYNLOOK, "encoder_conf": {"num_blocks": 3, "dropout_rate": 0}},
    {"optim": "adam", "optim_conf": {"lr": 1, "betas": [0.9, 0.98]}},
    {"scheduler": "warmuplr", "scheduler_conf": {"warmup_steps": 25000}},
    {"frontend_conf": {"fs": "16k", "win_length": None}},
    {"best_model_criterion": [["valid", "loss", "min"]], "patience": None},
    {"best_model_criterion": ["valid,acc,max", "train,loss,min"]},
    {"early_stopping_criterion": ["valid", "loss", "min"]},
    {"keep_nbest_models": [5, 10], "batch_bins": 16000000, "grad_clip": 5},
    {"specaug_conf": None, "use_amp": True, "accum_grad": 4},
]


@pytest.mark.host
@pytest.mark.parametrize("right", RIGHT, ids=lambda x: str(x)[:50])
def test_right_configuration_passes(task, right):
    config.check(right, task)


@pytest.mark.host
def test_every_default_passes_its_own_check(task):
    """What ESPnet prints with --print_config is accepted, whatever its version."""
    args = vars(task.get_parser().parse_args([]))
    args.pop("required", None)
    args.pop("config", None)
    config.check(args, task)
