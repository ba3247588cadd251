"""How well, and how fast, systems find names: the same posteriors, lists and limits.

Beside greedy reading and this project's search: pyctcdecode's hotwords, flashlight-text
with the list in its lexicon and a bonus for each of its words, and NeMo's CTC word
spotter. All get the same log-probabilities, n-gram, beam and lists. Of each, first the
weights of the n-gram are tuned on held-out data by the WER without names, then those of
the names as ``recipe.tune_names`` does it: the largest F1 of which U-WER stays within
0.3 points of its own without names, and lists of which nothing is said write at most
one name in 100 utterances. Ours takes its weights from files of ``recipe.tune_ngram``
and ``recipe.tune_names``, tuned on the same data. Times are the processor's, one
thread. The others run in an interpreter of their own, since they need another NumPy:
name_systems_others.py says how to make it. Example::

    cd egs/mini/asr1; python ../../../benchmarks/name_systems.py --others PYTHON \
        --tune dump/raw/tune_names/wav.scp,speech,sound \
        --tune_lists data/biasing/tune_names.100.0.tsv \
        --tune_without data/biasing/tune_names.100.without.0.tsv \
        --test dump/raw/test_names/wav.scp,speech,sound \
        --lists 100=data/biasing/test_names.100.0.tsv \
        --lists without=data/biasing/test_names.100.without.0.tsv \
        --asr_train_config … --asr_model_file … --word_ngram … --ngram NGRAM.yaml \
        --techniques TECHNIQUES.yaml
"""

import argparse
import itertools
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.lists import read_lists
from espnet_dynlook.bin.names import read_techniques
from espnet_dynlook.metrics.biasing import pool_biasing, score_biasing
from espnet_dynlook.recipe.held_out import CTCModel
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.weight_search import Limits, Outcome, choose
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import Techniques

#: Of each other system: weights of the n-gram, and of names.
OTHERS = {
    "pyctcdecode": (
        {"lm": [0.15, 0.3, 0.5], "word": [0.0, 1.5, 3.0], "unknown": [-10.0, -5.0]},
        {"names": [1.0, 2.0, 4.0, 7.0, 10.0]},
    ),
    "flashlight-text": (
        {"lm": [0.15, 0.3, 0.5, 1.0], "word": [-1.0, 0.0, 1.5]},
        # Names of the list are words of its lexicon, the only ones it does not know.
        {"names": [-4.0, -2.0, 0.001, 1.0, 2.0, 4.0, 7.0, 10.0]},
    ),
    "NeMo word spotter": (
        {},
        {"names": [1.0, 2.0, 3.0, 4.0], "token": [0.5, 1.5, 3.0]},
    ),
}
NOTHING = Techniques(boosting=None)


@dataclass
class Speech:
    """A set, with its posteriors.

    Attributes:
        rows: Log-probabilities (T, V) of each utterance.
        phones: Those of the phone head, or None.
        folder: With the first as ``UTTERANCE.npy``.
    """

    rows: dict
    phones: dict
    folder: Path


@dataclass
class Spent:
    """Processor seconds."""

    lists: list = field(default_factory=list)
    search: list = field(default_factory=list)


class Ours:
    """This project's search; greedy where the beam is 0."""

    def __init__(self, trained, beam, lm, techniques, named=True):
        self.model, self.tokenizer = trained.model, trained.tokenizer
        self.named, self.greedy = named, beam == 0
        model = self.model
        self.decoder = BiasedDecoder(
            model.token_list, beam or 1, lm, techniques, blank=model.blank_id
        )

    def warm(self, speech, lists):
        """Compile what is compiled, outside of any time."""
        utt = next(iter(speech.rows))
        self(speech, utt, lists[utt].phrases, Spent())

    def __call__(self, speech, utt, names, spent):
        if self.greedy:
            started = time.process_time()
            ids = torch.unique_consecutive(speech.rows[utt].argmax(1)).tolist()
            said = [self.model.token_list[n] for n in ids if n != self.model.blank_id]
            text = self.tokenizer.tokens2text(said)
            spent.search.append(time.process_time() - started)
            return text
        started = time.process_time()
        catalog = None
        if self.named and names:
            catalog = Catalog(names, self.tokenizer, self.model.token_list)
            widened = self.decoder.names(catalog).widened.catalog
            self.decoder.search.begin(widened)  # makes the graph
        spent.lists.append(time.process_time() - started)
        started = time.process_time()
        found = self.decoder(speech.rows[utt], catalog, speech.phones[utt], 1)
        spent.search.append(time.process_time() - started)
        return found[0].text


class Other:
    """A system in the other interpreter."""

    def __init__(self, process, system, pieces):
        self.process, self.system, self.pieces = process, system, pieces
        self.weights = {}

    def __call__(self, speech, utt, names, spent):
        """Return what it says; None, and why, if it is not there."""
        request = {
            "system": self.system,
            "log_probs": str(speech.folder / f"{utt}.npy"),
            "names": [[name, self.pieces(name)] for name in names],
            "weights": self.weights,
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.system}: its process ended: see above")
        found = json.loads(line)
        if "missing" in found:
            raise LookupError(found["missing"])
        spent.lists.append(found["list_seconds"])
        spent.search.append(found["seconds"])
        return found["text"]


def scored(system, speech, lists, named=True):
    """Return counts over a set, the texts, and the time."""
    spent, said = Spent(), {}
    for utt in speech.rows:
        said[utt] = system(speech, utt, lists[utt].phrases if named else (), spent)
    counts = score_biasing(
        {utt: lists[utt].text for utt in said},
        said,
        {utt: (lists[utt].true, lists[utt].phrases) for utt in said},
    )
    return pool_biasing(counts.values()), tuple(said.values()), spent


def tuned(other, grids, speech, lists, without):
    """Set the weights of another system; return them."""
    ngram, names = grids
    best = None
    for values in itertools.product(*ngram.values()):
        other.weights = {
            **dict.fromkeys(names, 0.0),
            **dict(zip(ngram, values, strict=True)),
        }
        counts, _, _ = scored(other, speech, lists, named=False)
        wer = counts.words.errors / max(1, counts.words.units)
        if best is None or wer < best[0]:
            best = wer, other.weights
    fixed = best[1]

    def outcome(setting):
        other.weights = fixed | setting
        named = any(setting.values())
        true, texts, _ = scored(other, speech, lists, named)
        wrong, more, _ = scored(other, speech, without, named)
        return Outcome(
            true.entities.f1 or 0.0,
            100 * true.unbiased.errors / max(1, true.unbiased.units),
            wrong.entities.false_insertions_per_100,
            texts + more,
        )

    base = outcome(dict.fromkeys(names, 0.0))
    # One weight may need another: all combinations are one value to choose.
    table = dict(enumerate(itertools.product(*names.values()), 1))
    found = choose(
        {"number": list(table)},
        lambda one: outcome(dict(zip(names, table[int(one["number"])], strict=True))),
        base,
        Limits(),
        1,
    )
    number = int(found.best.setting["number"])
    values = table.get(number, [0.0] * len(names))
    other.weights = fixed | dict(zip(names, values, strict=True))
    return other.weights


def read_speech(trained, data, most, folder):
    folder.mkdir()
    rows, phones = {}, {}
    for utt, samples in itertools.islice(trained.read(data).items(), most):
        rows[utt], phones[utt] = trained.posteriors(samples, None)
        np.save(folder / f"{utt}.npy", rows[utt].numpy())
    return Speech(rows, phones, folder)


def row_of(name, system, speech, lists):
    """Return a row of the table for one set of lists."""
    counts, _, spent = scored(system, speech, lists)
    entities = counts.entities

    def rate(counted):
        return f"{100 * counted.errors / max(1, counted.units):.2f}"

    def percent(value):
        return "-" if value is None else f"{100 * value:.2f}"

    return [
        name,
        *(rate(counts.words), rate(counts.unbiased)),
        rate(counts.biased) if counts.biased.units else "-",
        *(percent(entities.precision), percent(entities.recall), percent(entities.f1)),
        f"{entities.false_insertions_per_100:.2f}",
        f"{1000 * sum(spent.lists) / len(speech.rows):.1f}",
        f"{1000 * sum(spent.search) / len(speech.rows):.1f}",
    ]


def start_others(args, trained, words, pieces):
    process = subprocess.Popen(
        [args.others, str(Path(__file__).with_name("name_systems_others.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    tokens = list(trained.model.token_list)
    tokens[trained.model.blank_id] = "<blank>"
    shared = {
        "tokens": tokens,
        "beam": args.beam_size,
        "lm": args.word_ngram,
        "words": [[word, pieces(word)] for word in words],
    }
    process.stdin.write(json.dumps(shared) + "\n")
    process.stdin.flush()
    return process


def main(cmd=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    for name in ("tune", "tune_lists", "tune_without", "test", "others"):
        add(f"--{name}", required=True)
    add("--lists", action="append", required=True, metavar="NAME=FILE")
    for name in ("asr_train_config", "asr_model_file", "word_ngram", "ngram"):
        add(f"--{name}", required=True)
    add("--techniques", required=True)
    add("--beam_size", type=int, default=20)
    add("--tune_utterances", type=int, help="at most so many")
    add("--test_utterances", type=int, help="at most so many")
    add("--systems", nargs="*", choices=list(OTHERS), default=list(OTHERS))
    args = parser.parse_args(cmd)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        compare(args, Path(folder))


def compare(args, folder):
    trained = CTCModel(args.asr_train_config, args.asr_model_file)
    numbers = {token: n for n, token in enumerate(trained.model.token_list)}

    def pieces(text):
        found = trained.tokenizer.text2tokens(text)
        odd = [token for token in found if token not in numbers]
        if odd:
            raise SystemExit(f"{text}: the model has no token {odd[0]}")
        return [numbers[token] for token in found]

    options = yaml.safe_load(Path(args.ngram).read_text(encoding="utf-8")) or {}
    model = load_ngram(args.word_ngram)
    lm = NgramLM(
        model,
        options["word_ngram_weight"],
        options["word_insertion"],
        options["word_unknown"],
        unknown_length=options.get("word_unknown_length", 0.0),
    )
    techniques = read_techniques(args.techniques)
    systems = {
        "greedy": Ours(trained, 0, None, NOTHING, named=False),
        "ours, without names": Ours(trained, args.beam_size, lm, NOTHING, named=False),
        "ours, boosting alone": Ours(
            trained, args.beam_size, lm, Techniques(boosting=techniques.boosting)
        ),
        "ours": Ours(trained, args.beam_size, lm, techniques),
    }
    words = sorted(
        w
        for w in unigrams(args.word_ngram)
        if all(t in numbers for t in trained.tokenizer.text2tokens(w))
    )
    process = start_others(args, trained, words, pieces)
    tune = read_speech(trained, args.tune, args.tune_utterances, folder / "tune")
    lists, without = read_lists(args.tune_lists), read_lists(args.tune_without)
    for name in args.systems:
        other = Other(process, name, pieces)
        try:
            weights = tuned(other, OTHERS[name], tune, lists, without)
        except LookupError as error:
            print(f"not there: {name}: {error}")
            continue
        print(f"{name}: {weights}", flush=True)
        systems[name] = other
    test = read_speech(trained, args.test, args.test_utterances, folder / "test")
    header = ["lists", "system", "WER (%)", "U-WER (%)", "B-WER (%)", "P (%)", "R (%)"]
    header += ["F1 (%)", "false insertions per 100", "list (ms)", "search (ms)"]
    rows = []
    for argument in args.lists:
        name, _, path = argument.partition("=")
        found = read_lists(path)
        for system, run in systems.items():
            if isinstance(run, Ours):
                run.warm(test, found)
            rows.append([name, *row_of(system, run, test, found)])
            print(rows[-1], flush=True)
    print(markdown_table(header, rows), end="")
    process.stdin.close()
    process.wait()


def unigrams(path):
    """Return the words of an ARPA file."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("\\1-grams"):
                break
        for line in file:
            if not line.strip():
                return
            word = line.split()[1]
            if not word.startswith("<"):
                yield word


if __name__ == "__main__":
    main()
