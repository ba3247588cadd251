"""Posteriors, language models and catalogs for tests of the CTC beam search."""

import gzip
import math
import random

import pytest
import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ngram import ArpaModel

SMALL = {
    "char": ["<blank>", "<space>", "a", "b", "c"],
    "bpe": ["<blank>", "▁a", "▁b", "a", "b", "▁"],
    "word": ["<blank>", "aa", "bb", "cc"],
}
LETTERS = ["<blank>", "<unk>", "<space>", *"abcdefghijklmnopqrstuvwxyz'", "<sos/eos>"]
BLANK, SPACE = "<blank>", "<space>"
SYLLABLES = sorted(
    a + b + c for a in "bdfgklmnprstvwz" for b in "aeiou" for c in ("", "n", "r")
)


class Pieces:
    """Joins and splits pieces greedily, the longest first."""

    def __init__(self, token_list):
        self.token_list = tuple(token_list)

    def text2tokens(self, line):
        text = "▁" + line.replace(" ", "▁") if line else ""
        found = []
        while text:
            fitting = [t for t in self.token_list if text.startswith(t)]
            if not fitting:
                return [*found, text]
            found.append(max(fitting, key=len))
            text = text[len(found[-1]) :]
        return found

    def tokens2text(self, tokens):
        return "".join(tokens).replace("▁", " ").strip()


def random_rows(draw, frames, size, sharpness):
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    logits = sharpness * torch.randn(frames, size, generator=generator)
    return logits.double().log_softmax(1)


def spoken(token_list, tokens, *, sure=0.9, blanks=1, others=()):
    """Return posteriors (T, V) of a text said clearly, a frame each, blanks between.

    Args:
        token_list: Of the model.
        tokens: What is said.
        sure: Probability of what is said in its frame; the others share the rest. With
            ``others``, that of their frames; in the rest of them it is 0.999.
        blanks: Frames of blank behind each token.
        others: (place, {token: probability}): what a token's frame has beside it.
    """
    frames = []
    beside = dict(others)
    for place, token in enumerate(tokens):
        frames.append((token, beside.get(place, {})))
        frames += [(BLANK, {})] * blanks
    rows = torch.empty(len(frames), len(token_list), dtype=torch.double)
    for row, (token, more) in zip(rows, frames, strict=True):
        own = sure if more or not others else 0.999
        left = 1 - own - sum(more.values())
        row[:] = left / (len(token_list) - 1 - len(more))
        row[token_list.index(token)] = own
        for other, probability in more.items():
            row[token_list.index(other)] = probability
    return (rows / rows.sum(1, keepdim=True)).log()


def said(text, **options):
    """Return posteriors of characters said clearly."""
    return spoken(LETTERS, [SPACE if c == " " else c for c in text], **options)


def names(phrases, token_list=LETTERS, **options):
    """Return a catalog for characters, or for pieces where the list has them."""
    from espnet_dynlook.biasing.tokenizers import CharTokenizer, WordTokenizer

    if any(t.startswith("▁") for t in token_list):
        tokenizer = Pieces(token_list)
    elif SPACE in token_list or all(len(t) == 1 for t in token_list[1:]):
        tokenizer = CharTokenizer(token_list)
    else:
        tokenizer = WordTokenizer(token_list)
    return Catalog(phrases, tokenizer, token_list, **options)


class Asked:
    """A model that compiled code cannot ask, such as KenLM's."""

    def __init__(self, model):
        self.begin, self.score, self.knows = model.begin, model.score, model.knows


def write_arpa(path, words, draw, order=2, unknown=True):
    """Write an ARPA file of random numbers, some n-grams left out."""
    vocabulary = ["<s>", "</s>", *(["<unk>"] if unknown else []), *words]
    grams = [[(word,) for word in vocabulary]]
    for _ in range(order - 1):
        # An n-gram's beginning and its end have to be there.
        known = set(grams[-1])
        grams.append(
            [
                (*gram, word)
                for gram in grams[-1]
                for word in vocabulary[1:]
                if "</s>" not in gram
                and "<unk>" not in (*gram, word)
                and (len(gram) == 1 or (*gram[1:], word) in known)
                and draw.random() < 0.5
            ]
        )
    lines = ["\\data\\", *(f"ngram {n}={len(g)}" for n, g in enumerate(grams, 1)), ""]
    for n, some in enumerate(grams, 1):
        lines.append(f"\\{n}-grams:")
        for gram in some:
            score = -99.0 if gram == ("<s>",) else -draw.uniform(0.1, 3)
            backoff = f"\t{-draw.uniform(0, 1):.4f}" if n < order else ""
            lines.append(f"{score:.4f}\t{' '.join(gram)}{backoff}")
        lines.append("")
    text = "\n".join([*lines, "\\end\\", ""])
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return ArpaModel(path)


def random_entries(draw, token_list, number):
    """Return catalog-like entries: (token ids, weight), no separators at the edges."""
    ids = list(range(1, len(token_list)))
    starts = [i for i in ids if token_list[i].startswith("▁")] or ids
    found = []
    while len(found) < number:
        tokens = [draw.choice(starts)]
        tokens += [draw.choice(ids) for _ in range(draw.randint(0, 3))]
        edges = {token_list[tokens[0]], token_list[tokens[-1]]}
        if SPACE not in edges:
            found.append((tokens, draw.choice([1.0, 1.0, 0.5, 2.0])))
    return found


def paths_of(tokens, frames):
    """Return every CTC path of a labelling: for each frame its label, -1 a blank."""
    if frames == 0:
        return [] if tokens else [()]
    found = []

    def go(path, done):
        if len(path) == frames:
            if done == len(tokens):
                found.append(tuple(path))
            return
        last = path[-1] if path else -1
        go([*path, -1], done)
        if last >= 0:
            go([*path, last], done)
        if done < len(tokens) and tokens[done] != last:
            go([*path, tokens[done]], done + 1)

    go([], 0)
    return found


def log_sum(values):
    values = list(values)
    top = max(values, default=-math.inf)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(v - top) for v in values))


def seeded(seed):
    return random.Random(seed)


def search(beam=20, token_list=LETTERS, **options):
    return CTCBeamSearch(token_list, beam, **options)


def text_of(rows, catalog=None, **options):
    return search(**options)(rows, catalog, 1)[0].text


def all_of(found):
    return [(one.tokens, one.score, one.parts, one.frames) for one in found]


def same(found, plain):
    """Nothing is biased; entries may only keep some improbable path in the beam."""
    assert found.text == plain.text
    assert found.parts["bias"] == 0.0
    assert found.score == pytest.approx(plain.score, abs=0.02)


def nearly(word, wrong, sure=0.55, second=0.3):
    """Return posteriors of ``wrong``, with ``word`` second where they differ."""
    pairs = enumerate(zip(wrong, word, strict=True))
    others = [(n, {right: second}) for n, (heard, right) in pairs if heard != right]
    return said(wrong, sure=sure, others=others)
