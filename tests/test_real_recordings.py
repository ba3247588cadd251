"""Real recordings: what streams equals ESPnet's offline pass, with trained models."""

import csv
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from recogniser_files import mix_gates, write_model

from espnet_dynlook.recognizer import Recognizer

EGS = Path(__file__).parent.parent / "egs"
MADE = EGS / "an4" / "asr1" / "exp" / "matrix"  # by `make models`
TOKENS = ["<blank>", "<unk>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<space>", "<sos/eos>"]
FRONTEND = {"fs": 16000, "n_fft": 512, "win_length": 400, "hop_length": 160}
FRONTEND["n_mels"] = 40
ENCODER = {
    "output_size": 64,
    "attention_heads": 4,
    "linear_units": 128,
    "num_blocks": 3,
    "cnn_module_kernel": 7,
    "dropout_rate": 0.0,
    "positional_dropout_rate": 0.0,
    "attention_dropout_rate": 0.0,
}
DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 4}
KINDS = {
    "causal": {"lookahead": "causal", "left_context": 24},
    "layerwise": {"lookahead": "layerwise", "lookahead_frames": 1},
    "chunked": {"lookahead": "chunked", "lookahead_frames": 4},
    "frame": {**DYNAMIC, "lookahead_scheduler": "frame", "share_wait": True},
    "sequential": {**DYNAMIC, "lookahead_scheduler": "sequential"},
    "segment": {**DYNAMIC, "lookahead_scheduler": "segment"},
}


@pytest.fixture(scope="module")
def recordings(dynlook_data):
    """Return samples and text of every recording in the folder of fixtures."""
    folder = dynlook_data / "fixtures"
    with (folder / "metadata.tsv").open(encoding="utf-8") as file:
        texts = {
            row["utt"]: row["text"] for row in csv.DictReader(file, delimiter="\t")
        }
    found = []
    for path in sorted((folder / "flac").glob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == FRONTEND["fs"]
        found.append((torch.from_numpy(samples), texts[path.stem]))
    assert len(found) >= 20
    return found


def files_of(folder, kind, stats):
    """Write a model of a kind for these recordings."""
    return write_model(
        folder,
        {**ENCODER, **kind},
        frontend_conf=FRONTEND,
        token_list=TOKENS,
        specaug=None,
        specaug_conf={},
        normalize="global_mvn",
        normalize_conf={"stats_file": str(stats)},
    )


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    """Return statistics and parameters of a model that has learned the short ones.

    Under random masks, so that it is at home under any kind; ten seconds.
    """
    from espnet_dynlook.task import DynlookASRTask

    folder = tmp_path_factory.mktemp("trained")
    stats = folder / "stats.npz"
    np.savez(stats, count=1, sum=np.zeros(40), sum_square=np.ones(40))
    random_masks = {"lookahead": "random", "lookahead_frames": 4}
    config, _ = files_of(folder, random_masks, stats)
    torch.manual_seed(0)
    model, _ = DynlookASRTask.build_model_from_file(config)
    short = [(x, text) for x, text in recordings if len(x) < 4.1 * FRONTEND["fs"]]
    feats = [
        model.frontend(x[None], torch.tensor([len(x)]))[0][0].detach() for x, _ in short
    ]
    rows = torch.cat(feats).double().numpy()
    np.savez(stats, count=len(rows), sum=rows.sum(0), sum_square=np.square(rows).sum(0))
    model, _ = DynlookASRTask.build_model_from_file(config)
    feats = [model.normalize(x[None], torch.tensor([len(x)]))[0][0] for x in feats]
    labels = [
        torch.tensor([TOKENS.index("<space>" if c == " " else c) for c in text])
        for _, text in short
    ]
    optimizer = torch.optim.Adam(model.parameters())
    draw = random.Random(0)
    for step in range(130):
        for group in optimizer.param_groups:
            group["lr"] = 0.003 * min(1.0, (step + 1) / 20)
        batch = draw.sample(range(len(short)), 4)
        x = torch.nn.utils.rnn.pad_sequence([feats[n] for n in batch], True)
        y = torch.nn.utils.rnn.pad_sequence([labels[n] for n in batch], True, -1)
        out, lengths, _ = model.encoder(x, torch.tensor([len(feats[n]) for n in batch]))
        loss = model.ctc(out, lengths, y, torch.tensor([len(labels[n]) for n in batch]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return stats, model.state_dict()


def words_of(model, labels):
    names = [model.token_list[n] for n in labels]
    text = "".join(" " if name == "<space>" else name for name in names)
    return " ".join(text.split())


@torch.no_grad()
def offline(model, speech):
    """Return encoder output (T, D) and text of ESPnet's own pass over the whole."""
    speech = speech.clone()  # normalization of features works in place
    out, lengths = model.encode(speech[None], torch.tensor([len(speech)]))
    best = model.ctc.argmax(out)[0, : int(lengths[0])].unique_consecutive().tolist()
    return out[0, : int(lengths[0])], words_of(model, [n for n in best if n])


def streamed(recognizer, audio, seed):
    """Stream together; return encoder output (T, D) and result of each."""
    encoder, draw = recognizer.model.encoder, random.Random(seed)
    streams, found = recognizer.streams(len(audio)), [[] for _ in audio]
    step = encoder.step

    def spy(*args, **keys):
        out, counts, state = step(*args, **keys)
        for n, count in enumerate(counts.tolist()):
            found[n].append(out[n, :count])
        return out, counts, state

    encoder.step = spy
    try:
        at = [0] * len(audio)
        while any(place < len(one) for place, one in zip(at, audio, strict=True)):
            sizes = [draw.choice([0, 1600, 2560, 7777, 16000]) for _ in audio]
            streams.push(
                [x[a : a + n] for x, a, n in zip(audio, at, sizes, strict=True)]
            )
            at = [a + n for a, n in zip(at, sizes, strict=True)]
        results = streams.finish()
    finally:
        del encoder.step
    return [torch.cat(one) for one in found], results


def check(recognizer, audio, seed=0):
    """Hold that streams are the offline pass; return their results."""
    found, results = streamed(recognizer, audio, seed)
    for samples, out, result in zip(audio, found, results, strict=True):
        expected, text = offline(recognizer.model, samples)
        assert result.text == text
        torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)
    alone = recognizer.transcribe_all(audio)
    assert [one.text for one in alone] == [one.text for one in results]
    assert [one.lookahead_ms for one in alone] == [one.lookahead_ms for one in results]
    return results


@pytest.mark.parametrize("kind", KINDS)
def test_every_recording_streams_as_offline(kind, recordings, trained, tmp_path):
    stats, state = trained
    recognizer = Recognizer.from_files(*files_of(tmp_path, KINDS[kind], stats))
    recognizer.model.load_state_dict(state, strict=False)
    mix_gates(recognizer)
    results = check(recognizer, [samples for samples, _ in recordings])
    texts = [one.text for one in results]
    assert len(set(texts)) == len(texts)  # it says something, and of each its own
    if kind in ("layerwise", "chunked"):
        learned = [len(x) < 4.1 * FRONTEND["fs"] for x, _ in recordings]
        right = [text == one for (_, text), one in zip(recordings, texts, strict=True)]
        assert sum(r for r, known in zip(right, learned, strict=True) if known) > 5
    waits = recognizer.model.encoder.lookahead.waits
    if waits is not None:
        gates = torch.cat([wait.hard.flatten() for wait in waits])
        assert 0.01 < gates.mean() < 0.99  # some are open and some shut


def made(name, monkeypatch):
    """Return a recogniser of `make models`, or skip."""
    files = MADE / name / "config.yaml", MADE / name / "valid.loss.ave.pth"
    if not all(one.exists() for one in files):
        pytest.skip(f"there is no {files[1]}: `make models` trains it")
    monkeypatch.chdir(EGS / "an4" / "asr1")  # paths in a configuration begin there
    return Recognizer.from_files(*files)


MADE_MODELS = ("parent_seed1", "dynamic_relative_seed1", "chunked4_seed1")


@pytest.mark.parametrize("name", MADE_MODELS)
def test_models_of_recipes_stream_every_recording(name, recordings, monkeypatch):
    recognizer = made(name, monkeypatch)
    check(recognizer, [samples for samples, _ in recordings])


@pytest.mark.parametrize("name", MADE_MODELS)
def test_a_model_of_stored_features_hears_live_audio(name, dynlook_data, monkeypatch):
    """AN4's are trained on CMU's MFCCs; their front end is in the model already."""
    recognizer, folder = made(name, monkeypatch), dynlook_data / "an4"
    with (folder / "audio.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows = [row for row in rows if row["split"] == "test"]
    with np.load(folder / "mfcc" / "test.npz") as arrays:
        place = {str(utt): n for n, utt in enumerate(arrays["utts"])}
        offsets, feats = arrays["offsets"], torch.from_numpy(arrays["feats"])
    audio, said = [], set()
    for row in rows:
        path = folder / "audio_flac" / f"{row['utt']}.flac"
        samples = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
        audio.append(samples)
        start, end = offsets[place[row["utt"]] :][:2]
        text = offline(recognizer.model, feats[start:end])[1]
        said.add(text)
        stream = recognizer.stream()
        for packet in samples.split(1600):
            stream.push(packet)
        assert stream.finish().text == text
        assert recognizer.transcribe(path).text == text
    assert len(said) > 5
    check(recognizer, audio)
