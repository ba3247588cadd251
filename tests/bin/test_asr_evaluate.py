"""Evaluation: the figures of utterances alone, in batches, under any fixed kind."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from hub_data import FS, make_corpus

from espnet_dynlook.config import ConfigError
from espnet_dynlook.metrics.ctm import read_ctm, write_ctm

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return a corpus whose last utterance is too short, with speakers."""
    corpus = make_corpus(tmp_path_factory.mktemp("corpus"))
    folder = corpus.root / "valid"
    short = folder / "wav/short.wav"
    soundfile.write(short, np.zeros(FS // 20), FS)
    for name, value in (("wav.scp", short), ("text", "abc")):
        with (folder / name).open("a") as file:
            file.write(f"valid-99 {value}\n")
    keys = [line.split()[0] for line in (folder / "text").read_text().splitlines()]
    lines = [f"{key} spk{n % 2}\n" for n, key in enumerate(keys)]
    (folder / "utt2spk").write_text("".join(lines))
    return corpus


@pytest.fixture(scope="module")
def expdir(corpus, tmp_path_factory):
    from espnet_dynlook.bin import asr_train

    expdir = tmp_path_factory.mktemp("trained") / "exp"
    args = corpus.train_args(expdir, "--max_epoch", "1")
    # Its shapes leave out the utterance that is too short.
    asr_train.main(args)
    return expdir


@pytest.fixture
def evaluate(corpus, expdir, tmp_path):
    """Return a function that evaluates; it returns the rows and the result."""
    from espnet_dynlook.bin import asr_evaluate

    def run(*options, out="out", kind=None):
        if kind is not None:
            options = (*options, "--override", kind)
        found = asr_evaluate.main(
            [
                *("--asr_train_config", f"{expdir}/config.yaml"),
                *("--asr_model_file", f"{expdir}/1epoch.pth"),
                *("--data_dir", f"{corpus.root}/valid"),
                *("--output_dir", f"{tmp_path / out}", *options),
            ]
        )
        folder = tmp_path / out / (kind or "").replace(":", "_") / "valid"
        lines = (folder / "utterances.jsonl").read_text().splitlines()
        (result,) = found.values()
        assert json.loads((folder / "result.json").read_text()) == result
        return {r["utt"]: r for r in map(json.loads, lines)}, result

    return run


def test_batches_give_what_decoding_alone_gives(corpus, expdir, evaluate, tmp_path):
    from espnet_dynlook.bin import asr_inference

    rows, result = evaluate()
    args = corpus.decode_args(expdir, tmp_path / "alone", "--decoding", "ctc_greedy")
    args[args.index(f"{expdir}/valid.loss.best.pth")] = f"{expdir}/1epoch.pth"
    asr_inference.main(args)
    for name in ("lookahead_ms", "text"):
        ours = (tmp_path / "out/valid" / name).read_text().split()
        alone = (tmp_path / "alone/1best_recog" / name).read_text().split()
        assert ours == alone
    assert result["kind"] == "chunked"
    assert list(rows) == ["valid-00", "valid-01", "valid-02", "valid-99"]
    assert [rows[utt]["speaker"] for utt in rows] == ["spk0", "spk1"] * 2


def test_loss_is_that_of_the_model_itself(corpus, expdir, evaluate):
    from espnet_dynlook.task import DynlookASRTask

    rows, result = evaluate()
    model, _ = DynlookASRTask.build_model_from_file(
        f"{expdir}/config.yaml", f"{expdir}/1epoch.pth"
    )
    model.eval()
    numbers = {"a": 2, "b": 3, "c": 4}
    total = tokens = 0
    for line in (corpus.root / "valid/text").read_text().splitlines():
        utt, text = line.split()
        samples, _ = (
            soundfile.read(corpus.root / f"valid/wav/{utt}.wav")
            if (utt != "valid-99")
            else (None, None)
        )
        if samples is None:
            assert rows[utt]["loss"] is None
            continue
        speech = torch.tensor(samples, dtype=torch.float32)[None]
        y = torch.tensor([[numbers[letter] for letter in text]])
        with torch.no_grad():
            stats = model(
                speech, torch.tensor([speech.size(1)]), y, torch.tensor([len(text)])
            )[1]
        assert rows[utt]["loss"] == pytest.approx(float(stats["loss_ctc"]), rel=1e-4)
        total, tokens = total + rows[utt]["loss"], tokens + len(text)
    assert result["loss_per_token"] == pytest.approx(total / tokens)
    assert (result["tokens"], result["without_loss"]) == (tokens, 1)


@pytest.mark.parametrize(
    ("kind", "frames"),
    [("causal", 0), ("chunked:3", 1.5), ("layerwise:2", 4), ("layerwise_total:3", 3)],
)
def test_another_kind_in_place_of_the_models_own(evaluate, kind, frames):
    _, causal = evaluate(kind="causal")
    rows, result = evaluate(kind=kind)
    assert result["kind"] == kind
    # Frames of 40 ms; the end of an utterance cuts waits short.
    wait = (result["latency_mean_ms"] - causal["latency_mean_ms"]) / 40
    assert frames * 0.6 <= wait <= frames
    assert rows["valid-99"]["latency_mean_ms"] is None


def test_full_lookahead_waits_for_the_end(evaluate):
    rows, _ = evaluate(kind="full")
    _, causal = evaluate(kind="causal")
    row = rows["valid-00"]
    expected = (row["frames"] - 1) / 2 * 40 + causal["latency_mean_ms"]
    assert row["latency_mean_ms"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "named"),
    [("chunked:0", "at least 1"), ("chunked", "write"), ("later", "write causal")],
)
def test_kind_that_is_none_is_named(evaluate, kind, named):
    with pytest.raises(ConfigError, match=f"--override {kind}.*{named}"):
        evaluate(kind=kind)


def test_alignment_has_every_word_of_the_audio(corpus, evaluate, tmp_path):
    evaluate("--write_alignment", str(tmp_path / "words"))
    words = read_ctm(tmp_path / "words/valid.ctm")
    for line in (corpus.root / "valid/text").read_text().splitlines()[:3]:
        utt, text = line.split()
        assert [one.word for one in words[utt]] == [text]
        seconds = soundfile.info(corpus.root / f"valid/wav/{utt}.wav").duration
        assert 0 <= words[utt][0].start < words[utt][0].end <= 1000 * seconds + 40


def test_alignment_does_not_depend_on_the_kind(evaluate, tmp_path):
    evaluate("--write_alignment", str(tmp_path / "a"), kind="causal")
    evaluate("--write_alignment", str(tmp_path / "b"), kind="chunked:5")
    a, b = ((tmp_path / x / "valid.ctm").read_text() for x in "ab")
    assert a == b


def test_later_word_ends_make_delays_shorter(evaluate, tmp_path, monkeypatch):
    # An untrained model recognises nothing: let it recognise everything.
    from espnet_dynlook.search.greedy import BestPath
    from espnet_dynlook.training.evaluation import Evaluator

    path = BestPath([2, 3, 4], [1, 2, 3], 0.0)
    monkeypatch.setattr(Evaluator, "_path", lambda self, enc: path)
    plain, result = evaluate()
    assert plain["valid-00"]["token_delays_ms"] is None
    assert result["token_delay_mean_ms"] is None
    evaluate("--write_alignment", str(tmp_path / "words"))
    words = read_ctm(tmp_path / "words/valid.ctm")
    rows, before = evaluate("--alignment", str(tmp_path / "words"), out="again")
    delays = rows["valid-00"]["token_delays_ms"]
    assert delays
    shifted = {
        utt: [type(w)(w.start, w.end + 100, w.word) for w in line]
        for utt, line in words.items()
    }
    write_ctm(tmp_path / "later.ctm", shifted)
    rows, after = evaluate("--alignment", str(tmp_path / "later.ctm"), out="later")
    assert rows["valid-00"]["token_delays_ms"] == pytest.approx(
        [one - 100 for one in delays], abs=0.2
    )
    assert after["token_delay_mean_ms"] == pytest.approx(
        before["token_delay_mean_ms"] - 100, abs=0.2
    )


def test_alignment_of_other_words_is_refused(evaluate, tmp_path):
    lines = [f"valid-0{n} 1 0 0.1 A\nvalid-0{n} 1 0.1 0.1 B\n" for n in range(3)]
    (tmp_path / "other.ctm").write_text("".join(lines))
    with pytest.raises(ConfigError, match="of another transcript"):
        evaluate("--alignment", str(tmp_path / "other.ctm"))
    (tmp_path / "other.ctm").write_text("somebody 1 0 0.1 A\n")
    with pytest.raises(ConfigError, match="has no utterance of"):
        evaluate("--alignment", str(tmp_path / "other.ctm"))


def test_set_that_fails_leaves_no_old_result(evaluate, tmp_path):
    evaluate()
    with pytest.raises(ConfigError):
        (tmp_path / "other.ctm").write_text("somebody 1 0 0.1 A\n")
        evaluate("--alignment", str(tmp_path / "other.ctm"))
    assert not (tmp_path / "out/valid/result.json").exists()


def test_folder_without_the_files_of_the_training_is_named(evaluate, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"has no wav\.scp: .* wav\.scp and text"):
        evaluate("--data_dir", str(tmp_path / "empty"))


def test_several_kinds_in_one_go_are_each_as_alone(evaluate, expdir, corpus, tmp_path):
    from espnet_dynlook.bin import asr_evaluate

    found = asr_evaluate.main(
        [
            *("--asr_train_config", f"{expdir}/config.yaml"),
            *("--asr_model_file", f"{expdir}/1epoch.pth"),
            *("--data_dir", f"{corpus.root}/valid", "--output_dir", f"{tmp_path}/all"),
            *("--override", "causal", "chunked:3"),
            *("--write_alignment", f"{tmp_path}/words"),
        ]
    )
    for kind in ("causal", "chunked:3"):
        words = str(tmp_path / "words")
        assert found[f"{kind}/valid"] == evaluate("--alignment", words, kind=kind)[1]


def test_two_alignments_are_refused(evaluate, tmp_path):
    with pytest.raises(ConfigError, match="give one of them"):
        evaluate("--alignment", "a.ctm", "--write_alignment", str(tmp_path))
