"""Adapters for tiny models, as files, and streams that are given names."""

import random
import sys
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent / "model"))

from contextual_factory import adapter_config, awake, build
from recogniser_files import TRANSDUCER, mix_gates, write_model

DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_bias": 0.1}
#: Of every kind: keys of the encoder, and of the rest of the configuration.
KINDS = {
    "causal": ({"lookahead": "causal"}, {}),
    "layerwise": ({"lookahead": "layerwise", "lookahead_frames": 2}, {}),
    "chunked": ({"lookahead": "chunked", "lookahead_frames": 3}, {}),
    "full": ({"lookahead": "full"}, {}),
    "frame": ({**DYNAMIC, "lookahead_scheduler": "frame"}, {}),
    "sequential": ({**DYNAMIC, "lookahead_scheduler": "sequential"}, {}),
    "segment": ({**DYNAMIC, "lookahead_scheduler": "segment"}, {}),
    "transformer": (
        {"lookahead": "chunked", "lookahead_frames": 2},
        {"encoder": "dynlook_transformer"},
    ),
    "conditioned": (
        {
            "lookahead": "chunked",
            "lookahead_frames": 2,
            "num_blocks": 3,
            "interctc_layer_idx": [2],
            "interctc_use_conditioning": True,
        },
        {"model_conf": {"interctc_weight": 0.3}},
    ),
    "transducer": ({"lookahead": "chunked", "lookahead_frames": 3}, TRANSDUCER),
}
#: How names act, by the options of a recogniser; an adapter is added to some.
WAYS = {
    "search": {"beam": 6},
    "adapter": {},
    "both": {"beam": 6, "techniques": {"boosting": {"weight": 2.0}}},
}
#: Kinds whose adapter keeps to beginnings that the base may have heard.
MARGINS = {"layerwise", "conditioned", "segment"}
NAMES = ["ab", ("ca", 1.5), "a", "c a", "bcb"]
OTHERS = ["ac", ("c", 1.5), "b c", "ba"]


def write_adapter(base, folder, **model_conf):
    """Write an adapter on a base's folder; return its files, as keyword arguments."""
    config = adapter_config(base, **model_conf)
    config["token_type"] = None
    saved = yaml.safe_load((base / "config.yaml").read_text(encoding="utf-8"))
    config["token_type"] = saved["token_type"]
    model = awake(build(folder, config))
    with torch.no_grad():  # enough to be heard, not to shout all else down
        model.adapter.output.weight *= 0.3
    torch.save(model.state_dict(), folder / "adapter.pth")
    return {
        "adapter_config": folder / "config.yaml",
        "adapter_file": folder / "adapter.pth",
    }


def soften(path):
    """Make a model unsure, so that names can do something, and let it say no rubbish.

    Its output has blank, unk, a, b, c, space and the end of sentences.
    """
    state = torch.load(path)
    for head in ("ctc.ctc_lo", "joint_network.lin_out"):
        if f"{head}.weight" in state:
            state[f"{head}.weight"] *= 0.2
            state[f"{head}.bias"] += torch.tensor([0.5, -50, 0, 0, 0, 0, -50])
    torch.save(state, path)


def write_both(folder, kind):
    """Write a model of a kind and an adapter on it; return files, and options."""
    (folder / "base").mkdir()
    encoder_conf, changes = KINDS[kind]
    files = write_model(folder / "base", encoder_conf, **changes)
    soften(files[1])
    layers = [1, 2] if kind == "conditioned" else None
    margin = 3.0 if kind in MARGINS else None
    return files, write_adapter(
        folder / "base",
        folder / "adapter",
        adapter_margin=margin,
        **({} if layers is None else {"adapter_layers": layers}),
    )


def recognizer_of(files, adapter, way):
    """Return a recogniser in which names act in one of ``WAYS``."""
    from espnet_dynlook.recognizer import Recognizer

    adapter = {} if way == "search" else adapter
    return mix_gates(Recognizer.from_files(*files, **WAYS[way], **adapter))


def streamed(recognizer, samples, names=None, sizes=(40, 700, 333), seed=0, **options):
    """Return the result of a stream of packets of these sizes, and the partial ones."""
    stream, draw = recognizer.stream(names=names, **options), random.Random(seed)
    at, partials = 0, []
    while at < len(samples):
        size = draw.choice(sizes)
        partials.append(stream.push(samples[at : at + size]))
        at += size
    return stream.finish(), partials
