"""Word n-grams as KenLM's binaries in the commands, with KenLM's module and without.

What writes such binaries needs Boost, which tests may not, so they have a stand-in with
what is used of KenLM's module; test_ngram.py holds the module itself against the reader
of ARPA files.
"""

import sys
import types

import numpy as np
import pytest
import soundfile
from hub_data import FS
from recogniser_files import CHUNKED, speech, write_model
from test_decoding_with_names import ARPA, decode, names_file

from espnet_dynlook.bin import dynlook
from espnet_dynlook.config import ConfigError
from espnet_dynlook.search.ngram import LN10, ArpaModel

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder: a model, speech, an n-gram as ARPA file and as "binary"."""
    root = tmp_path_factory.mktemp("kenlm")
    (root / "ctc").mkdir()
    write_model(root / "ctc", CHUNKED)
    samples = speech(0, seconds=0.8).numpy().astype(np.float32)
    soundfile.write(root / "u0.wav", samples, FS)
    (root / "wav.scp").write_text(f"u0 {root}/u0.wav\n")
    (root / "words.arpa").write_text(ARPA)
    (root / "words.bin").write_bytes(b"mmap lm http://kheafield.com/code\n\0")
    return root


class State:
    """As KenLM's: what a call writes into, equal where what is known is."""

    known: tuple = ()

    def __eq__(self, other):
        return self.known == other.known

    def __hash__(self):
        return hash(self.known)


class Model:
    """As KenLM's: base 10, states that are written into."""

    def __init__(self, path):
        self.own = ArpaModel(path.replace(".bin", ".arpa"))

    def __contains__(self, word):
        return self.own.knows(word)

    def BeginSentenceWrite(self, state):
        state.known = self.own.begin()

    def BaseScore(self, before, word, after):
        score, after.known = self.own.score(before.known, word)
        return score / LN10


def live(files, capsys, *options):
    model = ["--asr_train_config", f"{files}/ctc/config.yaml"]
    model += ["--asr_model_file", f"{files}/ctc/model.pth"]
    dynlook.main(["transcribe", f"{files}/u0.wav", *model, *options])
    return capsys.readouterr().out


def test_a_binary_says_what_its_arpa_file_says(files, tmp_path, capsys, monkeypatch):
    module = types.ModuleType("kenlm")
    module.Model, module.State = Model, State
    monkeypatch.setitem(sys.modules, "kenlm", module)
    names = names_file(tmp_path, "cab", "abc")
    found, heard = {}, {}
    for kind in ("arpa", "bin"):
        ngram = f"{files}/words.{kind}"
        options = ("--decoding", "ctc_beam", "--word_ngram", ngram, "--catalog", names)
        found[kind] = decode(files, tmp_path / kind, *options)
        heard[kind] = live(files, capsys, "--lm", ngram, "--names", names)
    assert found["bin"]["text"] == found["arpa"]["text"]
    scores = [float(one["score"].split()[1]) for one in found.values()]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    assert heard["bin"] == heard["arpa"]
    plain = decode(files, tmp_path / "plain", "--decoding", "ctc_beam")
    assert plain["score"] != found["bin"]["score"]


def test_without_the_module_a_binary_says_what_to_install(
    files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "kenlm", None)
    message = r"words\.bin: .* needs the package kenlm: pip install kenlm, or give the"
    options = ("--decoding", "ctc_beam", "--word_ngram", f"{files}/words.bin")
    with pytest.raises(ConfigError, match=message):
        decode(files, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match=f"--lm: .*{message}"):
        live(files, capsys, "--lm", f"{files}/words.bin")
    assert decode(files, tmp_path / "arpa", *options[:-1], f"{files}/words.arpa")
