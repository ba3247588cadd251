"""Small encoders for the tests of this folder."""

import inspect

import torch

from espnet_dynlook.compat import espnet_imports

with espnet_imports():
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
    from espnet2.asr.encoder.transformer_encoder import TransformerEncoder

    from espnet_dynlook.encoder.conformer import DynlookConformerEncoder
    from espnet_dynlook.encoder.transformer import DynlookTransformerEncoder

INPUT_SIZE = 20
SMALL = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 3}
CONFORMER = {
    **SMALL,
    "rel_pos_type": "latest",
    "macaron_style": True,
    "cnn_module_kernel": 5,
}
ABSOLUTE = {"pos_enc_layer_type": "abs_pos", "selfattention_layer_type": "selfattn"}
PAIRS = {
    "conformer": (ConformerEncoder, DynlookConformerEncoder),
    "transformer": (TransformerEncoder, DynlookTransformerEncoder),
}
DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_bias": 0.3}
KINDS = {
    "causal": {"lookahead": "causal"},
    "layerwise": {"lookahead": "layerwise", "lookahead_frames": 2},
    "layerwise_total": {"lookahead": "layerwise", "lookahead_total": 4},
    "chunked": {"lookahead": "chunked", "lookahead_frames": 3},
    "full": {"lookahead": "full"},
    "random": {"lookahead": "random", "lookahead_frames": 3},
    "frame": {**DYNAMIC, "lookahead_scheduler": "frame", "lookahead_layers": [1, 3]},
    "frame_shared": {**DYNAMIC, "lookahead_scheduler": "frame", "share_wait": True},
    "sequential": {**DYNAMIC, "lookahead_scheduler": "sequential"},
    "segment": {**DYNAMIC, "lookahead_scheduler": "segment"},
}


def make(name="conformer", seed=0, input_size=INPUT_SIZE, **keys):
    """Return a small dynlook encoder in evaluation mode, not as it is at its start.

    Normalizations are not the identity, and schedulers open some gates and not others.
    """
    torch.manual_seed(seed)
    base = CONFORMER if name == "conformer" else SMALL
    encoder = PAIRS[name][1](input_size, **{**base, **keys})
    return randomize(encoder).eval()


def randomize(encoder):
    """Move what starts as the identity or zero away from it, as training does."""
    generator = torch.Generator().manual_seed(1)

    def noise(tensor, scale=0.3):
        return torch.randn(tensor.shape, generator=generator) * scale

    for module in encoder.modules():
        if isinstance(module, (torch.nn.LayerNorm, torch.nn.BatchNorm1d)):
            module.weight.data += noise(module.weight)
            module.bias.data += noise(module.bias)
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean += noise(module.running_mean)
            module.running_var *= 1 + noise(module.running_var).abs()
    if getattr(encoder, "scheduler", None) is not None:
        for parameter in encoder.scheduler.parameters():
            parameter.data += noise(parameter, 0.8)
    return encoder


def parameters_of(cls):
    """Return the constructor's keys, without self and input_size."""
    return [k for k in inspect.signature(cls).parameters if k not in ("input_size",)]
