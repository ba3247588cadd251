"""Random encoders of every kind, whose gates are neither all open nor all shut."""

import torch

from espnet_dynlook.encoder.conformer import DynlookConformerEncoder
from espnet_dynlook.encoder.transformer import DynlookTransformerEncoder

DIM = 20
KINDS = (
    {"lookahead": "causal"},
    {"lookahead": "layerwise"},
    {"lookahead": "layerwise", "total": True},
    {"lookahead": "chunked"},
    {"lookahead": "full"},
    {"lookahead": "random"},
    {"lookahead": "dynamic", "lookahead_scheduler": "frame"},
    {"lookahead": "dynamic", "lookahead_scheduler": "sequential"},
    {"lookahead": "dynamic", "lookahead_scheduler": "segment"},
    {"lookahead": "dynamic", "lookahead_scheduler": "frame", "share_wait": True},
    {"lookahead": "dynamic", "lookahead_scheduler": "sequential", "share_wait": True},
)


def random_encoder(draw, kind):
    """Return an encoder whose gates are neither all open nor all shut."""
    torch.manual_seed(draw.randrange(10**6))
    keys = dict(kind)
    blocks = draw.choice([1, 2, 3])
    if keys.pop("total", False):
        keys["lookahead_total"] = draw.randint(1, 5)
    else:
        keys["lookahead_frames"] = draw.randint(1, 6)
    if keys["lookahead"] == "dynamic":
        keys["scheduler_hidden"] = 8
        keys["scheduler_bias"] = draw.choice([0.0, 0.5, 1.5])
        if keys["lookahead_scheduler"] != "segment" and draw.random() < 0.3:
            keys["lookahead_layers"] = [draw.randint(1, blocks)]
    keys.update(
        output_size=draw.choice([8, 16]),
        attention_heads=draw.choice([1, 2, 4]),
        linear_units=16,
        num_blocks=blocks,
        input_layer=draw.choice(
            ["conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "linear", "conv1d2"]
        ),
        normalize_before=draw.random() < 0.8,
        concat_after=draw.random() < 0.2,
        left_context=draw.choice([-1, -1, 0, 1, 3, 10]),
        interctc_layer_idx=draw.sample(range(1, blocks), draw.randint(0, blocks - 1)),
    )
    if draw.random() < 0.6:
        positions = draw.choice(["rel_pos", "rel_pos", "abs_pos", "scaled_abs_pos"])
        relative = positions == "rel_pos"
        encoder = DynlookConformerEncoder(
            DIM,
            pos_enc_layer_type=positions,
            selfattention_layer_type="rel_selfattn" if relative else "selfattn",
            rel_pos_type="latest",
            macaron_style=draw.random() < 0.5,
            use_cnn_module=draw.random() < 0.8,
            cnn_module_kernel=draw.choice([1, 3, 7]),
            zero_triu=relative and draw.random() < 0.2,
            **keys,
        )
    else:
        encoder = DynlookTransformerEncoder(DIM, **keys)
    for name, parameter in encoder.named_parameters():
        if "scheduler" in name:
            torch.nn.init.normal_(parameter, std=0.7)
        elif parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return encoder.eval()
