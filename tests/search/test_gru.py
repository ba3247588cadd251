"""The compiled GRU of one stream is torch's."""

import pytest
import torch

from espnet_dynlook.search.gru import fast_gru


def gru(seed, inputs=5, size=7):
    torch.manual_seed(seed)
    return torch.nn.GRU(inputs, size, batch_first=True)


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_it_is_torchs(seed):
    own = gru(seed)
    inputs, state = 4 * torch.randn(1, 9, 5), torch.randn(1, 7)
    for before in (None, state):
        known = None if before is None else before[None]
        torch.testing.assert_close(fast_gru(own, inputs, before), own(inputs, known)[0])


@torch.no_grad()
def test_pieces_are_the_whole():
    own, inputs = gru(0), torch.randn(1, 9, 5)
    whole = fast_gru(own, inputs, None)
    first = fast_gru(own, inputs[:, :4], None)
    rest = fast_gru(own, inputs[:, 4:], first[:, -1])
    assert torch.equal(torch.cat((first, rest), dim=1), whole)
    assert fast_gru(own, inputs[:, :0], first[:, -1]).shape == (1, 0, 7)


@torch.no_grad()
def test_a_stream_of_many_is_as_alone():
    own, inputs, state = gru(1), torch.randn(3, 6, 5), torch.randn(3, 7)
    together = fast_gru(own, inputs, state)
    for n in range(3):
        alone = fast_gru(own, inputs[n : n + 1], state[n : n + 1])
        torch.testing.assert_close(alone[0], together[n])


@torch.no_grad()
def test_what_is_no_number_stays_none_and_the_largest_numbers_are_borne():
    own, inputs = gru(2), torch.randn(1, 6, 5)
    inputs[0, 2] = 1e30
    found = fast_gru(own, inputs, None)
    torch.testing.assert_close(found, own(inputs)[0])
    inputs[0, 2, 1] = torch.nan
    found = fast_gru(own, inputs, None)[0]
    assert not found[:2].isnan().any() and found[2:].isnan().all()


def test_gradients_are_torchs():
    own, inputs = gru(3), torch.randn(1, 6, 5)
    fast_gru(own, inputs, None).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in own.parameters())


@torch.no_grad()
def test_other_numbers_are_torchs():
    own, inputs = gru(4).double(), torch.randn(1, 6, 5).double()
    assert torch.equal(fast_gru(own, inputs, None), own(inputs)[0])
    own, inputs = own.float(), inputs.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fast_gru(own, inputs, None), own(inputs)[0])
