"""The bias of names in streams, piece by piece, against whole utterances."""

from types import SimpleNamespace

import pytest
import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.search.reach import reached
from espnet_dynlook.streaming.names import EncoderBias, Names

NAMES = [[[3, 4]], [[5]], [[6, 7, 8], [6, 9]]]
FRAMES = (11, 7, 9)


class Head(torch.nn.Linear):
    """Of CTC, as ESPnet's."""

    def log_softmax(self, h):
        return (3 * self(h)).log_softmax(dim=-1)


def setting(seed=0, margin=None):
    torch.manual_seed(seed)
    adapter = ContextualAdapter((1,), True, 12, 10, 8, 2, margin=margin).eval()
    torch.nn.init.normal_(adapter.output.weight)
    return adapter, [torch.randn(3, max(FRAMES), 12) for _ in range(2)]


def streamed(bias, hs, pieces, names):
    """Return the outputs of streams that get so many frames in each call.

    Args:
        bias: Under test.
        hs: Of a layer and of the whole encoder (B, T, D).
        pieces: Of each call, the frames of each stream.
        names: Of each call, the lists of the streams.
    """
    memory = bias.begin(len(hs[0]))
    done = [0] * len(hs[0])
    outs = [[] for _ in hs[0]]
    for counts, lists in zip(pieces, names, strict=True):
        layer, out = (
            torch.nn.utils.rnn.pad_sequence(
                [
                    h[n, d : d + c]
                    for n, (d, c) in enumerate(zip(done, counts, strict=True))
                ],
                batch_first=True,
                padding_value=7.0,  # what stands behind a stream's frames is no matter
            )
            for h in hs
        )
        found = [SimpleNamespace(layer=1, out=layer)]
        out, memory = bias(out, torch.tensor(counts), found, lists, memory)
        for n, count in enumerate(counts):
            outs[n].append(out[n, :count])
            done[n] += count
    return [torch.cat(own) for own in outs]


def later(near, frames):
    """Return it behind frames in which nothing is near."""
    pad = torch.nn.functional.pad
    barred = pad(near.barred, (0, 0, frames, 0), value=-torch.inf)
    return Near(near.columns, barred, pad(near.distances, (0, 0, 0, 0, frames, 0)))


PIECES = [(4, 0, 3), (1, 5, 0), (6, 2, 6)]


def biased(adapter, head, whole, encoded, scale=1.0):
    """Return whole utterances with their bias."""
    near = None
    if adapter.margin is not None:
        near, _ = reached(head.log_softmax(whole[-1]), encoded, adapter.margin)
        assert near.open.any() and not near.open.all()
    return whole[-1] + adapter(whole, encoded, scale, near)[0]


@pytest.mark.parametrize("margin", [None, 4.0])
@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_streams_get_what_whole_utterances_get(seed, margin):
    adapter, hs = setting(seed, margin)
    head = Head(12, 10)
    lists = [adapter.encode(NAMES), adapter.encode(NAMES[1:]), None]
    names = [Names(None, encoded=one) for one in lists]
    outs = streamed(EncoderBias(adapter, 0.7, head), hs, PIECES, [names] * 3)
    for n, (own, encoded, frames) in enumerate(zip(outs, lists, FRAMES, strict=True)):
        whole = [h[n : n + 1, :frames] for h in hs]
        expected = whole[-1][0]
        if encoded is not None:
            expected = biased(adapter, head, whole, encoded, 0.7)[0]
        torch.testing.assert_close(own, expected)


@torch.no_grad()
def test_a_list_that_comes_later_finds_what_was_heard_before_it():
    adapter, hs = setting()
    nobody, late = Names(None), Names(None, encoded=adapter.encode(NAMES))
    lists = [[nobody] * 3, [nobody] * 3, [late] * 3]
    outs = streamed(EncoderBias(adapter), hs, PIECES, lists)
    for n, (own, frames) in enumerate(zip(outs, FRAMES, strict=True)):
        whole = [h[n : n + 1, :frames] for h in hs]
        late_from = frames - PIECES[-1][n]
        assert torch.equal(own[:late_from], whole[-1][0, :late_from])
        expected = whole[-1] + adapter(whole, late.encoded)[0]
        torch.testing.assert_close(own[late_from:], expected[0, late_from:])


@torch.no_grad()
def test_where_names_stand_is_known_from_the_first_frame_that_has_them():
    adapter, hs = setting(margin=4.0)
    head, nobody = Head(12, 10), Names(None)
    late, other = (Names(None, encoded=adapter.encode(n)) for n in (NAMES, NAMES[:2]))
    lists = [[late, nobody, other], [late, late, other], [other, late, other]]
    bias = EncoderBias(adapter, ctc=head)
    outs = streamed(bias, hs, PIECES, lists)
    for n, frames in enumerate(FRAMES):
        # Frames from which on the stream has the list that it has at the end.
        begin = sum(
            p[n]
            for p, one in zip(PIECES, lists, strict=True)
            if one[n] is not lists[2][n]
        )
        whole = [h[n : n + 1, :frames] for h in hs]
        encoded = lists[2][n].encoded
        near, _ = reached(head.log_softmax(whole[-1][:, begin:]), encoded, 4.0)
        near = later(near, begin)
        expected = whole[-1] + adapter(whole, encoded, 1.0, near)[0]
        torch.testing.assert_close(outs[n][begin:], expected[0, begin:])


@torch.no_grad()
def test_a_new_utterance_begins_with_no_name_under_way():
    adapter, hs = setting(margin=4.0)
    bias = EncoderBias(adapter, ctc=Head(12, 10))
    names = [Names(None, encoded=adapter.encode(NAMES))] * 3
    found = [SimpleNamespace(layer=1, out=hs[0])]
    first, heard = bias(hs[1], torch.tensor([11] * 3), found, names, bias.begin(3))
    heard = heard.restarted([True, False, True])
    again, _ = bias(hs[1], torch.tensor([11] * 3), found, names, heard)
    for n in range(3):
        assert torch.allclose(first[n], again[n]) == (n != 1)


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_a_list_that_was_away_begins_anew_whatever_the_neighbours_have(seed):
    adapter, hs = setting(seed, margin=9.0)
    nobody, own = Names(None), Names(None, encoded=adapter.encode(NAMES))
    head, outs = Head(12, 10), []
    for neighbour in (nobody, own):
        lists = [[own, neighbour, neighbour]] * 3
        lists[1] = [nobody, neighbour, neighbour]
        bias = EncoderBias(adapter, ctc=head)
        outs.append(streamed(bias, hs, PIECES, lists)[0])
    torch.testing.assert_close(*outs)
    begin = sum(counts[0] for counts in PIECES[:2])
    whole = [h[:1, : FRAMES[0]] for h in hs]
    near, _ = reached(head.log_softmax(whole[-1][:, begin:]), own.encoded, 9.0)
    near = later(near, begin)
    expected = whole[-1] + adapter(whole, own.encoded, 1.0, near)[0]
    torch.testing.assert_close(outs[0][begin:], expected[0, begin:])


def test_a_margin_needs_the_head_that_measures_it():
    with pytest.raises(ValueError, match=r"adapter_margin=4\.0.* give ctc"):
        EncoderBias(setting(margin=4.0)[0])
