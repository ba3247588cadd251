"""An hour of speech through one stream: memory and time must not grow.

A model with random weights, sure enough of itself that it says more words than people
do (150 a minute), streams tones in packets of 160 ms, with the default left context of
the recogniser. Printed for every ten minutes: resident memory at their end, seconds of
CPU for a second of audio.

    python benchmarks/hour.py                         # 4 x 96, an hour
    python benchmarks/hour.py --minutes 12 --part 2
"""

import argparse
import itertools
import math
import os
import random
import tempfile
import time
from pathlib import Path

import torch
import yaml

from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.task import DynlookASRTask

FS = 16000
PACKET = FS * 160 // 1000
LETTERS = ["<blank>", "<unk>", "<space>", *"abcdefghijklmnopqrstuvwxyz", "<sos/eos>"]


def tones(seed):
    """Give out packets: some pitch, as long as a word, with a little noise."""
    draw = random.Random(seed)
    while True:
        pitch = draw.choice([0, 200, 500, 900, 1600, 2700])
        sine = 0.2 * torch.sin(2 * math.pi * pitch * torch.arange(PACKET) / FS)
        for _ in range(draw.choice([2, 3, 4])):
            yield sine + 0.001 * torch.randn(PACKET)


def write_model(folder, args):
    """Write configuration and checkpoint of a model; return their paths."""
    parser = DynlookASRTask.get_parser()
    parser.set_defaults(
        token_list=LETTERS,
        token_type="word",
        frontend_conf={"fs": FS, "n_mels": 40},
        normalize=None,
        encoder="dynlook_conformer",
        encoder_conf={
            "output_size": args.size,
            "attention_heads": 4,
            "linear_units": 4 * args.size,
            "num_blocks": args.blocks,
            "rel_pos_type": "latest",
            "lookahead": args.lookahead,
            "lookahead_frames": 3,
        },
        decoder=None,
        model_conf={"ctc_weight": 1.0},
    )
    arguments = parser.parse_args(["--output_dir", str(folder)])
    torch.manual_seed(0)
    model = DynlookASRTask.build_model(arguments)
    model.eval()
    with torch.no_grad():  # a head that says something else for every tone
        samples = torch.cat(list(itertools.islice(tones(0), 100)))[None]
        out = model.encode(samples, torch.tensor([samples.shape[1]]))[0]
        head = model.ctc.ctc_lo
        head.weight *= 10
        head.bias.copy_(-head.weight @ out[0].mean(dim=0))
    torch.save(model.state_dict(), folder / "model.pth")
    plain = {k: v for k, v in vars(arguments).items() if not callable(v)}
    (folder / "config.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    return folder / "config.yaml", folder / "model.pth"


def resident_mb():
    """Return the resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--lookahead", default="dynamic")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--part", type=float, default=10, help="minutes")
    parser.add_argument("--beam", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        recognizer = Recognizer.from_files(
            *write_model(Path(folder), args), beam=args.beam
        )
    stream = recognizer.stream()
    found, spent, heard = [], 0.0, 0
    speech = tones(1)
    while heard < args.minutes * 60 * FS:
        samples = next(speech)
        started = time.thread_time()
        partial = stream.push(samples)
        spent += time.thread_time() - started
        heard += PACKET
        if heard // (args.part * 60 * FS) > len(found):
            found.append((resident_mb(), spent / (args.part * 60)))
            minutes, words = heard / FS / 60, len(partial.words)
            print(
                f"{minutes:5.0f} min: {found[-1][0]:7.1f} MB, "
                f"{found[-1][1]:.4f} s for a second, {words} words",
                flush=True,
            )
            spent = 0.0
    for name, n in (("memory", 0), ("time", 1)):
        print(f"{name}, the last part over the first: {found[-1][n] / found[0][n]:.3f}")


if __name__ == "__main__":
    main()
