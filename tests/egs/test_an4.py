"""AN4's layouts, folds and messages, and CMU's archive from a server to features."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_dynlook.frontend.mfcc import MfccFrontend
from espnet_dynlook.recipe.data_dir import read_data_dir
from espnet_dynlook.recipe.format_audio import format_data_dir, read_audio

SPEAKERS = {"train": ["fash", "mbb", "mcel", "fjlp", "mtje", "falk"], "test": ["menk"]}
FOLDERS = {"train": "an4_clstk", "test": "an4test_clstk"}


def utterances(part):
    """Return (utterance, speaker, text) of a tiny corpus."""
    return [
        (f"an{n}-{speaker}-b", speaker, f"RUBOUT {'ABCDEF'[n]}")
        for speaker in SPEAKERS[part]
        for n in (1, 2)
    ]


def sphere(samples):
    """Return samples as a file in NIST's Sphere format."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="NIST", subtype="PCM_16")
    return file.getvalue()


def tone(n):
    return (3000 * np.sin(np.arange(4000 + 160 * n) / 9)).astype(np.int16)


def cmu_files():
    """Return CMU's files of the tiny corpus by name, as its archive has them."""
    files = {}
    for part in SPEAKERS:
        lines = []
        for n, (utt, speaker, text) in enumerate(utterances(part)):
            files[f"wav/{FOLDERS[part]}/{speaker}/{utt}.sph"] = sphere(tone(n))
            spoken = f"<s> {text} </s>" if part == "train" else text
            lines.append(f"{spoken} ({utt})\n")
        files[f"etc/an4_{part}.transcription"] = "".join(lines).encode()
    return files


def archive(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"an4/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def recordings(tmp_path):
    """Return the folder of the tiny corpus as CMU's archive unpacks."""
    for name, content in cmu_files().items():
        path = tmp_path / "an4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "an4"


@pytest.fixture
def features(tmp_path):
    """Return the folder of the tiny corpus as features."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "features" / "mfcc"
    folder.mkdir(parents=True)
    for part in SPEAKERS:
        rows = utterances(part)
        sizes = [10 + n for n in range(len(rows))]
        np.savez(
            folder / f"{part}.npz",
            feats=rng.standard_normal((sum(sizes), 13)).astype(np.float32),
            offsets=np.cumsum([0, *sizes]),
            utts=np.array([utt for utt, _, _ in rows]),
        )
        lines = ["utt\tspk\tframes\ttext\n"]
        for (utt, speaker, text), size in zip(rows, sizes, strict=True):
            lines.append(f"{utt}\t{speaker}\t{size}\t{text}\n")
        (folder / f"{part}.tsv").write_text("".join(lines))
    return folder.parent


@pytest.fixture
def prepare(load, tmp_path):
    """Return a function that runs local/prepare.py and reads what it wrote."""

    def run(folder, *options):
        data = tmp_path / "data"
        main = load("an4", "prepare").main
        main(["--an4", str(folder), "--data", str(data), *options])
        written = {p.parent.name for p in data.glob("*/text")}
        return {name: read_data_dir(data / name) for name in written}

    return run


def test_recordings_and_features_give_the_same_sets(recordings, features, prepare):
    heard, read = prepare(recordings), prepare(features)
    assert set(heard) == {"train", "valid", "test"}
    for name, data in heard.items():
        assert data.text == read[name].text
        assert data.utt2spk == read[name].utt2spk
        assert not data.extracted
        assert read[name].extracted
    assert heard["test"].text["an1-menk-b"] == "RUBOUT B"


def test_each_utterance_gets_its_own_features(features, prepare):
    data = prepare(features)
    with np.load(features / "mfcc" / "train.npz") as arrays:
        for k, utt in enumerate(arrays["utts"]):
            start, end = arrays["offsets"][k : k + 2]
            path = (data["train"].wav | data["valid"].wav)[str(utt)]
            np.testing.assert_array_equal(np.load(path), arrays["feats"][start:end])


def test_features_that_are_the_same_stay_where_they_are(features, prepare):
    """Another training may be reading them."""
    data = prepare(features)
    path = Path(next(iter(data["train"].wav.values())))
    before = path.stat().st_ino
    prepare(features, "--fold", "1")
    assert path.stat().st_ino == before


def test_other_features_replace_them(features, prepare):
    prepare(features)
    with np.load(features / "mfcc" / "train.npz") as arrays:
        changed = {**arrays, "feats": arrays["feats"] + 1}
    np.savez(features / "mfcc" / "train.npz", **changed)
    data = prepare(features)
    utt = str(changed["utts"][0])
    path = (data["train"].wav | data["valid"].wav)[utt]
    np.testing.assert_array_equal(
        np.load(path), changed["feats"][: changed["offsets"][1]]
    )


def test_folds_hold_each_speaker_out_once(features, prepare):
    for fold in range(5):
        prepare(features, "--fold", str(fold))
    data = prepare(features)
    held = []
    for fold in range(5):
        train, valid = data[f"train_fold{fold}"], data[f"valid_fold{fold}"]
        speakers = set(valid.utt2spk.values())
        assert not speakers & set(train.utt2spk.values())
        assert len(train.text) + len(valid.text) == 12
        held += sorted(speakers)
    assert sorted(held) == sorted(SPEAKERS["train"])
    assert data["valid"].text == data["valid_fold0"].text
    assert "test_fold0" not in data


def test_archive_is_fetched_and_prepared(server, load, tmp_path, prepare):
    server.files["an4_sphere.tar.gz"] = archive(cmu_files())
    server.break_after = [1000]
    fetch = load("an4", "download").download_an4
    folder = fetch(tmp_path / "downloads", server.url)
    assert server.ranges == [None, "bytes=1000-"]
    sets = prepare(folder)
    assert {name: len(data.text) for name, data in sets.items()} == {
        "train": 8,
        "valid": 4,
        "test": 2,
    }
    asked = len(server.ranges)
    assert fetch(tmp_path / "downloads", server.url) == folder
    assert len(server.ranges) == asked


def test_sphere_files_keep_every_sample(recordings, prepare, tmp_path):
    prepare(recordings)
    out = format_data_dir(tmp_path / "data" / "test", tmp_path / "dump", 16000)
    for n, (utt, _, _) in enumerate(utterances("test")):
        np.testing.assert_array_equal(read_audio(out.wav[utt])[0], tone(n))


def test_cmus_files_give_cmus_features(dynlook_data, tmp_path, prepare):
    """From Sphere files to the front end, against what CMU computed from the same."""
    folder = dynlook_data / "an4"
    with (folder / "audio.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    tests = [row for row in rows if row["split"] == "test"][:2]
    train, speakers = [], set()
    for row in rows:
        speaker = row["utt"].split("-")[1]
        if row["split"] == "train" and speaker not in speakers and len(train) < 5:
            speakers.add(speaker)
            train.append(row)
    assert len(train) == 5
    for part, chosen in (("train", train), ("test", tests)):
        etc = tmp_path / "an4" / "etc" / f"an4_{part}.transcription"
        etc.parent.mkdir(parents=True, exist_ok=True)
        etc.write_text("".join(f"{r['text']} ({r['utt']})\n" for r in chosen))
        for row in chosen:
            speaker = row["utt"].split("-")[1]
            path = etc.parents[1] / "wav" / FOLDERS[part] / speaker
            path.mkdir(parents=True, exist_ok=True)
            flac = folder / "audio_flac" / f"{row['utt']}.flac"
            samples, _ = soundfile.read(flac, dtype="int16")
            (path / f"{row['utt']}.sph").write_bytes(sphere(samples))
    prepare(tmp_path / "an4")
    stored = {}
    for part in ("train", "test"):
        with np.load(folder / "mfcc" / f"{part}.npz") as arrays:
            feats, ends = arrays["feats"], arrays["offsets"]
            for k, utt in enumerate(arrays["utts"]):
                stored[str(utt)] = feats[ends[k] : ends[k + 1]]
    for name in ("train", "valid", "test"):
        out = format_data_dir(tmp_path / "data" / name, tmp_path / "dump" / name, 16000)
        for utt, path in out.wav.items():
            samples = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
            ours, _ = MfccFrontend()(samples[None], torch.tensor([len(samples)]))
            assert np.abs(ours[0].numpy() - stored[utt]).max() < 5e-5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("YES an251-fash-b", r"transcription:1: expected TEXT"),
        ("YES (an251-fash)", r"transcription:1: expected TEXT"),
        ("<s> </s> (an1-fash-b)", r":1: the transcript is empty"),
        ("ROOM 101 (an1-fash-b)", r":1: cannot tell how .*spell it out"),
        ("YES (an9-fash-b)", r":1: the recording .*an9-fash-b.sph .* does not exist"),
    ],
)
def test_faulty_transcription(recordings, prepare, line, message):
    path = recordings / "etc" / "an4_train.transcription"
    path.write_text(line + "\n")
    with pytest.raises(SystemExit, match=message):
        prepare(recordings)


def test_features_and_their_table_belong_together(features, prepare):
    table = features / "mfcc" / "train.tsv"
    whole = table.read_text()
    table.write_text(whole + "an9-fash-b\tfash\t9\tYES\n")
    with pytest.raises(SystemExit, match=r"train.tsv:14: an9-fash-b has no features"):
        prepare(features)
    table.write_text(whole.replace("\ttext", "\twords"))
    with pytest.raises(SystemExit, match=r"train.tsv:1: no column text"):
        prepare(features)
    table.unlink()
    with pytest.raises(SystemExit, match=r"looked for .*train.tsv"):
        prepare(features)


def test_features_that_were_cut_off(features, prepare):
    path = features / "mfcc" / "train.npz"
    with np.load(path) as arrays:
        cut = {**arrays, "feats": arrays["feats"][:-1]}
    np.savez(path, **cut)
    with pytest.raises(SystemExit, match=r"12 utterances, 13 offsets up to 186, 185"):
        prepare(features)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SystemExit, match=r"train.npz is not an archive of feats"):
        prepare(features)


def test_a_speaker_in_both_parts_is_refused(features, prepare):
    table = features / "mfcc" / "test.tsv"
    table.write_text(table.read_text().replace("\tmenk\t", "\tfash\t"))
    with pytest.raises(SystemExit, match="in the training and in the test part: fash"):
        prepare(features)


def test_other_folders_say_what_was_looked_for(tmp_path, prepare):
    with pytest.raises(SystemExit, match="there is no such folder"):
        prepare(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=r"neither .*mfcc nor .*an4_train.transc"):
        prepare(tmp_path / "empty")


def test_real_features(dynlook_data, prepare):
    sets = prepare(dynlook_data / "an4")
    assert {name: len(data.text) for name, data in sets.items()} == {
        "train": 760,
        "valid": 188,
        "test": 130,
    }
    speakers = {name: set(data.utt2spk.values()) for name, data in sets.items()}
    assert [len(speakers[name]) for name in ("train", "valid", "test")] == [59, 15, 10]
    assert len(set().union(*speakers.values())) == 84


def test_every_fold_has_the_same_characters(dynlook_data, prepare):
    """They share a token list."""
    for fold in range(5):
        sets = prepare(dynlook_data / "an4", "--fold", str(fold))
    seen = {
        frozenset("".join(data.text.values()))
        for name, data in sets.items()
        if name.startswith("train")
    }
    assert len(seen) == 1
