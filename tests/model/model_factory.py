"""Tiny models with a learned lookahead, and batches for them."""

import torch
from hub_data import CONFIG, TOKENS

DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 3}
KINDS = {
    "ctc": {"decoder": None, "model_conf": {"ctc_weight": 1.0}},
    "hybrid": {},
    "transducer": {
        "decoder": "transducer",
        "decoder_conf": {"hidden_size": 8, "dropout": 0.0},
        "joint_net_conf": {"joint_space_size": 8},
        "model_conf": {"ctc_weight": 0.3, "report_cer": False, "report_wer": False},
    },
}


def build(tmp_path, kind="ctc", encoder_conf=None, model="dynlook", **model_conf):
    """Return a whole model that the task built."""
    config = {**CONFIG, **KINDS[kind], "model": model, "token_list": TOKENS}
    config["specaug"] = None
    config["encoder_conf"] = {
        **CONFIG["encoder_conf"],
        **(DYNAMIC if encoder_conf is None else encoder_conf),
    }
    config["model_conf"] = {**config["model_conf"], **model_conf}
    return from_config(tmp_path, config)[0]


def from_config(folder, config):
    """Return the model that the task builds, and its arguments."""
    from espnet_dynlook.task import DynlookASRTask

    parser = DynlookASRTask.get_parser()
    parser.set_defaults(**config)
    args = parser.parse_args(["--output_dir", str(folder)])
    torch.manual_seed(0)
    return DynlookASRTask.build_model(args), args


def batch(seed=0):
    """Return two utterances of tokens and noise, of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "speech": torch.randn(2, 8000, generator=generator),
        "speech_lengths": torch.tensor([8000, 6000]),
        "text": torch.tensor([[2, 3, 4, 2], [3, 2, -1, -1]]),
        "text_lengths": torch.tensor([4, 2]),
    }
