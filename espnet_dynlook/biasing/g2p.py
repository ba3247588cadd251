"""g2p_en's network, which guesses how a word is said from its letters.

A GRU encoder and a GRU decoder by Park and Kim (github.com/Kyubyong/g2p), trained on
CMUdict. Only its weights are used: importing the package ``g2p_en`` wants NLTK's data
and downloads them, and its own code takes one word at a time.
"""

import functools
import importlib.util
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from espnet_dynlook.biasing.phones import PHONES, VOWELS, Pronunciation

#: Phones after which the network is stopped if it has not stopped by itself.
MAX_PHONES = 20
_LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_LETTER_IDS = {letter: i for i, letter in enumerate(_LETTERS)}
_START, _END = 2, 3
# In the order of the network's outputs: UW has a form without stress, left from an old
# release of CMUdict.
_OUTPUTS = ["<pad>", "<unk>", "<s>", "</s>"] + [
    phone + stress
    for phone in PHONES
    for stress in (
        ("", "0", "1", "2") if phone == "UW" else "012" if phone in VOWELS else ("",)
    )
]
_BATCH = 512


class MissingPackage(ImportError):
    """A package that pronunciations need is not installed."""

    def __init__(self, name: str):
        super().__init__(
            f"pronunciations need the package {name}: pip install "
            "'espnet-dynlook[names]', or give pronunciations with the names"
        )


def checkpoint() -> Path:
    """Return the file of the network's weights, without importing its package.

    Raises:
        MissingPackage: The package is not installed.
    """
    spec = importlib.util.find_spec("g2p_en")
    if spec is None or spec.origin is None:
        raise MissingPackage("espnet-g2p-en")
    return Path(spec.origin).parent / "checkpoint20.npz"


@functools.lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    with np.load(checkpoint()) as stored:
        weights = {name: stored[name] for name in stored.files}
    if len(weights["fc_b"]) != len(_OUTPUTS) or len(weights["enc_emb"]) != len(
        _LETTERS
    ):
        raise ValueError(f"{checkpoint()} is not the network that is known here")
    return weights


def _cell(x: np.ndarray, h: np.ndarray, w: dict[str, np.ndarray], part: str):
    """Take one step of a GRU; x (N, 64), h (N, 128)."""
    given = x @ w[f"{part}_w_ih"].T + w[f"{part}_b_ih"]  # (N, 3 * 128): r, z, n
    kept = h @ w[f"{part}_w_hh"].T + w[f"{part}_b_hh"]
    r_i, z_i, n_i = np.split(given, 3, axis=1)
    r_h, z_h, n_h = np.split(kept, 3, axis=1)
    r, z = 1 / (1 + np.exp(-(r_i + r_h))), 1 / (1 + np.exp(-(z_i + z_h)))
    return (1 - z) * np.tanh(n_i + r * n_h) + z * h


def guess(words: Iterable[str]) -> dict[str, Pronunciation]:
    """Return the network's pronunciation of each word, with stress.

    Args:
        words: Of the letters a to z.

    Raises:
        MissingPackage: g2p_en is not installed.
        ValueError: A word is empty or has something else than a to z.
    """
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for word in sorted(set(words)):
        if not (word.isascii() and word.isalpha() and word.islower()):
            raise ValueError(f"{word!r} has something else than the letters a to z")
        by_length[len(word)].append(word)
    found: dict[str, Pronunciation] = {}
    for same in by_length.values():  # equal lengths need no masks
        for start in range(0, len(same), _BATCH):
            batch = same[start : start + _BATCH]
            found.update(zip(batch, _guess_batch(batch), strict=True))
    return found


def _guess_batch(words: list[str]) -> list[Pronunciation]:
    """Return the pronunciations of words of one length."""
    w = _weights()
    ids = [[_LETTER_IDS[c] for c in (*word, "</s>")] for word in words]
    letters = w["enc_emb"][np.array(ids)]  # (N, T, 64)
    h = np.zeros((len(words), w["enc_w_hh"].shape[1]), np.float32)
    for t in range(letters.shape[1]):
        h = _cell(letters[:, t], h, w, "enc")
    phones = np.full((len(words), MAX_PHONES), _END)
    going = np.arange(len(words))  # words that have not ended
    last = np.full(len(words), _START)
    for t in range(MAX_PHONES):
        h = _cell(w["dec_emb"][last], h, w, "dec")
        last = (h @ w["fc_w"].T + w["fc_b"]).argmax(axis=1)
        more = last != _END
        going, last, h = going[more], last[more], h[more]
        if not len(going):
            break
        phones[going, t] = last
    # <pad>, <unk> and <s> have never been seen to come out; they are no phones.
    return [tuple(_OUTPUTS[p] for p in said if p > _END) for said in phones.tolist()]
