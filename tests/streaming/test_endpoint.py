"""Endpoints cut a stream into utterances, whatever the packets, and lose nothing."""

import random
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from recogniser_files import FS, speech, write_model

from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.incremental import GreedyCTC
from espnet_dynlook.search.prefix_beam import PrefixBeam
from espnet_dynlook.streaming.endpoint import Endpoint, Rules, Segment, follow

BLANK, WORD = 0, 1


def frames(labels):
    """Return log-probabilities (T, 3) that are sure of a label a frame."""
    return torch.nn.functional.one_hot(torch.tensor(labels).long(), 3).float().mul(20)


def cut(labels, rules, search=None, packet=None):
    """Return the utterances, the last one too."""
    log_probs = frames(labels).log_softmax(1)
    segment, found = Segment(search or GreedyCTC()), []
    size = packet or max(len(labels), 1)
    for start in range(0, len(labels), size):
        segment, ended = follow(segment, log_probs[start : start + size], rules)
        found += ended
    return [*found, segment]


@pytest.mark.parametrize("search", [GreedyCTC(), PrefixBeam.begin(4)])
def test_each_rule_ends_where_it_says(search):
    said = [0, 0, 1, 1, 0, 2, 0, 0, 0, 0, 1]
    bounds = [(one.start, one.stop) for one in cut(said, Rules(3, None, None), search)]
    assert bounds == [(0, 9), (9, 11)]  # three blanks behind frame 5
    bounds = [(one.start, one.stop) for one in cut(said, Rules(None, 2, None), search)]
    assert bounds == [(0, 2), (2, 11)]
    bounds = [(one.start, one.stop) for one in cut(said, Rules(None, None, 4), search)]
    assert bounds == [(0, 4), (4, 8), (8, 11)]


def test_packets_do_not_move_ends_and_nothing_is_lost():
    draw = random.Random(0)
    several = 0
    for _ in range(200):
        labels = draw.choices([0, 1, 2], weights=[6, 1, 1], k=draw.randint(0, 40))
        rules = Rules(
            draw.choice([None, 2, 5]), draw.choice([None, 3]), draw.choice([None, 9])
        )
        whole = cut(labels, rules)
        for packet in (1, 3, 7):
            assert [
                (one.start, one.stop, one.search.tokens)
                for one in cut(labels, rules, packet=packet)
            ] == [(one.start, one.stop, one.search.tokens) for one in whole]
        assert [one.start for one in whole[1:]] == [one.stop for one in whole[:-1]]
        if rules.longest is None:  # only silence is cut
            once = GreedyCTC().step(frames(labels).log_softmax(1))
            joined = [token for one in whole for token in one.search.tokens]
            assert joined == once.tokens
        several += len(whole) > 2
    assert several > 20


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    chunked = {"lookahead": "chunked", "lookahead_frames": 3}
    return Recognizer.from_files(
        *write_model(tmp_path_factory.mktemp("endpoint"), chunked)
    )


@pytest.mark.parametrize("size", [160, 5000])
def test_utterances_of_a_stream_are_those_of_the_whole(recognizer, size):
    samples = torch.cat(
        [speech(0, 1), torch.zeros(FS), speech(1, 1), torch.zeros(FS), speech(2, 1)]
    )
    endpoint = Endpoint(silence_ms=200, longest_ms=1500)
    once = recognizer.stream(endpoint).finish(samples)
    texts = [one.text for one in (*once.ended, once)]
    assert len(texts) > 2 and any(texts)
    stream, found = recognizer.stream(endpoint), []
    for start in range(0, len(samples), size):
        partial = stream.push(samples[start : start + size])
        found += partial.ended
        assert partial.text.startswith(partial.stable_text)
    last = stream.finish()
    found += [*last.ended, last]
    assert [one.text for one in found] == texts
    whole = recognizer.transcribe(samples)
    waits = [ms for one in found for ms in one.lookahead_ms]
    assert waits == list(whole.lookahead_ms)
    times = [word.start for one in found for word in one.words]
    assert times == sorted(times) and times[-1] > 2


def test_without_endpoints_nothing_ends(recognizer):
    result = recognizer.stream().finish(torch.zeros(5 * FS))
    assert result.ended == ()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"silence_ms": 0}, "silence_ms=0 must be above 0, or None"),
        ({"longest_ms": -1.0}, "longest_ms=-1.0 must be above 0"),
        ({"silence_ms": None}, "are all None, and nothing would end"),
    ],
)
def test_wrong_times_are_refused(times, message):
    with pytest.raises(ValueError, match=message):
        Endpoint(**times)
