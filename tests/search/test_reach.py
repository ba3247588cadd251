"""Which beginnings of names the base might have heard, against all paths."""

import copy
import itertools
from dataclasses import replace

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


def distance(rows, tokens, counted=None):
    """Return how far tokens are from the best path, at the last frame.

    Args:
        rows: Of the frames until then.
        tokens: Of a beginning.
        counted: Frames that count; None: all.
    """
    lost = (rows - rows.amax(dim=1, keepdim=True)).tolist()
    for row in lost[counted:] if counted is not None else ():
        row[:] = [0.0] * len(row)
    found = [
        sum(lost[start + n][label] for n, label in enumerate(path))
        for start in range(len(rows))
        for path in itertools.product({BLANK, *tokens}, repeat=len(rows) - start)
        if path[0] != BLANK and spelled(path) == list(tokens)
    ]
    return max(found, default=float("-inf"))


def dense(near, number):
    """Return whether all beginnings are near, and distances (B, n, M, 3)."""
    known = torch.cat((near.open[..., None].float(), near.distances), dim=3)
    found = known.new_zeros(*known.shape[:2], number, 3)
    found[:, :, near.columns] = known
    assert torch.equal(found[..., 0].bool(), near.among(number))
    return found


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
        found, after = reached(log_probs, catalog, margin)
        near = found.among(len(beginnings(catalog)))
        assert near.shape == (2, 5, len(beginnings(catalog)))
        assert found.columns.tolist() == near.any(0).any(0).nonzero()[:, 0].tolist()
        for node, tokens in beginnings(catalog).items():
            for n, rows in enumerate(log_probs):
                exact = [distance(rows[: t + 1], tokens) for t in range(len(rows))]
                assert near[n, :, node].tolist() == [d >= -margin for d in exact]
                for t in near[n, :, node].nonzero()[:, 0].tolist():
                    column = found.columns.tolist().index(node)
                    without = distance(rows[: t + 1], tokens, t)
                    assert found.distances[n, t, column].tolist() == pytest.approx(
                        [without, exact[t]], abs=1e-4
                    )
                end = max(after[n].token[node], after[n].blank[node])
                kept = exact[-1] if exact[-1] >= -margin else float("-inf")
                assert end == pytest.approx(kept, abs=1e-4)


def test_what_the_best_path_says_costs_nothing():
    path = [0, 1, 1, 0, 1, 4, 0]
    log_probs = torch.eye(VOCAB)[path][None].mul(9).log_softmax(-1)
    near, _ = reached(log_probs, encode([[[1, 1, 4]]]), 1e-3)
    assert near.among(3)[0].int().T.tolist() == [
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
        dense(reached(rows[None], one, 4.0)[0], one.keys.size(1))[0]
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
            outs[n].append(dense(near, catalog.keys.size(1))[n, :count])
            done[n] += count
    for n, one in enumerate(lists):
        size = one.keys.size(1)
        assert torch.equal(torch.cat(outs[n])[:, :size], alone[n])


def with_margin():
    torch.manual_seed(0)
    adapter = ContextualAdapter((), True, 4, VOCAB, 4, 2, margin=3.0).eval()
    torch.nn.init.normal_(adapter.output.weight)
    hs, log_probs = [torch.randn(2, 5, 4)], random_log_probs(0)
    catalog = adapter.encode(LISTS[0])
    return adapter, hs, catalog, reached(log_probs, catalog, adapter.margin)[0]


@torch.no_grad()
def test_frames_attend_to_what_is_near_alone():
    adapter, hs, catalog, found = with_margin()
    adapter.nearness.zero_()
    catalog = replace(catalog, stamp=adapter.stamp())
    near = found.among(catalog.keys.size(1))
    assert near.any() and not near.all()
    bias, heads = adapter(hs, catalog, near=found)
    for n, t in itertools.product(range(2), range(5)):
        kept = near[n, t].nonzero()[:, 0]
        assert (heads[n, :, t, 1:][:, ~near[n, t]] == 0).all()
        short = replace(
            catalog, keys=catalog.keys[:, kept], values=catalog.values[:, kept]
        )
        expected, _ = adapter([h[n : n + 1] for h in hs], short)
        torch.testing.assert_close(bias[n, t], expected[0, t])
    nothing = replace(found, barred=torch.full_like(found.barred, -torch.inf))
    bias, _ = adapter(hs, catalog, near=nothing)
    assert torch.equal(bias, torch.zeros_like(bias))


@torch.no_grad()
def test_the_nearer_the_more_attention():
    """Odds against <no-bias> change by what distances weigh, in every head."""
    adapter, hs, catalog, found = with_margin()

    def odds():
        own = replace(catalog, stamp=adapter.stamp())
        heads = adapter(hs, own, near=found)[1]
        return (heads[..., 1 + found.columns] / heads[..., :1]).log()

    adapter.nearness.copy_(torch.tensor([0.3, 0.5]))
    weighed = odds()
    adapter.nearness.zero_()
    for n, t, k in found.open.nonzero().tolist():
        more = found.distances[n, t, k] @ torch.tensor([0.3, 0.5])
        changed = (weighed - odds())[n, :, t, k]
        torch.testing.assert_close(changed, more.expand(2), atol=1e-4, rtol=1e-4)


def test_what_distances_weigh_is_learned():
    adapter, hs, catalog, found = with_margin()
    adapter(hs, catalog, near=found)[0].square().sum().backward()
    assert (adapter.nearness.grad != 0).all()


def test_attention_is_zero_where_nothing_is_near():
    adapter, hs, catalog, found = with_margin()
    query, _ = adapter.listen(hs)
    bias, near = adapter.attend(query, catalog, near=found)
    whole_bias, whole = adapter(hs, catalog, near=found)
    assert torch.equal(bias, whole_bias)
    far = sorted(set(range(catalog.keys.size(1))) - set(found.columns.tolist()))
    assert torch.equal(whole[..., [0, *(1 + found.columns)]], near)
    assert (whole[..., [1 + column for column in far]] == 0).all()


def test_more_visits_than_there_was_room_for_are_all_kept():
    """A million and more: every way to go on for five tokens, 800 frames."""
    ways = [
        way for n in range(1, 6) for way in itertools.product((1, 2, 3, 4), repeat=n)
    ]
    catalog, log_probs = (
        encode([[list(way)] for way in ways]),
        random_log_probs(0, 1, 800),
    )
    found, _ = reached(log_probs, catalog, 1e9)
    assert found.open.sum() > 1 << 20
    first, state = reached(log_probs[:, :500], catalog, 1e9)
    rest, _ = reached(log_probs[:, 500:], catalog, 1e9, before=state)
    halves = [dense(one, len(ways)) for one in (first, rest)]
    assert torch.equal(dense(found, len(ways)), torch.cat(halves, dim=1))
