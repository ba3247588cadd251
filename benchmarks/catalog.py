"""How long a list of names takes to load, by its length and kind of tokens.

The names are made up of common syllables, with a seed. The aim is 50,000 phrases with
one segmentation within 3 s; pronunciations are looked up later, when first needed.
Beside the time that passes stands the processor's, which a busy machine does not move.

    python benchmarks/catalog.py                                 # characters
    python benchmarks/catalog.py --bpemodel data/en_token_list/bpe_unigram500/bpe.model
    python benchmarks/catalog.py --pronunciations                # looks them up, too
"""

import argparse
import random
import statistics
import time

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.pronunciations import Pronouncer
from espnet_dynlook.biasing.tokenizers import CharTokenizer, SentencepieceTokenizer

SYLLABLES = "ba den gor il ka lo mar ne o'r pa qui ra stein tho u vic wa xi yo zan"
CHARACTERS = [
    *("<blank>", "<unk>", "<space>", "'"),
    *"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "<sos/eos>",
]


def names(number, seed):
    random_state = random.Random(seed)
    syllables = SYLLABLES.split()
    found = set()
    while len(found) < number:
        words = [
            "".join(random_state.choices(syllables, k=random_state.randint(2, 4)))
            for _ in range(random_state.randint(1, 2))
        ]
        found.add(" ".join(words).title())
    return sorted(found, key=lambda _: random_state.random())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[1000, 10000, 50000])
    parser.add_argument("--segmentations", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--bpemodel", help="default: characters")
    parser.add_argument("--pronunciations", action="store_true")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.bpemodel:
        tokenizer = SentencepieceTokenizer(None, args.bpemodel)
    else:
        tokenizer = CharTokenizer(CHARACTERS)
    print("| phrases | segmentations | load (s) | load, CPU (s) | pronunciations (s) |")
    print("|---:|---:|---:|---:|---:|")
    for number in args.numbers:
        phrases = names(number, args.seed)
        for segmentations in args.segmentations:
            loads, busy, lookups = [], [], []
            for _ in range(args.repeat):
                start, begin = time.perf_counter(), time.process_time()
                catalog = Catalog(
                    phrases,
                    tokenizer,
                    segmentations=segmentations,
                    pronouncer=Pronouncer(),
                )
                loads.append(time.perf_counter() - start)
                busy.append(time.process_time() - begin)
                if args.pronunciations:
                    start = time.perf_counter()
                    catalog.all_pronunciations()
                    lookups.append(time.perf_counter() - start)
            found = f"{statistics.median(lookups):.2f}" if lookups else "-"
            load = f"{statistics.median(loads):.2f}"
            cpu = f"{statistics.median(busy):.2f}"
            print(f"| {len(catalog)} | {segmentations} | {load} | {cpu} | {found} |")


if __name__ == "__main__":
    main()
