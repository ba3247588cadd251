"""How long the CTC beam search takes, by the length of the list of names.

Posteriors are made up, with a seed: ``peaky`` ones say random words as a trained model
would, ``diffuse`` ones are random. The names are made up of common syllables. A list is
read once; its graph is made in its first request and then kept, which is shown apart.
The time is the processor's, the least of some runs: a busy machine does not move it.

    python benchmarks/biasing.py                       # 10 s of peaky posteriors
    python benchmarks/biasing.py --posteriors diffuse --beams 10 50 200
"""

import argparse
import random
import time

import torch
from catalog import CHARACTERS, names

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.phrase_graph import phrase_graph

SPACE = CHARACTERS.index("<space>")


def posteriors(kind, frames, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(frames, vocabulary, generator=generator)
    if kind == "peaky":
        draw = random.Random(seed)
        logits[:, 0] += 9.0  # blank
        for frame in range(0, frames, 3):  # a token in every third frame
            token = draw.choice([SPACE, *range(4, vocabulary - 1)])
            logits[frame, 0] -= draw.uniform(3.0, 9.0)
            logits[frame, token] += draw.uniform(5.0, 9.0)
            logits[frame, draw.randrange(4, vocabulary - 1)] += draw.uniform(2.0, 7.0)
    return logits.log_softmax(1)


def seconds(action, repeat):
    found = []
    for _ in range(repeat):
        start = time.process_time()
        action()
        found.append(time.process_time() - start)
    return min(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, nargs="+")
    parser.add_argument("--beams", type=int, nargs="+", default=[50])
    parser.add_argument("--posteriors", choices=["peaky", "diffuse"], default="peaky")
    parser.add_argument("--frames", type=int, default=250, help="of 40 ms")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sizes = args.names or [0, 100, 1000, 10000, 50000]
    rows = posteriors(args.posteriors, args.frames, len(CHARACTERS), args.seed)
    catalogs = [
        Catalog(names(size, args.seed), CharTokenizer(CHARACTERS)) for size in sizes
    ]
    print("| beam | names | graph (ms) | search (ms) | as without names |")
    print("|---:|---:|---:|---:|---:|")
    for beam in args.beams:
        search = CTCBeamSearch(CHARACTERS, beam)
        search(rows)  # compiles, the first time
        search(rows[:10], catalogs[-1])
        without = None
        for catalog in catalogs:
            graph = seconds(lambda c=catalog: phrase_graph(c, CHARACTERS), 2)
            search(rows[:1], catalog)
            took = seconds(lambda s=search, c=catalog: s(rows, c, 1), args.repeat)
            without = without or took
            print(
                f"| {beam} | {len(catalog)} | {1000 * graph:.1f} | {1000 * took:.1f} "
                f"| {took / without:.2f} |"
            )


if __name__ == "__main__":
    main()
