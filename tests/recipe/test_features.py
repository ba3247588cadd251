"""Data directories of features: faults, lengths, and the stages that read them."""

import numpy as np
import pytest
import torch
import yaml

from espnet_dynlook.frontend.mfcc import num_frames
from espnet_dynlook.recipe import filter as filtering
from espnet_dynlook.recipe import format_audio, format_features, lengths
from espnet_dynlook.recipe.data_dir import DataError, read_data_dir

FRAMES = {"amy-1": 30, "amy-2": 8, "bob-1": 500}


@pytest.fixture
def features(tmp_path):
    """Return a sound data directory of three utterances' features."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    tables = {"feats.scp": [], "text": [], "utt2spk": []}
    for utt, size in FRAMES.items():
        path = tmp_path / f"{utt}.npy"
        np.save(path, rng.standard_normal((size, 13)).astype(np.float32))
        tables["feats.scp"].append(f"{utt} {path}\n")
        tables["text"].append(f"{utt} some words\n")
        tables["utt2spk"].append(f"{utt} {utt[:3]}\n")
    for name, lines in tables.items():
        (folder / name).write_text("".join(lines))
    return folder


def format_fails(folder, capsys):
    """Format, and return what is printed when it fails without leaving anything."""
    out = folder.parent / "out"
    assert format_features.main(["--in_dir", str(folder), "--out_dir", str(out)]) == 1
    assert not out.exists()
    return capsys.readouterr().err


def test_frames_are_counted_and_files_stay(features, tmp_path):
    out = tmp_path / "out"
    assert format_features.main(["--in_dir", str(features), "--out_dir", str(out)]) == 0
    data = read_data_dir(out)
    assert data.extracted
    assert data.num_samples == FRAMES
    assert data.wav == read_data_dir(features).wav
    assert (out / "feats_dim").read_text() == "13\n"
    assert (out / "feats_type").read_text() == "extracted\n"
    assert (out / "spk2utt").read_text() == "amy amy-1 amy-2\nbob bob-1\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(13), "float64 of shape (13,), where a matrix"),
        (np.zeros((4, 13), dtype=int), "int64 of shape (4, 13), where a matrix"),
        (np.zeros((0, 13)), "is empty: its shape is (0, 13)"),
        (np.array([[1.0], [np.nan]]), "has NaN or infinity, first in frame 1"),
        (np.zeros((4, 40)), "features of several dimensions: "),
        (np.array([{}]), "cannot be read as NumPy"),
    ],
)
def test_faulty_features_are_named(features, tmp_path, capsys, content, message):
    np.save(tmp_path / "bob-1.npy", content)
    printed = format_fails(features, capsys)
    assert "1 faults" in printed
    assert message in printed
    assert "bob-1" in printed


def test_truncated_file_is_named(features, tmp_path, capsys):
    for cut in (0, 50, 1000):
        path = tmp_path / "amy-1.npy"
        path.write_bytes(path.read_bytes()[:cut])
        assert "amy-1.npy cannot be read as NumPy" in format_fails(features, capsys)


def test_missing_and_other_files_are_all_listed(features, tmp_path, capsys):
    (tmp_path / "amy-1.npy").unlink()
    scp = features / "feats.scp"
    scp.write_text(scp.read_text().replace("bob-1.npy", "all.ark:17"))
    printed = format_fails(features, capsys)
    assert "feats.scp:1: amy-1: the file of features" in printed
    assert "all.ark:17 is no NumPy file" in printed


def test_recordings_or_features_not_both(features):
    (features / "wav.scp").write_text("amy-1 /x.flac\n")
    with pytest.raises(DataError, match=r"has wav.scp and feats.scp: remove"):
        read_data_dir(features)


def test_the_wrong_feats_type_says_which_is_right(features, tmp_path, capsys):
    out = str(tmp_path / "out")
    raw = tmp_path / "raw"
    raw.mkdir()
    (tmp_path / "x.flac").touch()
    (raw / "wav.scp").write_text(f"amy-1 {tmp_path / 'x.flac'}\n")
    (raw / "text").write_text("amy-1 a\n")
    (raw / "utt2spk").write_text("amy-1 amy\n")
    assert format_features.main(["--in_dir", str(raw), "--out_dir", out]) == 1
    assert "set --feats_type raw" in capsys.readouterr().err
    assert format_audio.main(["--in_dir", str(features), "--out_dir", out])
    assert "set --feats_type extracted" in capsys.readouterr().err


def test_the_filter_counts_frames(features, tmp_path):
    org, out = str(tmp_path / "org"), tmp_path / "out"
    format_features.main(["--in_dir", str(features), "--out_dir", org])
    options = ["--fs", "100", "--min_wav_duration", "0.1", "--max_wav_duration", "4"]
    assert filtering.main(["--in_dir", org, "--out_dir", str(out), *options]) == 0
    kept = read_data_dir(out)
    assert kept.extracted
    assert kept.num_samples == {"amy-1": 30}
    removed = (out / "removed").read_text()
    assert "amy-2 0.080 s, under" in removed
    assert "bob-1 5.000 s, over" in removed


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump({"frontend": "mfcc_an4"}))
    return path


def test_too_few_frames_for_the_encoder_are_found(features, tmp_path, config, capsys):
    np.save(tmp_path / "amy-2.npy", np.zeros((6, 13)))
    out = str(tmp_path / "out")
    format_features.main(["--in_dir", str(features), "--out_dir", out])
    assert lengths.main(["--config", str(config), "--fs", "100", out]) == 1
    printed = capsys.readouterr().err
    assert "utt2num_frames:2: amy-2 has 6 frames (0.060 s)" in printed
    assert "need 7: raise --min_wav_duration to 0.070" in printed


def test_fewest_samples_give_the_fewest_frames():
    for layer in ("conv2d", "conv2d2", "conv1d2", "conv2d8", "linear"):
        config = {"frontend": "mfcc_an4", "encoder_conf": {"input_layer": layer}}
        samples, frames = lengths.fewest_samples(config), lengths.fewest_frames(config)
        assert int(num_frames(torch.tensor(samples))) == frames
        assert int(num_frames(torch.tensor(samples - 1))) < frames


def write_data_sh(recipe, features):
    """Let a recipe's stage 1 make every set from these features."""
    lines = ["#!/usr/bin/env bash", "set -e", "mkdir -p data"]
    for name in ("train", "valid", "test"):
        lines.append(f"rm -rf data/{name}; cp -r '{features}' data/{name}")
    path = recipe / "local" / "data.sh"
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.recipe
def test_stages_read_features(features, recipe, asr_sh):
    write_data_sh(recipe, features)
    options = ("--feats_type", "extracted", "--stop_stage", "5", "--ngpu", "0")
    asr_sh(*options, "--max_wav_duration", "4", check=True)
    dump = recipe / "dump" / "extracted"
    assert set(read_data_dir(dump / "train").text) == {"amy-1"}
    assert set(read_data_dir(dump / "test").text) == set(FRAMES)
    assert (recipe / "data" / "en_token_list" / "char" / "tokens.txt").is_file()


@pytest.mark.recipe
def test_features_have_no_speed(features, recipe, asr_sh):
    done = asr_sh("--feats_type", "extracted", "--speed_perturb_factors", "0.9 1.1")
    assert done.returncode == 2
    assert "only recordings have a speed to change" in done.stderr
