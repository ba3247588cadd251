"""A corpus of tones that takes seconds to train on, and command lines for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import yaml

FS = 8000
TOKENS = ["<blank>", "<unk>", "a", "b", "c", "<space>", "<sos/eos>"]
PITCH = {"a": 400.0, "b": 900.0, "c": 1700.0}


def tone(letter: str, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return a noisy tone that stands for a letter."""
    time = np.arange(samples) / FS
    clean = 0.3 * np.sin(2 * np.pi * PITCH[letter] * time)
    return clean + 0.02 * rng.standard_normal(samples)


@dataclass
class Corpus:
    """Where the corpus lies.

    Attributes:
        root: Its folder: train/, valid/, tokens.txt, config.yaml.
    """

    root: Path

    def make_set(self, name: str, number: int, seed: int) -> None:
        """Write a data directory with shapes, as stage 10 of a recipe leaves it."""
        rng = np.random.default_rng(seed)
        folder = self.root / name
        (folder / "wav").mkdir(parents=True)
        lines: dict[str, list[str]] = {
            k: [] for k in ("wav.scp", "text", "speech_shape", "text_shape")
        }
        for index in range(number):
            utt = f"{name}-{index:02d}"
            letters = rng.choice(list(PITCH), size=int(rng.integers(2, 5)))
            speech = np.concatenate([tone(x, FS // 5, rng) for x in letters])
            wav = folder / "wav" / f"{utt}.wav"
            soundfile.write(wav, speech, FS)
            lines["wav.scp"].append(f"{utt} {wav}")
            lines["text"].append(f"{utt} {''.join(letters)}")
            lines["speech_shape"].append(f"{utt} {len(speech)}")
            lines["text_shape"].append(f"{utt} {len(letters)},{len(TOKENS)}")
        for file, content in lines.items():
            (folder / file).write_text("\n".join(content) + "\n", encoding="utf-8")

    @property
    def config(self) -> Path:
        """Configuration of a model of a few thousand parameters."""
        return self.root / "config.yaml"

    def train_args(self, output_dir: Path, *extra: str) -> list[str]:
        """Return the arguments of a training, as a recipe gives them."""
        args = ["--config", str(self.config), "--output_dir", str(output_dir)]
        for name in ("train", "valid"):
            folder = self.root / name
            args += [
                f"--{name}_data_path_and_name_and_type",
                f"{folder}/wav.scp,speech,sound",
                f"--{name}_data_path_and_name_and_type",
                f"{folder}/text,text,text",
                f"--{name}_shape_file",
                f"{folder}/speech_shape",
                f"--{name}_shape_file",
                f"{folder}/text_shape",
            ]
        args += ["--token_list", str(self.root / "tokens.txt"), "--token_type", "char"]
        return [*args, "--resume", "true", *extra]

    def decode_args(self, expdir: Path, output_dir: Path, *extra: str) -> list[str]:
        """Return the arguments of a decoding of the valid set."""
        return [
            "--data_path_and_name_and_type",
            f"{self.root}/valid/wav.scp,speech,sound",
            "--key_file",
            f"{self.root}/valid/wav.scp",
            "--asr_train_config",
            f"{expdir}/config.yaml",
            "--asr_model_file",
            f"{expdir}/valid.loss.best.pth",
            "--output_dir",
            str(output_dir),
            "--num_workers",
            "0",
            *extra,
        ]


CONFIG = {
    "frontend_conf": {"fs": FS, "n_fft": 256, "hop_length": 80, "n_mels": 40},
    "encoder": "dynlook_conformer",
    "encoder_conf": {
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 32,
        "num_blocks": 2,
        "cnn_module_kernel": 5,
        "rel_pos_type": "latest",
        "pos_enc_layer_type": "rel_pos",
        "selfattention_layer_type": "rel_selfattn",
        "lookahead": "chunked",
        "lookahead_frames": 2,
    },
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 1},
    "model_conf": {"ctc_weight": 0.5},
    "specaug": "specaug",
    "specaug_conf": {
        "apply_time_warp": False,
        "freq_mask_width_range": [0, 5],
        "time_mask_width_range": [0, 5],
    },
    # Not the default, utterance_mvn, which makes every frame wait for the end.
    "normalize": None,
    "optim": "adam",
    "optim_conf": {"lr": 0.01},
    "scheduler": "warmuplr",
    "scheduler_conf": {"warmup_steps": 20},
    "batch_type": "sorted",
    "batch_size": 3,
    "max_epoch": 2,
    "num_workers": 0,
    "num_att_plot": 0,
    "use_matplotlib": False,
    "log_interval": 1,
    "keep_nbest_models": 2,
    "best_model_criterion": [["valid", "loss", "min"]],
    "seed": 7,
}


def make_corpus(root: Path) -> Corpus:
    """Write the corpus and its configuration."""
    corpus = Corpus(root)
    corpus.make_set("train", 9, seed=1)
    corpus.make_set("valid", 3, seed=2)
    (root / "tokens.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    corpus.config.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return corpus
