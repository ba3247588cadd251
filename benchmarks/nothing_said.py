"""What a recogniser writes where nobody speaks, with a long list of names.

Silence, white and pink noise, hum, and chords that come and go, at several levels, are
made with a seed and decoded with and without the list, through the whole model. What is
written without names is the model's own; what more is written with them was made up.

    cd egs/mini/asr1; python ../../../benchmarks/nothing_said.py \
        --asr_train_config exp/asr_names_base/config.yaml \
        --asr_model_file exp/asr_names_base/valid.cer_ctc.ave.pth \
        --techniques exp/names/techniques.yaml
"""

import argparse
import math

import torch
from catalog import names

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.bin.names import read_techniques
from espnet_dynlook.metrics.biasing import PhraseFinder
from espnet_dynlook.recipe.held_out import add_model_options, load_model
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.search.biased_decoder import BiasedDecoder

LEVELS = (-60.0, -40.0, -20.0)  # dB below full scale


def sounds(fs, seconds, seed):
    """Return recordings (N,) without speech, by name, of a root mean square of 1."""
    generator = torch.Generator().manual_seed(seed)
    size = int(fs * seconds)
    white = torch.randn(size, generator=generator)
    spectrum = torch.fft.rfft(white)
    pink = spectrum / torch.arange(1, len(spectrum) + 1).sqrt()
    time = torch.arange(size) / fs
    hum = sum((2 * math.pi * 50 * k * time).sin() / k for k in (1, 2, 3, 5))
    music = torch.zeros(size)
    for start in range(0, size, fs // 2):  # a chord every half second
        root = 110 * 2 ** (int(torch.randint(24, (), generator=generator)) / 12)
        span = time[: min(fs // 2, size - start)]
        for step in (0, 4, 7, 12):
            tone = 2 * math.pi * root * 2 ** (step / 12) * span
            music[start : start + len(span)] += tone.sin() * (-4 * span).exp()
    made = {"white noise": white, "pink noise": torch.fft.irfft(pink, size)}
    made |= {"hum": hum, "music": music}
    return {name: x / x.square().mean().sqrt() for name, x in made.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_model_options(parser)
    parser.add_argument("--techniques", help="YAML file; default: boosting")
    parser.add_argument("--names", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=8.0, help="of 200 frames")
    parser.add_argument("--fs", type=int, default=16000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    trained, lm = load_model(args)
    model = trained.model
    decoder = BiasedDecoder(
        model.token_list,
        args.beam_size,
        lm,
        read_techniques(args.techniques),
        blank=model.blank_id,
    )
    phrases = [name.upper() for name in names(args.names, args.seed)]
    catalog = Catalog(phrases, trained.tokenizer, model.token_list)
    find = PhraseFinder(phrases)
    silence = torch.zeros(int(args.fs * args.seconds))
    heard = {"silence": silence}
    for name, x in sounds(args.fs, args.seconds, args.seed).items():
        heard |= {f"{name}, {db:g} dB": x * 10 ** (db / 20) for db in LEVELS}
    rows, made_up = [], 0
    for name, x in heard.items():
        plain = trained.posteriors(x, None)
        biased = trained.posteriors(x, catalog) if trained.adapted else plain
        without = decoder(plain[0], None, plain[1], 1)[0].text
        text = decoder(biased[0], catalog, biased[1], 1)[0].text
        found = len(list(find(text.split()))) - len(list(find(without.split())))
        made_up += max(found, 0)
        rows.append([name, str(max(found, 0)), without, text])
    header = ["sound", "names made up", "without names", f"with {args.names} names"]
    print(markdown_table(header, rows))
    print(f"{made_up} names made up in {len(rows)} recordings of {args.seconds:g} s")


if __name__ == "__main__":
    main()
