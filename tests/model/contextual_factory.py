"""Tiny bases, as files, and adapters on them."""

import torch
import yaml
from hub_data import CONFIG
from model_factory import KINDS, batch, from_config

WORDS = ["<blank>", "<unk>", "▁a", "▁cab", "▁b", "e", "b", "<sos/eos>"]
ENCODERS = {
    "conformer": {},
    "e_branchformer": {},
    "dynlook_conformer": {"lookahead": "chunked", "lookahead_frames": 2},
    "dynlook_transformer": {"lookahead": "causal"},
    "dynamic": {"lookahead": "dynamic", "lookahead_frames": 3},
}
_POSITIONS = {"rel_pos_type", "pos_enc_layer_type", "selfattention_layer_type"}
DROPPED = {
    "e_branchformer": {
        "selfattention_layer_type",
        "macaron_style",
        "cnn_module_kernel",
    },
    "dynlook_transformer": {"cnn_module_kernel", *_POSITIONS},
}


def base_config(kind="ctc", encoder="conformer", encoder_conf=(), **model_conf):
    """Return the configuration of a base."""
    config = {**CONFIG, **KINDS[kind], "token_list": WORDS, "specaug": None}
    config.update(model="dynlook", token_type="word", bpemodel=None)
    conf = {
        key: value
        for key, value in CONFIG["encoder_conf"].items()
        if not key.startswith("lookahead") and key not in DROPPED.get(encoder, ())
    }
    if encoder == "e_branchformer":
        conf.update(attention_layer_type="rel_selfattn", cgmlp_linear_units=32)
        conf.update(cgmlp_conv_kernel=5, merge_conv_kernel=3)
    config["encoder"] = "dynlook_conformer" if encoder == "dynamic" else encoder
    config["encoder_conf"] = {**conf, **ENCODERS[encoder], **dict(encoder_conf)}
    config["model_conf"] = {**config["model_conf"], **model_conf}
    return config


def build(folder, config):
    """Build a model from a configuration; its arguments are written, as trained."""
    model, args = from_config(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    plain = {key: value for key, value in vars(args).items() if not callable(value)}
    (folder / "config.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    return model


def write_base(folder, kind="ctc", encoder="conformer", seed=0, **changes):
    """Write a base as its training leaves it; return the model."""
    model = build(folder, base_config(kind, encoder, **changes))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():  # statistics and parameters away from their start
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm1d):
                part.running_mean.normal_(std=0.1, generator=generator)
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    torch.save(model.state_dict(), folder / "model.pth")
    return model.eval()


def adapter_config(base, **model_conf):
    """Return the configuration of an adapter's training on a base's folder."""
    conf = {
        "base_config": str(base / "config.yaml"),
        "base_model": str(base / "model.pth"),
        "adapter_size": 8,
        "adapter_heads": 2,
        "catalog_size": [3, 8],
    }
    if "attention_weight" not in model_conf and not _has_ctc(base):
        conf["attention_weight"] = 0
    return {
        "model": "dynlook_contextual",
        "token_list": None,
        "specaug": None,
        "optim": "adam",
        "optim_conf": {"lr": 0.01},
        "model_conf": {**conf, **model_conf},
    }


def _has_ctc(base):
    conf = yaml.safe_load((base / "config.yaml").read_text(encoding="utf-8"))
    return conf["model_conf"].get("ctc_weight", 0.5) > 0


def spoken(seed=0):
    """Return a batch of two utterances of words."""
    return {
        **batch(seed),
        "text": torch.tensor([[2, 3, 4, 5], [4, 6, -1, -1]]),
        "text_lengths": torch.tensor([4, 2]),
    }


def awake(model):
    """Move an adapter away from its start, where it adds nothing."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        weight = model.adapter.output.weight
        weight.copy_(torch.randn(weight.shape, generator=generator))
    return model
