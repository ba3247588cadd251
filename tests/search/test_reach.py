"""Which beginnings of names the base might have heard, against all paths."""

import copy
import itertools

import pytest
import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.search.reach import reached

VOCAB, BLANK = 5, 0
LISTS = [[[[1, 2]], [[3]], [[1, 1, 4], [1, 4]]], [[[2]]], []]


def encode(names):
    return ContextualAdapter((), True, 4, VOCAB, 4, 1).eval().encode(names)


def random_log_probs(seed, batch=2, frames=5):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, frames, VOCAB, generator=generator)
    return logits.log_softmax(dim=-1)


def spelled(path):
    return [token for token, _ in itertools.groupby(path) if token != BLANK]


def distance(rows, tokens):
    """Return how far tokens are from the best path, at the last frame."""
    lost = rows - rows.amax(dim=1, keepdim=True)
    found = [
        sum(lost[start + n, label].item() for n, label in enumerate(path))
        for start in range(len(rows))
        for path in itertools.product({BLANK, *tokens}, repeat=len(rows) - start)
        if path[0] != BLANK and spelled(path) == list(tokens)
    ]
    return max(found, default=float("-inf"))


def beginnings(catalog):
    [names] = catalog.lists
    found = {}
    for ways in names.paths:
        for way in ways:
            for n, node in enumerate(way):
                found[node] = names.tokens[list(way[: n + 1])].tolist()
    return found


@pytest.mark.parametrize("names", LISTS)
@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_of_all_paths(seed, names):
    catalog, log_probs = encode(names), random_log_probs(seed)
    for margin in (1.0, 4.0, 9.0):
        near, after = reached(log_probs, catalog, margin)
        assert near.shape == (2, 5, len(beginnings(catalog)))
        for node, tokens in beginnings(catalog).items():
            for n, rows in enumerate(log_probs):
                exact = [distance(rows[: t + 1], tokens) for t in range(len(rows))]
                assert near[n, :, node].tolist() == [d >= -margin for d in exact]
                end = max(after[n].token[node], after[n].blank[node])
                kept = exact[-1] if exact[-1] >= -margin else float("-inf")
                assert end == pytest.approx(kept, abs=1e-4)


def test_what_the_best_path_says_costs_nothing():
    path = [0, 1, 1, 0, 1, 4, 0]
    log_probs = torch.eye(VOCAB)[path][None].mul(9).log_softmax(-1)
    near, _ = reached(log_probs, encode([[[1, 1, 4]]]), 1e-3)
    assert near[0].int().T.tolist() == [
        [0, 1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 1],
    ]


@pytest.mark.parametrize("seed", range(5))
def test_pieces_and_padding_change_nothing(seed):
    log_probs = random_log_probs(seed, batch=3, frames=8)
    lists = [encode(names) for names in LISTS]
    stamp = lists[0].stamp
    catalog = EncodedCatalog.batch(
        [EncodedCatalog(**{**vars(one), "stamp": stamp}) for one in lists]
    )
    alone = [
        reached(rows[None], one, 4.0)[0][0]
        for rows, one in zip(log_probs, lists, strict=True)
    ]
    state, done = None, [0, 0, 0]
    outs = [[], [], []]
    for counts in ((3, 0, 1), (0, 5, 4), (5, 3, 3)):
        rows = torch.nn.utils.rnn.pad_sequence(
            [
                log_probs[n, d : d + c]
                for n, (d, c) in enumerate(zip(done, counts, strict=True))
            ],
            batch_first=True,
        )
        kept = copy.deepcopy(state)
        near, after = reached(rows, catalog, 4.0, before=state, counts=counts)
        for one, as_was in zip(state or [], kept or [], strict=True):
            assert (one.token == as_was.token).all()
            assert (one.blank == as_was.blank).all()
        state = after
        for n, count in enumerate(counts):
            outs[n].append(near[n, :count])
            done[n] += count
    for n, one in enumerate(lists):
        size = one.keys.size(1)
        assert torch.equal(torch.cat(outs[n])[:, :size], alone[n])


def test_frames_attend_to_what_is_near_alone():
    torch.manual_seed(0)
    adapter = ContextualAdapter((), True, 4, VOCAB, 4, 2).eval()
    torch.nn.init.normal_(adapter.output.weight)
    hs, log_probs = [torch.randn(2, 5, 4)], random_log_probs(0)
    catalog = adapter.encode(LISTS[0])
    near, _ = reached(log_probs, catalog, 3.0)
    assert near.any() and not near.all()
    bias, heads = adapter(hs, catalog, near=near)
    for n, t in itertools.product(range(2), range(5)):
        kept = near[n, t].nonzero()[:, 0]
        assert (heads[n, :, t, 1:][:, ~near[n, t]] == 0).all()
        short = EncodedCatalog(
            catalog.keys[:, kept], catalog.values[:, kept], catalog.lists,
            None, None, (), catalog.stamp,
        )  # fmt: skip
        expected, _ = adapter([h[n : n + 1] for h in hs], short)
        torch.testing.assert_close(bias[n, t], expected[0, t])
    everything, _ = adapter(hs, catalog, near=torch.ones_like(near))
    assert torch.equal(everything, adapter(hs, catalog)[0])
    nothing, _ = adapter(hs, catalog, near=torch.zeros_like(near))
    assert torch.equal(nothing, torch.zeros_like(nothing))
