"""The networks of the contextual adapter."""

import pytest
import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.fingerprint import OtherBase, fingerprint, unknown_base

NAMES = [[[3, 4]], [[5]], [[6, 7, 8], [6, 9]], [[4, 3]]]


def make(trained=True, layers=(1, 2), use_last=True, seed=0):
    torch.manual_seed(seed)
    adapter = ContextualAdapter(layers, use_last, 12, 10, 8, 2).eval()
    if trained:  # away from its start
        torch.nn.init.normal_(adapter.output.weight, std=0.5)
        torch.nn.init.normal_(adapter.mixture)
    return adapter


def frames(batch=2, n=7, layers=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, n, 12, generator=generator) for _ in range(layers)]


def test_a_new_adapter_adds_exactly_nothing():
    adapter, hs = make(trained=False), frames()
    catalog = adapter.encode(NAMES)
    bias, heads = adapter(hs, catalog)
    assert torch.equal(bias, torch.zeros(2, 7, 12))
    assert heads.shape == (2, 2, 7, 1 + 9)  # 3, 34, 4, 43, 5, 6, 67, 678, 69
    attention = catalog.by_name(heads)
    assert attention.shape == (2, 2, 7, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2, 7))


def test_what_names_share_is_divided_among_them():
    adapter, hs = make(), frames()
    catalog = adapter.encode([[[3, 4]], [[3, 5], [3, 4, 6]], [[7]]])
    heads = adapter(hs, catalog)[1]
    nodes = {ids: 1 + n for n, ids in enumerate(["3", "7", "34", "35", "346"])}
    own = {ids: heads[..., column] for ids, column in nodes.items()}
    both = (own["3"] + own["34"]) / 2
    expected = [heads[..., 0], both, both + own["35"] + own["346"], own["7"]]
    torch.testing.assert_close(catalog.by_name(heads), torch.stack(expected, -1))
    alone = catalog.of(torch.tensor([[True, False, True], [False, False, True]]))
    heads = adapter(hs, alone)[1]
    own = {ids: heads[..., column] for ids, column in nodes.items()}
    found = alone.by_name(heads)
    torch.testing.assert_close(found[0, ..., 1], own["3"][0] + own["34"][0])
    assert (found[:, ..., 2] == 0).all() and (found[1, ..., 1] == 0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 2, 7))


def test_frames_begin_by_attending_to_names_with_their_own_token():
    torch.manual_seed(0)
    rows = torch.randn(10, 12)
    adapter = ContextualAdapter((), True, 12, 10, 24, 1).eval()
    adapter.start_from(rows)
    names = [[[token]] for token in range(1, 10)]
    with torch.no_grad():  # what it has heard says nothing yet
        adapter.query.weight[:, 12:] = 0
    _, heads = adapter([rows[None]], adapter.encode(names))
    assert heads[0, 0, 1:, 1:].argmax(dim=1).tolist() == list(range(9))


def test_an_empty_list_adds_exactly_nothing():
    adapter, hs = make(), frames()
    bias, attention = adapter(hs, adapter.encode([]))
    assert torch.equal(bias, torch.zeros(2, 7, 12))
    assert torch.equal(attention, torch.ones(2, 2, 7, 1))


def test_attention_on_nobody_adds_exactly_nothing():
    adapter, hs = make(), frames()
    catalog = adapter.encode(NAMES).of(torch.tensor([[False] * 4, [True] * 4]))
    bias, attention = adapter(hs, catalog)
    assert torch.equal(bias[0], torch.zeros(7, 12)) and bias[1].abs().sum() > 0
    assert torch.equal(attention[0, ..., 0], torch.ones(2, 7))


def test_order_of_the_list_does_not_matter():
    adapter, hs = make(), frames()
    order = [2, 0, 3, 1]
    shuffled = [NAMES[i] for i in order]
    catalogs = adapter.encode(NAMES), adapter.encode(shuffled)
    (bias, heads), (other, permuted) = (adapter(hs, one) for one in catalogs)
    assert torch.equal(other, bias) and torch.equal(permuted, heads)
    attention, permuted = (one.by_name(heads) for one in catalogs)
    torch.testing.assert_close(permuted[..., 1:], attention[..., 1:][..., order])
    torch.testing.assert_close(permuted[..., 0], attention[..., 0])


def test_order_and_repetition_of_segmentations_do_not_matter():
    adapter = make()
    one = adapter.encode([[[6, 7, 8], [6, 9]]])
    for other in ([[6, 9], [6, 7, 8]], [[6, 9], [6, 7, 8], [6, 9]]):
        again = adapter.encode([other])
        assert torch.equal(one.keys, again.keys)
        assert torch.equal(one.values, again.values)


def test_a_beginning_is_the_same_whatever_follows_it():
    adapter = make()
    one = adapter.encode([[[6, 7, 8]], [[6, 9]]])
    other = adapter.encode([[[6, 7, 1, 2]], [[5]]])
    assert one.lists[0].paths == [[(0, 1, 3)], [(0, 2)]]
    assert other.lists[0].paths == [[(1, 2, 3, 4)], [(0,)]]
    torch.testing.assert_close(one.keys[0, :2], other.keys[0, 1:3])
    torch.testing.assert_close(one.values[0, :2], other.values[0, 1:3])


def test_a_list_alone_is_the_list_in_a_padded_batch():
    adapter, hs = make(), frames(batch=3)
    lists = [NAMES, [], NAMES[1:3]]
    catalogs = [adapter.encode(own) for own in lists]
    alone = [adapter([h[n : n + 1] for h in hs], own) for n, own in enumerate(catalogs)]
    together = EncodedCatalog.batch(catalogs)
    bias, heads = adapter(hs, together)
    names = together.by_name(heads)
    for n, (one, attended) in enumerate(alone):
        torch.testing.assert_close(bias[n : n + 1], one)
        width = attended.size(3)
        torch.testing.assert_close(heads[n : n + 1, ..., :width], attended)
        assert (heads[n, ..., width:] == 0).all()
        own = catalogs[n].by_name(attended)
        torch.testing.assert_close(names[n : n + 1, ..., : own.size(3)], own)
        assert (names[n, ..., own.size(3) :] == 0).all()


def test_lists_out_of_a_shared_one_are_lists_of_their_own():
    adapter, hs = make(), frames()
    present = torch.tensor([[True, False, True, True], [False, True, False, False]])
    bias, _ = adapter(hs, adapter.encode(NAMES).of(present))
    lists = [[n for n, p in zip(NAMES, row, strict=True) if p] for row in present]
    other, _ = adapter(hs, EncodedCatalog.batch([adapter.encode(x) for x in lists]))
    torch.testing.assert_close(bias, other)


def test_frames_depend_on_those_before_them_alone():
    adapter, hs = make(), frames()
    catalog = adapter.encode(NAMES)
    whole, heads = adapter(hs, catalog)
    memory, pieces = None, []
    for a, b in ((0, 3), (3, 4), (4, 7)):
        query, memories = adapter.listen([h[:, a:b] for h in hs], memory)
        memory = memories[:, -1]
        pieces.append(adapter.attend(query, catalog))
    torch.testing.assert_close(torch.cat([p[0] for p in pieces], 1), whole)
    torch.testing.assert_close(torch.cat([p[1] for p in pieces], 2), heads)


def test_scale_and_weights_multiply_the_bias():
    adapter, hs = make(), frames()
    bias, _ = adapter(hs, adapter.encode(NAMES))
    torch.testing.assert_close(adapter(hs, adapter.encode(NAMES), 0.5)[0], bias / 2)
    doubled = adapter.encode(NAMES, weights=[2.0] * 4)
    torch.testing.assert_close(adapter(hs, doubled)[0], bias * 2)


def test_what_names_share_has_the_largest_of_their_weights():
    adapter = make()
    names = [[[3, 4]], [[3, 5]]]
    plain = adapter.encode(names).values[0]
    weighted = adapter.encode(names, weights=[0.5, 2.0]).values[0]
    torch.testing.assert_close(weighted, plain * torch.tensor([[2.0], [0.5], [2.0]]))


def test_a_catalog_of_other_parameters_is_refused():
    adapter, hs = make(), frames()
    catalog = adapter.encode(NAMES)
    adapter(hs, catalog)
    adapter(hs, catalog)  # as often as wanted
    with torch.no_grad():
        adapter.no_bias.add_(0.1)
    with pytest.raises(ValueError, match="encode it again"):
        adapter(hs, catalog)
    with pytest.raises(ValueError, match="encode it again"):
        make()(hs, make(seed=1).encode(NAMES))


def test_wrong_outputs_are_refused():
    adapter = make()
    catalog = adapter.encode(NAMES)
    with pytest.raises(ValueError, match="reads 3 outputs"):
        adapter(frames(layers=2), catalog)
    hs = frames()
    with pytest.raises(ValueError, match="of one shape"):
        adapter([hs[0][:, :3], *hs[1:]], catalog)
    with pytest.raises(ValueError, match=r"names \[1\] of the catalog have no tokens"):
        adapter.encode([[[3]], [[]]])


def test_gradients_come_to_every_parameter():
    adapter = make().train()
    bias, attention = adapter(frames(), adapter.encode(NAMES))
    (bias.square().mean() - attention[..., 2].log().mean()).backward()
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def test_a_new_adapter_has_a_gradient_that_moves_it():
    adapter = make(trained=False).train()
    bias, _ = adapter(frames(), adapter.encode(NAMES))
    bias.sum().backward()
    assert adapter.output.weight.grad.abs().sum() > 0


def test_parameters_of_another_base_are_refused():
    adapter, other = make(), make()
    adapter.base.copy_(fingerprint({"weight": torch.ones(2)}))
    other.load_state_dict(adapter.state_dict())  # it has met no base
    other.base.copy_(fingerprint({"weight": torch.zeros(2)}))
    with pytest.raises(OtherBase, match=r"on the base [0-9a-f]{12}, and this base is"):
        other.load_state_dict(adapter.state_dict())


def test_fingerprints_tell_values_names_and_shapes_and_survive_averaging():
    state = {"a": torch.arange(6.0), "b": torch.tensor(3)}
    own = fingerprint(state)
    assert torch.equal(own, fingerprint(dict(reversed(state.items()))))
    assert own.any() and not unknown_base().any()
    for other in (
        {**state, "a": torch.arange(6.0) + 1e-6},
        {**state, "a": torch.arange(6.0).reshape(2, 3)},
        {"c": state["a"], "b": state["b"]},
    ):
        assert not torch.equal(own, fingerprint(other))
    assert torch.equal((own + own + own) / 3, own)
    assert torch.equal(own.bfloat16().float(), own)
    # A training builds the means of features as doubles, and decoding as floats.
    assert torch.equal(own, fingerprint({**state, "a": state["a"].double()}))
    assert not torch.equal(own, fingerprint({**state, "a": state["a"].half()}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "multiple of"),
        ({"dropout": 1.0}, "adapter_dropout"),
        ({"margin": 0.0}, "adapter_margin=0.0 must be above 0"),
        ({"margin": float("nan")}, "adapter_margin=nan must be above 0"),
        ({"layers": (), "use_last": False}, "nothing to make the query of"),
    ],
)
def test_bad_sizes_say_what_to_write(changes, message):
    values = {"layers": (1,), "use_last": True, "size": 12, "vocab_size": 10}
    with pytest.raises(ValueError, match=message):
        ContextualAdapter(**{**values, "attention_size": 8, "heads": 2, **changes})


def naive(adapter, hs, names):
    """Return the bias of one utterance (n, D) by clear code, a beginning at a time."""
    vectors = {}
    for ids in sorted(
        {tuple(w[: n + 1]) for x in names for w in x for n in range(len(w))}
    ):
        state = torch.zeros(1, adapter.no_bias.numel())
        for token in ids:
            embedded = adapter.names.norm(adapter.names.embedding.weight[token])[None]
            state = adapter.names.walk(embedded, state)
        vectors[ids] = torch.cat((embedded, state), 1)[0]
    size = adapter.no_bias.numel() // adapter.heads
    share = adapter.mixture.softmax(0)
    memory, rows = torch.zeros(1, 1, adapter.no_bias.numel()), []
    for frame in range(hs[0].shape[1]):
        mixed = sum(
            w * norm(h[0, frame])
            for w, norm, h in zip(share, adapter.norms, hs, strict=True)
        )
        _, memory = adapter.listener(mixed[None, None], memory)
        query = adapter.query(torch.cat((mixed, memory[0, 0])))
        context = []
        for head in range(adapter.heads):
            part = slice(head * size, (head + 1) * size)
            scores = [query[part] @ adapter.no_bias[part]]
            scores += [query[part] @ adapter.key(v)[part] for v in vectors.values()]
            masses = (torch.stack(scores) / size**0.5).softmax(0)[1:]
            values = [adapter.value(v)[part] for v in vectors.values()]
            context.append(sum(m * v for m, v in zip(masses, values, strict=True)))
        rows.append(adapter.output(torch.cat(context)))
    return torch.stack(rows)


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_the_bias_is_what_clear_code_says(seed):
    adapter, hs = make(seed=seed), frames(seed=seed + 1)
    bias, _ = adapter(hs, adapter.encode(NAMES))
    for n in range(2):
        expected = naive(adapter, [h[n : n + 1] for h in hs], NAMES)
        torch.testing.assert_close(bias[n], expected)
