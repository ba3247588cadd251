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
    bias, attention = adapter(hs, adapter.encode(NAMES))
    assert torch.equal(bias, torch.zeros(2, 7, 12))
    assert attention.shape == (2, 7, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 7))


def test_frames_begin_by_attending_to_names_with_their_own_token():
    torch.manual_seed(0)
    rows = torch.randn(10, 12)
    adapter = ContextualAdapter((), True, 12, 10, 24, 1).eval()
    adapter.start_from(rows)
    names = [[[token]] for token in range(1, 10)]
    _, attention = adapter([rows[None]], adapter.encode(names))
    assert attention[0, 1:, 1:].argmax(dim=1).tolist() == list(range(9))


def test_an_empty_list_adds_exactly_nothing():
    adapter, hs = make(), frames()
    bias, attention = adapter(hs, adapter.encode([]))
    assert torch.equal(bias, torch.zeros(2, 7, 12))
    assert torch.equal(attention, torch.ones(2, 7, 1))


def test_attention_on_nobody_adds_exactly_nothing():
    adapter, hs = make(), frames()
    catalog = adapter.encode(NAMES).of(torch.tensor([[False] * 4, [True] * 4]))
    bias, attention = adapter(hs, catalog)
    assert torch.equal(bias[0], torch.zeros(7, 12)) and bias[1].abs().sum() > 0
    assert torch.equal(attention[0, :, 0], torch.ones(7))


def test_order_of_the_list_does_not_matter():
    adapter, hs = make(), frames()
    order = [2, 0, 3, 1]
    bias, attention = adapter(hs, adapter.encode(NAMES))
    other, permuted = adapter(hs, adapter.encode([NAMES[i] for i in order]))
    torch.testing.assert_close(other, bias)
    torch.testing.assert_close(permuted[..., 1:], attention[..., 1:][..., order])
    torch.testing.assert_close(permuted[..., 0], attention[..., 0])


def test_order_and_repetition_of_segmentations_do_not_matter():
    adapter = make()
    one = adapter.encode([[[6, 7, 8], [6, 9]]])
    other = adapter.encode([[[6, 9], [6, 7, 8]]])
    torch.testing.assert_close(one.keys, other.keys)
    alone = [adapter.encode([[way]]).keys for way in ([6, 7, 8], [6, 9])]
    mean = adapter.key.bias + sum(k - adapter.key.bias for k in alone) / 2
    torch.testing.assert_close(one.keys, mean)


def test_a_list_alone_is_the_list_in_a_padded_batch():
    adapter, hs = make(), frames(batch=3)
    lists = [NAMES, [], NAMES[1:3]]
    alone = [
        adapter([h[n : n + 1] for h in hs], adapter.encode(own))
        for n, own in enumerate(lists)
    ]
    together = EncodedCatalog.batch([adapter.encode(own) for own in lists])
    bias, attention = adapter(hs, together)
    for n, (one, attended) in enumerate(alone):
        torch.testing.assert_close(bias[n : n + 1], one)
        width = attended.size(2)
        torch.testing.assert_close(attention[n : n + 1, :, :width], attended)
        assert (attention[n, :, width:] == 0).all()


def test_lists_out_of_a_shared_one_are_lists_of_their_own():
    adapter, hs = make(), frames()
    present = torch.tensor([[True, False, True, True], [False, True, False, False]])
    bias, _ = adapter(hs, adapter.encode(NAMES).of(present))
    lists = [[n for n, p in zip(NAMES, row, strict=True) if p] for row in present]
    other, _ = adapter(hs, EncodedCatalog.batch([adapter.encode(x) for x in lists]))
    torch.testing.assert_close(bias, other)


def test_frames_do_not_depend_on_other_frames():
    adapter, hs = make(), frames()
    catalog = adapter.encode(NAMES)
    whole, attention = adapter(hs, catalog)
    pieces = [
        adapter([h[:, a:b] for h in hs], catalog) for a, b in ((0, 3), (3, 4), (4, 7))
    ]
    torch.testing.assert_close(torch.cat([p[0] for p in pieces], 1), whole)
    torch.testing.assert_close(torch.cat([p[1] for p in pieces], 1), attention)


def test_names_are_encoded_alike_in_blocks(monkeypatch):
    from espnet_dynlook.biasing import adapter as module

    adapter = make()
    whole = adapter.encode(NAMES)
    monkeypatch.setattr(module, "BLOCK", 2)
    torch.testing.assert_close(adapter.encode(NAMES).keys, whole.keys)


def test_scale_and_weights_multiply_the_bias():
    adapter, hs = make(), frames()
    bias, _ = adapter(hs, adapter.encode(NAMES))
    torch.testing.assert_close(adapter(hs, adapter.encode(NAMES), 0.5)[0], bias / 2)
    doubled = adapter.encode(NAMES, weights=[2.0] * 4)
    torch.testing.assert_close(adapter(hs, doubled)[0], bias * 2)


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
        ({"layers": (), "use_last": False}, "nothing to make the query of"),
    ],
)
def test_bad_sizes_say_what_to_write(changes, message):
    values = {"layers": (1,), "use_last": True, "size": 12, "vocab_size": 10}
    with pytest.raises(ValueError, match=message):
        ContextualAdapter(**{**values, "attention_size": 8, "heads": 2, **changes})
