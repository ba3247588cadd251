"""A model that says many things, as files; and speech for it."""

import numpy as np
import torch
import yaml
from hub_data import CONFIG, FS, TOKENS, tone

__all__ = [
    "CHUNKED",
    "DYNAMIC",
    "FS",
    "TRANSDUCER",
    "mix_gates",
    "speech",
    "write_model",
]

CHUNKED = {"lookahead": "chunked", "lookahead_frames": 3}
DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_bias": 0.1}
TRANSDUCER = {
    "decoder": "transducer",
    "decoder_conf": {"hidden_size": 8, "dropout": 0.0},
    "joint_net_conf": {"joint_space_size": 8},
    "model": "dynlook",
}


#: Keys of the Conformer that the Transformer does not have.
_CONFORMER = (
    "cnn_module_kernel",
    "rel_pos_type",
    "pos_enc_layer_type",
    "selfattention_layer_type",
)


def write_model(folder, encoder_conf=(), model_conf=(), **changes):
    from espnet_dynlook.task import DynlookASRTask

    config = {**CONFIG, "decoder": None, "token_list": TOKENS, "token_type": "char"}
    config.update(changes)
    transducer = config["decoder"] == "transducer"
    config["model_conf"] = {"ctc_weight": 0.3 if transducer else 1.0}
    if transducer:
        config["model_conf"].update(report_cer=False, report_wer=False)
    config["model_conf"].update(model_conf)
    config["encoder_conf"] = {**CONFIG["encoder_conf"], **dict(encoder_conf)}
    if config["encoder"] == "dynlook_transformer":
        for key in _CONFORMER:
            del config["encoder_conf"][key]
    parser = DynlookASRTask.get_parser()
    parser.set_defaults(**config)
    args = parser.parse_args(["--output_dir", str(folder)])
    torch.manual_seed(0)
    model = DynlookASRTask.build_model(args)
    with torch.no_grad():  # not the blank everywhere
        last = model.joint_network.lin_out if transducer else model.ctc.ctc_lo
        last.weight *= 30
        last.bias[0] -= 1
    torch.save(model.state_dict(), folder / "model.pth")
    plain = {k: v for k, v in vars(args).items() if not callable(v)}
    (folder / "config.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    return folder / "config.yaml", folder / "model.pth"


def speech(seed, seconds=1.0):
    rng = np.random.default_rng(seed)
    parts = [tone(x, FS // 8, rng) for x in rng.choice(list("abc"), int(8 * seconds))]
    return torch.tensor(np.concatenate(parts), dtype=torch.float32)


def mix_gates(recognizer):
    """Move a recogniser's schedulers, so that gates are open here and shut there."""
    scheduler = recognizer.model.encoder.scheduler
    if scheduler is None:
        return recognizer
    for seed in range(20):
        torch.manual_seed(seed)
        for parameter in scheduler.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        waits = [recognizer.transcribe(speech(n)).lookahead_ms for n in range(2)]
        if len(set(waits[0])) > 2 and waits[0] != waits[1]:
            return recognizer
    raise AssertionError("gates are all open, all shut, or do not listen")
