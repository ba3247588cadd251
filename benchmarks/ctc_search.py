"""How long the CTC beam search takes: beside other systems, and by the list of names.

Posteriors are made up, with a seed: ``peaky`` ones say words as a trained model would,
``diffuse`` ones are random. Those of a trained model of characters may stand in for
them, of the first utterances of a set. Names and the n-gram's words are made up of
common syllables.

All systems search the same log-probabilities with the same beam, pruning and n-gram, in
turns, one thread each; the time is the processor's, the least of the turns: what else
the machine does can only add to it. The others run in an interpreter of their own
(``--others``; ctc_search_others.py says how to make it), since they need another NumPy.
A list is read and its graph made once, in its first request, which is not in ours;
pyctcdecode reads its hotwords anew in every request.

    python benchmarks/ctc_search.py                       # ours alone
    python benchmarks/ctc_search.py --others others/bin/python --lm made_up
    python benchmarks/ctc_search.py --posteriors diffuse --beams 10 50 200
    python benchmarks/ctc_search.py --names 0 1000 10000 --weights 1 1000
    python benchmarks/ctc_search.py --asr_train_config C --asr_model_file M --data D
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from catalog import CHARACTERS, names

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.recipe.held_out import CTCModel
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.phrase_graph import phrase_graph

OTHERS = ("pyctcdecode", "flashlight-text")
#: Characters that the others know as single letters.
TOKENS = [*(t for t in CHARACTERS if not t.startswith("<sos") and t != "<unk>")]


def posteriors(kind, frames, words, seed):
    """Return made-up log-probabilities (T, V) that say words, or nothing."""
    generator = torch.Generator().manual_seed(seed)
    draw = random.Random(seed)
    logits = torch.randn(frames, len(TOKENS), generator=generator)
    if kind == "peaky":
        logits[:, 0] += 9.0  # blank
        said = iter(())
        for frame in range(0, frames, 3):  # a token in every third frame
            token = next(said, None)
            if token is None:
                said = iter([*draw.choice(words), "<space>"])
                token = next(said)
            logits[frame, 0] -= draw.uniform(3.0, 9.0)
            logits[frame, TOKENS.index(token)] += draw.uniform(5.0, 9.0)
            other = draw.randrange(2, len(TOKENS))
            logits[frame, other] += draw.uniform(2.0, 7.0)
    return logits.log_softmax(1)


def model_posteriors(config, file, data, frames):
    """Return log-probabilities (T, V) of a set's first utterances, and the tokens.

    One utterance behind another, up to so many frames; of those of ``TOKENS`` that the
    model has, which share what is left for its others.
    """
    model = CTCModel(config, file)
    number = {token: n for n, token in enumerate(model.model.token_list)}
    tokens = [token for token in TOKENS if token in number]
    if tokens[:2] != TOKENS[:2] or len(tokens) < len(number) - 2:
        raise SystemExit(f"{config}: give a model of the characters A to Z")
    rows, found = [], 0
    for samples in model.read(data).values():
        rows.append(model.posteriors(samples, None)[0].double())
        found += len(rows[-1])
        if found >= frames:
            break
    own = torch.cat(rows)[:frames, [number[token] for token in tokens]]
    return own.log_softmax(1), tokens


def write_lm(path, words, seed):
    """Write a bigram of words as ARPA, of random probabilities."""
    draw = random.Random(seed)
    pairs = {(draw.choice(words), draw.choice(words)) for _ in range(10 * len(words))}
    vocabulary = ["<unk>", "<s>", "</s>", *words]
    lines = ["\\data\\", f"ngram 1={len(vocabulary)}", f"ngram 2={len(pairs)}", ""]
    lines.append("\\1-grams:")
    for word in vocabulary:
        score = -99.0 if word == "<s>" else -draw.uniform(2.0, 4.0)
        lines.append(f"{score:.4f}\t{word}\t{-draw.uniform(0.0, 1.0):.4f}")
    lines += ["", "\\2-grams:"]
    lines += [f"{-draw.uniform(0.5, 2.0):.4f}\t{a} {b}" for a, b in sorted(pairs)]
    path.write_text("\n".join([*lines, "", "\\end\\", ""]), encoding="utf-8")
    return path


def weighted(phrases, number):
    """Return phrases with so many different weights, evenly from 0.5 to 1.5."""
    return [(text, 0.5 + (n % number + 0.5) / number) for n, text in enumerate(phrases)]


class Other:
    """A system in the other interpreter."""

    def __init__(self, process, request):
        self.process, self.request = process, request

    def __call__(self):
        """Return seconds; None and why, if it cannot."""
        self.process.stdin.write(json.dumps(self.request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return None, "its process ended: see above"
        found = json.loads(line)
        return found.get("seconds"), found.get("text", found.get("missing"))


class Ours:
    """This project's search."""

    def __init__(self, search, rows, catalog):
        self.search, self.rows, self.catalog = search, rows, catalog
        started = time.process_time()
        phrase_graph(catalog, search.token_list)
        self.graph = time.process_time() - started
        search(rows[:2], catalog)  # compiles, and makes the graph of the list

    def __call__(self):
        started = time.process_time()
        found = self.search(self.rows, self.catalog, 1)  # the others return one, too
        return time.process_time() - started, found[0].text


def measure(contenders, turns):
    """Return the least seconds of each and what it said, interleaved."""
    times = {name: [] for name in contenders}
    said = {}
    for _ in range(turns + 1):
        for name, run in contenders.items():
            if said.get(name) is not None and times[name] is None:
                continue
            took, said[name] = run()
            if took is None:
                times[name] = None
            else:
                times[name].append(took)
    return {
        name: (None if own is None else min(own[1:]), said[name])
        for name, own in times.items()
    }


def main(cmd=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posteriors", choices=["peaky", "diffuse"], default="peaky")
    parser.add_argument("--asr_train_config", help="of a model of characters")
    parser.add_argument("--asr_model_file", help="its parameters")
    parser.add_argument("--data", help="what it hears: PATH,speech,TYPE")
    parser.add_argument("--frames", type=int, default=250, help="of 40 ms")
    parser.add_argument("--beams", type=int, nargs="+", default=[50])
    parser.add_argument(
        "--names", type=int, nargs="+", default=[0, 100, 1000, 10000, 50000]
    )
    parser.add_argument(
        "--weights",
        type=int,
        nargs="+",
        default=[1],
        help="so many different ones have the names, from 0.5 up to 1.5; ours alone",
    )
    parser.add_argument("--lm", help="ARPA or KenLM's binary of words; or made_up")
    parser.add_argument("--words", type=int, default=1000, help="of the made-up n-gram")
    parser.add_argument("--others", help="a Python that has pyctcdecode, flashlight")
    parser.add_argument(
        "--most_names", type=int, default=1000, help="with the others; they get slow"
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(cmd)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        compare(args, Path(folder))


def compare(args, folder):
    words = sorted({w.upper() for w in names(args.words, args.seed) if " " not in w})
    tokens = TOKENS
    given = args.asr_train_config, args.asr_model_file, args.data
    if all(given):
        rows, tokens = model_posteriors(*given, args.frames)
    elif any(given):
        raise SystemExit("--asr_train_config, --asr_model_file, --data: give all three")
    else:
        rows = posteriors(args.posteriors, args.frames, words, args.seed).double()
    words = [word for word in words if set(word) <= set(tokens)]
    np.save(folder / "log_probs.npy", rows.numpy())
    lm_file, lm = args.lm, None
    if args.lm == "made_up":
        lm_file = str(write_lm(folder / "words.arpa", words, args.seed))
    if lm_file:
        lm = NgramLM(load_ngram(lm_file))
        print(f"n-gram of ours read by {type(lm.model).__name__}")
    process = None
    if args.others:
        process = subprocess.Popen(
            [args.others, str(Path(__file__).with_name("ctc_search_others.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    else:
        print("no other systems: give a Python that has them by --others")
    request = {
        "log_probs": str(folder / "log_probs.npy"),
        "tokens": tokens,
        "lm": lm_file,
        "words": words if lm_file else [],
    }
    print(
        "| beam | names | weights | system | graph, once (ms) | search (ms) | to ours "
        "| as without names |"
    )
    print("|---:|---:|---:|---|---:|---:|---:|---:|")
    tokenizer = CharTokenizer(tokens)
    for beam in args.beams:
        search = CTCBeamSearch(tokens, beam, lm)
        contenders, missing = {}, set()
        for size in args.names:
            phrases = [name.upper() for name in names(size, args.seed)]
            for number in args.weights:
                catalog = Catalog(weighted(phrases, number), tokenizer)
                contenders["ours", size, number] = Ours(search, rows, catalog)
            if process is not None and size <= args.most_names:
                for system in OTHERS:
                    own = {"system": system, "beam": beam, "names": phrases}
                    contenders[system, size, 1] = Other(process, request | own)
        found = measure(contenders, args.turns)
        for (system, size, number), (took, said) in found.items():
            if took is None:
                missing.add(f"{system}, {size} names: {said}")
                continue
            ours = found["ours", size, args.weights[0]][0]
            least = found[system, min(args.names), number][0]
            graph = getattr(contenders[system, size, number], "graph", None)
            once = "" if graph is None else f"{1000 * graph:.1f}"
            print(
                f"| {beam} | {size} | {number} | {system} | {once} | {1000 * took:.1f} "
                f"| {took / ours:.2f} | {took / least:.2f} |"
            )
        for line in sorted(missing):
            print(f"not there: {line}")
    if process is not None:
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
