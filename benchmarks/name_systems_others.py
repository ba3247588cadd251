"""Other systems that find names in CTC posteriors, for name_systems.py.

Run by a Python that has them. Reads requests from standard input, a JSON object a line,
and answers each with one: ``{"system": …, "log_probs": FILE.npy, "names": [[text,
[token ids]], …], "weights": {…}}`` -> ``{"text": …, "list_seconds": of the processor,
for what is made of the list, "seconds": for the search}``, or ``{"missing": why}``. The
first line says what all requests share: ``{"tokens": […], "beam": …, "lm": ARPA,
"words": [[word, [token ids]], …]}``. Uses nothing of this project:

    python -m venv others
    others/bin/pip install "numpy<2" pyctcdecode flashlight-text kenlm kaldialign
    others/bin/pip install --no-deps nemo_toolkit   # the word spotter needs no more
"""

import importlib.util
import json
import math
import sys
import time
import types
from functools import lru_cache
from pathlib import Path

import numpy as np

SHARED = json.loads(sys.stdin.readline()) if __name__ == "__main__" else {}


@lru_cache
def blank():
    return SHARED["tokens"].index("<blank>")


@lru_cache
def pyctcdecode_decoder():
    import pyctcdecode

    special = {"<blank>": "", "<unk>": "\u2581\u2047\u2581"}
    labels = [special.get(token, token) for token in SHARED["tokens"]]
    words = [word for word, _ in SHARED["words"]]
    return pyctcdecode.build_ctcdecoder(labels, SHARED["lm"], words)


def pyctcdecode_system(rows, names, weights):
    decoder = pyctcdecode_decoder()
    decoder.reset_params(
        weights["lm"], weights["word"], weights["unknown"], lm_score_boundary=True
    )
    hotwords = [text for text, _ in names] or None
    # The scorer of the list is made in every request: it is part of the search here.
    started = time.process_time()
    found = decoder.decode_beams(
        rows, SHARED["beam"], hotwords=hotwords, hotword_weight=weights.get("names", 0)
    )
    return found[0][0], 0.0, time.process_time() - started


@lru_cache
def flashlight_words():
    """Return the dictionary, KenLM, and the index of the unknown word."""
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    words = Dictionary()
    for word in [*(word for word, _ in SHARED["words"]), "<unk>"]:
        words.add_entry(word)
    return words, KenLM(SHARED["lm"], words), words.get_index("<unk>")


def flashlight_system(rows, names, weights):
    from flashlight.lib.text import decoder as flashlight

    words, lm, unknown = flashlight_words()
    known = dict(map(tuple, ((word, n) for n, (word, _) in enumerate(SHARED["words"]))))
    first = len(known) + 1
    bonus = {}  # by the index of what is entered

    class WithNames(flashlight.LM):
        """KenLM, in which words of the list get a bonus."""

        def start(self, with_nothing):
            return lm.start(with_nothing)

        def score(self, state, index):
            after, value = lm.score(state, index if index < first else unknown)
            return after, value + bonus.get(index, 0.0)

        def finish(self, state):
            return lm.finish(state)

    started = time.process_time()
    trie = flashlight.Trie(len(SHARED["tokens"]), -1)
    begin = lm.start(False)
    said = {}
    entries = [(word, ids, known[word]) for word, ids in SHARED["words"]]
    for text, ids in names:
        index = known.get(text, first + len(said))
        if index >= first:
            said[index] = text
            entries.append((text, ids, index))
        bonus[index] = weights.get("names", 0.0)
    with_names = WithNames()
    for _, ids, index in entries:
        trie.insert(ids, index, with_names.score(begin, index)[1])
    trie.smear(flashlight.SmearingMode.MAX)
    list_seconds = time.process_time() - started
    options = flashlight.LexiconDecoderOptions(
        *(SHARED["beam"], 40, 20.0, weights["lm"], weights["word"], -math.inf, 0.0),
        *(True, flashlight.CriterionType.CTC),
    )
    search = flashlight.LexiconDecoder(
        options, trie, with_names, blank(), blank(), unknown, [], False
    )
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    started = time.process_time()
    found = search.decode(rows.ctypes.data, *rows.shape)
    seconds = time.process_time() - started
    text = " ".join(
        said.get(index) or words.get_entry(index)
        for index in (found[0].words if found else ())
        if index >= 0
    )
    return text, list_seconds, seconds


@lru_cache
def nemo():
    """Return NeMo's modules of the word spotter, without the rest of NeMo."""
    found = importlib.util.find_spec("nemo")
    if found is None:
        raise ImportError("no nemo_toolkit")
    folder = Path(found.submodule_search_locations[0])
    base = "nemo.collections.asr.parts"
    # What they import beside each other is for other models, files and messages.
    for name, has in (
        ("nemo", {}),
        ("nemo.utils", {"logging": None}),
        ("nemo.collections", {}),
        ("nemo.collections.asr", {}),
        (base, {}),
        (f"{base}.utils", {"rnnt_utils": types.SimpleNamespace(Hypothesis=None)}),
        (f"{base}.utils.manifest_utils", {"read_manifest": None}),
        (f"{base}.context_biasing", {}),
    ):
        module = types.ModuleType(name)
        module.__path__ = []
        vars(module).update(has)
        sys.modules[name] = module
    loaded = []
    for name in (
        "context_graph_ctc",
        "ctc_based_word_spotter",
        "context_biasing_utils",
    ):
        path = folder / "collections/asr/parts/context_biasing" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(
            f"{base}.context_biasing.{name}", path
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        loaded.append(module)
    return loaded


def nemo_system(rows, names, weights):
    graphs, spotter, merging = nemo()
    tokens = SHARED["tokens"]
    model = types.SimpleNamespace(
        tokenizer=types.SimpleNamespace(
            ids_to_tokens=lambda ids: [tokens[n] for n in ids]
        )
    )
    started = time.process_time()
    graph = graphs.ContextGraphCTC(blank_id=blank())
    graph.add_to_graph([(text, [ids]) for text, ids in names])
    list_seconds = time.process_time() - started
    started = time.process_time()
    found = []
    if names:
        found = spotter.run_word_spotter(
            rows,
            graph,
            model,
            blank_idx=blank(),
            cb_weight=weights["names"],
            ctc_ali_token_weight=weights["token"],
        )
    best = rows.argmax(1)
    if found:
        text, _ = merging.merge_alignment_with_ws_hyps(
            best, model, found, blank_idx=blank()
        )
    else:
        path = [n for at, n in enumerate(best) if at == 0 or n != best[at - 1]]
        text = "".join(tokens[n] for n in path if n != blank())
    text = " ".join(text.replace("\u2581", " ").split())
    return text, list_seconds, time.process_time() - started


SYSTEMS = {
    "pyctcdecode": pyctcdecode_system,
    "flashlight-text": flashlight_system,
    "NeMo word spotter": nemo_system,
}


def answer(request):
    rows = np.load(request["log_probs"])
    try:
        text, list_seconds, seconds = SYSTEMS[request["system"]](
            rows, request["names"], request["weights"]
        )
    except ImportError as error:
        return {"missing": str(error)}
    return {"text": text, "list_seconds": list_seconds, "seconds": seconds}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
