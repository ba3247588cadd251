"""Five minutes of audio: state and work per packet stay as they are after a minute."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from recogniser_files import FS, mix_gates, speech, write_model

from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.streaming.words import WordReader

DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_bias": 0.1}
KINDS = {
    "chunked": {"lookahead": "chunked", "lookahead_frames": 3},
    "sequential": {**DYNAMIC, "lookahead_scheduler": "sequential"},
    "segment": {**DYNAMIC, "lookahead_scheduler": "segment"},
}
MINUTES = 5
PACKET = FS * 32 // 100


def values(state):
    """Return how many numbers a state holds, searches and modules left out."""
    if isinstance(state, torch.Tensor):
        return state.numel()
    if isinstance(state, (tuple, list)):
        return sum(values(one) for one in state)
    if dataclasses.is_dataclass(state):
        names = [field.name for field in dataclasses.fields(state)]
        return sum(values(getattr(state, name)) for name in names)
    return int(isinstance(state, (int, float)))


class Work:
    """Counts pairs of a row and a key in attention, and tokens read for words."""

    def __init__(self, monkeypatch):
        self.pairs, self.tokens, self.most = 0, 0, 0
        read = WordReader.words_of
        real = torch.nn.functional.scaled_dot_product_attention

        def counted(q, k, v, *args, **keys):
            pairs = q.shape[0] * q.shape[-2] * k.shape[-2]
            self.pairs, self.most = self.pairs + pairs, max(self.most, pairs)
            return real(q, k, v, *args, **keys)

        def reading(reader, tokens):
            self.tokens += len(tokens)
            return read(reader, tokens)

        monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", counted)
        monkeypatch.setattr(WordReader, "words_of", reading)

    def taken(self):
        """Return both since the call before."""
        taken = self.pairs, self.tokens
        self.pairs, self.tokens = 0, 0
        return taken


@pytest.mark.parametrize("kind", KINDS)
def test_state_and_work_are_flat(kind, tmp_path, monkeypatch):
    """espnet#5729: slower as the audio goes on."""
    conf = {**KINDS[kind], "left_context": 16}
    files = write_model(tmp_path, conf, token_type="word")
    recognizer = mix_gates(Recognizer.from_files(*files))
    stream, work = recognizer.stream(), Work(monkeypatch)
    minute = speech(0, 60.0)
    held, pairs, tokens = [], [], []
    for _ in range(MINUTES):
        sizes = []
        for packet in minute.split(PACKET):
            stream.push(packet)
            state = stream._streams.state
            sizes.append(values(state.frontends) + values(state.encoder))
        held.append(sum(sizes) / len(sizes))
        for counts, count in zip((pairs, tokens), work.taken(), strict=True):
            counts.append(count)
    assert stream.finish().text
    for counts in (held, pairs, tokens):
        assert counts[1] > 0
        assert counts[-1] == pytest.approx(counts[1], rel=0.02)
        assert counts[1] < 1.1 * counts[0]


def test_a_long_file_takes_no_more_at_a_time_than_a_short_one(tmp_path, monkeypatch):
    """Memory of attention's scores would grow with the square of its length."""
    conf = {**KINDS["chunked"], "left_context": 16}
    recognizer = Recognizer.from_files(*write_model(tmp_path, conf))
    work, most, audio = Work(monkeypatch), [], speech(0, 200.0)
    for seconds in (75, 200):
        recognizer.transcribe_all([audio[: seconds * FS], audio[: 10 * FS]])
        most.append(work.most)
    assert most[1] == pytest.approx(most[0], rel=0.02)
    stream = recognizer.stream()
    for packet in audio.split(PACKET):
        stream.push(packet)
    result = recognizer.transcribe(audio)
    assert result.text == stream.finish().text
    assert len(result.lookahead_ms) > 200 / recognizer.period - 5
