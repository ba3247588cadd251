"""Names in ESPnet's beam search."""

import itertools
import random

import pytest
import torch
from ctc_beam_cases import LETTERS, SMALL, Pieces

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.tokenizers import CharTokenizer, WordTokenizer
from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.search.biasing_scorer import BiasingScorer
from espnet_dynlook.search.ctc_beam_arrays import BEGINS, SEPARATES
from espnet_dynlook.search.token_words import TokenWords

pytestmark = pytest.mark.host

BatchBeamSearch = espnet_nets("batch_beam_search").BatchBeamSearch
BeamSearch = espnet_nets("beam_search").BeamSearch
Interfaces = espnet_nets("scorer_interface")

TOKENIZERS = {"char": CharTokenizer, "bpe": Pieces, "word": WordTokenizer}
NAMES = {
    "char": [["ab", "b"], ["ab c", "abc", ("c", 2.0)], ["a b", "b c", "b"]],
    "bpe": [["ab", "b"], ["ab a", "a", ("ba", 0.5)], ["aa", "a b", "bb"]],
    "word": [["aa bb", "bb"], ["aa", "aa bb cc", ("cc", 3.0)], ["bb bb", "bb"]],
}


def tokens_of(kind):
    return [*SMALL[kind], "<sos/eos>"]


def catalog_of(kind, phrases):
    token_list = tokens_of(kind)
    return Catalog(phrases, TOKENIZERS[kind](token_list), token_list)


def naive_bonus(catalog, token_list, tokens, bonus=1.0):
    """Return the bonus of a hypothesis that has ended: the best set of whole entries.

    Plain words for what the scorer adds up token by token.
    """
    kinds = TokenWords(token_list).kinds
    starts = [
        kinds[t] != SEPARATES
        and (kinds[t] == BEGINS or n == 0 or kinds[tokens[n - 1]] == SEPARATES)
        for n, t in enumerate(tokens)
    ]
    begins = [*starts, True]
    matches = {}
    for entry, ways in zip(catalog, catalog.token_ids(), strict=True):
        for way in ways:
            for at in range(len(tokens) - len(way) + 1):
                end = at + len(way)
                closed = begins[end] or kinds[tokens[end]] == SEPARATES
                if starts[at] and closed and tokens[at:end] == way:
                    matches[at, end] = bonus * entry.weight * len(way)
    best = [0.0] * (len(tokens) + 1)
    for end in range(1, len(tokens) + 1):
        best[end] = best[end - 1]
        for at in range(end):
            if (at, end) in matches:
                best[end] = max(best[end], best[at] + matches[at, end])
    return best[-1]


def totals(scorer, longest):
    """Yield hypotheses, and the sum of the scores of each and its end."""
    nothing = torch.zeros(1).double()
    todo = [((), scorer.init_state(nothing), 0.0)]
    while todo:
        tokens, state, before = todo.pop()
        y = torch.tensor([scorer.eos, *tokens])
        scores, state = scorer.score(y, state, nothing)
        yield tokens, before + float(scores[scorer.eos]) + scorer.final_score(state)
        if len(tokens) < longest:
            for token in range(1, scorer.eos):
                todo.append(((*tokens, token), state, before + float(scores[token])))


@pytest.mark.parametrize("kind", sorted(SMALL))
@pytest.mark.parametrize("number", range(3))
def test_sum_of_the_scores_is_the_bonus_of_whole_entries(kind, number):
    token_list = tokens_of(kind)
    catalog = catalog_of(kind, NAMES[kind][number])
    scorer = BiasingScorer(token_list, len(token_list) - 1, catalog, bonus=1.25)
    seen = set()
    for tokens, found in totals(scorer, 5 if len(token_list) < 7 else 4):
        expected = naive_bonus(catalog, token_list, list(tokens), 1.25)
        assert found == pytest.approx(expected, abs=1e-9), tokens
        seen.add(expected)
    assert len(seen) > 2


class Table(Interfaces.BatchScorerInterface):
    """Log-probabilities by the tokens so far, at random."""

    def __init__(self, size, seed, real=None, longest=None):
        self.size, self.seed = size, seed
        self.real = size - 1 if real is None else real
        self.longest = longest

    def row(self, tokens):
        generator = torch.Generator().manual_seed(hash((self.seed, *tokens)) % 2**31)
        logits = torch.randn(self.size, generator=generator)
        logits[0] = -50.0  # the blank
        logits[self.real : -1] = -50.0  # tokens that only make room for the beam
        if self.longest is not None and len(tokens) > self.longest:
            logits[:-1] = -50.0
        return logits.log_softmax(0)

    def score(self, y, state, x):
        return self.row(y.tolist()), None

    def batch_score(self, ys, states, xs):
        return torch.stack([self.row(y) for y in ys.tolist()]), [None] * len(ys)


JUNK = [f"<junk{n}>" for n in range(110)]


def search(cls, token_list, scorers, beam, eos):
    return cls(
        scorers=scorers,
        weights=dict.fromkeys(scorers, 1.0),
        beam_size=beam,
        vocab_size=len(token_list),
        sos=eos,
        eos=eos,
        token_list=token_list,
        pre_beam_score_key="full",
    )


def nbest(found):
    return [(one.yseq.tolist(), round(float(one.score), 3)) for one in found]


@pytest.mark.parametrize(
    ("cls", "kind"),
    [(BatchBeamSearch, "char"), (BatchBeamSearch, "bpe"), (BeamSearch, "char")],
)
def test_a_beam_that_holds_all_finds_the_best_of_all_hypotheses(cls, kind):
    token_list = [*SMALL[kind], *JUNK, "<sos/eos>"]  # ESPnet wants V above the beam
    size, frames = len(token_list), 4
    eos = size - 1
    lists = NAMES[kind] if cls is BatchBeamSearch else NAMES[kind][1:2]
    for seed, names in enumerate(lists):
        catalog = Catalog(names, TOKENIZERS[kind](token_list), token_list)
        table = Table(size, seed, len(SMALL[kind]), frames - 1)
        scorer = BiasingScorer(token_list, eos, catalog, bonus=0.7)
        beam = search(cls, token_list, {"decoder": table, "biasing": scorer}, 100, eos)
        best = beam(torch.zeros(frames, 2), maxlenratio=0.0)[0]

        def score(tokens, table=table, catalog=catalog):
            rows = [table.row([eos, *tokens[:n]]) for n in range(len(tokens) + 1)]
            plain = sum(float(r[t]) for r, t in zip(rows, [*tokens, eos], strict=True))
            return plain + naive_bonus(catalog, token_list, list(tokens), 0.7)

        hypotheses = [
            tokens
            for length in range(frames)
            for tokens in itertools.product(range(1, len(SMALL[kind])), repeat=length)
        ]
        expected = max(hypotheses, key=score)
        assert tuple(token for token in best.yseq.tolist() if token != eos) == expected
        assert float(best.score) == pytest.approx(score(expected), abs=1e-3)


def test_no_entries_change_nothing():
    token_list = tokens_of("char")
    eos = len(token_list) - 1
    plain = search(BatchBeamSearch, token_list, {"decoder": Table(6, 1)}, 3, eos)
    for catalog in (None, catalog_of("char", []), catalog_of("char", [" "])):
        scorer = BiasingScorer(token_list, eos, catalog)
        parts = {"decoder": Table(6, 1), "biasing": scorer}
        named = search(BatchBeamSearch, token_list, parts, 3, eos)
        x = torch.zeros(6, 2)
        assert nbest(named(x)) == nbest(plain(x))


def test_order_and_duplicates_of_the_list_do_not_matter():
    token_list = tokens_of("char")
    eos = len(token_list) - 1
    names = ["ab", "abc", "b", "ab c", "b a", "cab", "ab"]
    found = set()
    for seed in range(4):
        random.Random(seed).shuffle(names)
        scorer = BiasingScorer(token_list, eos, catalog_of("char", names))
        parts = {"decoder": Table(6, 3), "biasing": scorer}
        result = search(BatchBeamSearch, token_list, parts, 4, eos)(torch.zeros(7, 2))
        found.add(str(nbest(result)))
    assert len(found) == 1


class Said(Table):
    """One text, said clearly, but for what a token has instead of it."""

    def __init__(self, token_list, tokens, instead):
        super().__init__(len(token_list), 0)
        self.tokens, self.instead = tokens, instead

    def row(self, tokens):
        at = len(tokens) - 1
        logits = torch.full((self.size,), -200.0)
        if at < len(self.tokens):
            logits[self.tokens[at]] = 0.0
            if at in self.instead:
                token, value = self.instead[at]
                logits[token] = value
        else:
            logits[self.size - 1] = 0.0
        return logits


def said(names, text, instead, bonus=2.0, beam=2):
    tokenizer = CharTokenizer(LETTERS)
    ids = {token: n for n, token in enumerate(LETTERS)}
    tokens = [ids[token] for token in tokenizer.text2tokens(text)]
    swapped = {at: (ids[token], value) for at, (token, value) in instead.items()}
    eos = len(LETTERS) - 1
    scorers = {"decoder": Said(LETTERS, tokens, swapped)}
    scorers["biasing"] = BiasingScorer(
        LETTERS, eos, Catalog(names, tokenizer, LETTERS), bonus
    )
    found = search(BatchBeamSearch, LETTERS, scorers, beam, eos)(torch.zeros(30, 2))
    return tokenizer.tokens2text([LETTERS[t] for t in found[0].yseq.tolist()[1:-1]])


def test_a_first_token_that_pruning_would_drop_is_kept():
    others = {0: ("z", -7.0)}
    # Its own first token is 7 nats behind; no other name is near.
    assert said(["zoe"], "joe ran", others, bonus=2.5) == "zoe ran"
    assert said([], "joe ran", others) == "joe ran"


def test_half_a_name_leaves_nothing_behind():
    others = {0: ("z", -3.0)}
    assert said(["zoella"], "joe ran", others, bonus=20.0, beam=8) == "joe ran"
    assert said(["zo"], "joe ran", others, bonus=20.0, beam=8) == "joe ran"
    assert said(["zoe ryan"], "joe ran", others, bonus=3.0, beam=8) == "joe ran"
    assert said(["zoe ran"], "joe ran", others) == "zoe ran"


def test_wrong_bonus_is_named():
    with pytest.raises(ValueError, match="bonus=-1"):
        BiasingScorer(LETTERS, len(LETTERS) - 1, bonus=-1)
