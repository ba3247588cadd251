"""Other CTC searches, for ctc_search.py: run by a Python that has them.

Reads requests from standard input, a JSON object a line, and answers each with one:
``{"system": …, "log_probs": FILE.npy, "tokens": […], "beam": …, "names": […], "lm":
FILE or null, "words": […]}`` -> ``{"seconds": of the processor, "text": …}``, or
``{"missing": why}``. Uses nothing of this project, so that any interpreter will do:

    python -m venv others
    others/bin/pip install "numpy<2" pyctcdecode flashlight-text
    others/bin/pip install kenlm          # for --lm
"""

import json
import math
import sys
import time

import numpy as np

KEPT = {}


def kept(key, make):
    """Make what a request needs once; that is not in its time."""
    if key not in KEPT:
        KEPT[key] = make()
    return KEPT[key]


def pyctcdecode_search(request, rows):
    import pyctcdecode

    labels = [{"<blank>": "", "<space>": " "}.get(t, t) for t in request["tokens"]]
    lm = request["lm"]
    decoder = kept(
        ("pyctcdecode", lm),
        lambda: pyctcdecode.build_ctcdecoder(labels, lm, request["words"] or None),
    )
    pruning = {"beam_prune_logp": -10.0, "token_min_logp": -5.0}
    names = request["names"] or None

    def run():
        return decoder.decode_beams(rows, request["beam"], hotwords=names, **pruning)

    return run, lambda found: found[0][0]


def flashlight_search(request, rows):
    from flashlight.lib.text import decoder as flashlight
    from flashlight.lib.text.dictionary import Dictionary

    if request["names"]:
        raise ImportError("flashlight-text has no list of names to give to a request")
    tokens, lm_file = request["tokens"], request["lm"]
    space, blank = tokens.index("<space>"), tokens.index("<blank>")
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    criterion = flashlight.CriterionType.CTC
    if lm_file is None:
        # beam, tokens of a frame, threshold, LM weight, silence, sums (not maxima)
        options = flashlight.LexiconFreeDecoderOptions(
            request["beam"], 40, 10.0, 0.0, 0.0, True, criterion
        )
        search = flashlight.LexiconFreeDecoder(
            options, flashlight.ZeroLM(), space, blank, []
        )
    else:
        lm, trie, words = kept(
            ("flashlight", lm_file), lambda: lexicon(flashlight, Dictionary, request)
        )
        # ... LM weight, word, unknown word, silence, sums
        options = flashlight.LexiconDecoderOptions(
            request["beam"], 40, 10.0, 0.5, 0.0, -math.inf, 0.0, True, criterion
        )
        unknown = words.get_index("<unk>")
        search = flashlight.LexiconDecoder(
            options, trie, lm, space, blank, unknown, [], False
        )

    def run():
        return search.decode(rows.ctypes.data, *rows.shape)

    def text(found):
        path = [t for t in found[0].tokens if t >= 0]
        path = [t for n, t in enumerate(path) if n == 0 or t != path[n - 1]]
        said = "".join(tokens[t] for t in path if t != blank)
        return " ".join(said.replace("<space>", " ").split())

    return run, text


def lexicon(flashlight, dictionary, request):
    """Return the language model, the trie of its words, and these."""
    from flashlight.lib.text.decoder.kenlm import KenLM

    tokens = request["tokens"]
    number = {token: n for n, token in enumerate(tokens)}
    words = dictionary()
    for word in [*request["words"], "<unk>"]:
        words.add_entry(word)
    lm = KenLM(request["lm"], words)
    start = lm.start(False)
    trie = flashlight.Trie(len(tokens), number["<space>"])
    for word in request["words"]:
        at = words.get_index(word)
        spelling = [*(number[c] for c in word), number["<space>"]]
        trie.insert(spelling, at, lm.score(start, at)[1])
    trie.smear(flashlight.SmearingMode.MAX)
    return lm, trie, words


SYSTEMS = {"pyctcdecode": pyctcdecode_search, "flashlight-text": flashlight_search}


def answer(request):
    rows = kept(request["log_probs"], lambda: np.load(request["log_probs"]))
    try:
        run, text = SYSTEMS[request["system"]](request, rows)
    except ImportError as error:
        return {"missing": str(error)}
    started = time.process_time()
    found = run()
    return {"seconds": time.process_time() - started, "text": text(found)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
