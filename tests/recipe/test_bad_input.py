"""Bad data: every fault is named with its place, and nothing is half-written."""

import errno
import os
import re
import shlex
import subprocess

import numpy as np
import pytest
import soundfile

from espnet_dynlook.recipe import data_dir as data_dirs
from espnet_dynlook.recipe import filter as length_filter
from espnet_dynlook.recipe import format_audio, lengths, speed, tokens
from espnet_dynlook.recipe.data_dir import DataError, read_data_dir
from espnet_dynlook.recipe.whole_files import whole_folder, write_atomic


def replace_line(path, number, line):
    """Put other bytes in place of a line, counted from 1."""
    lines = path.read_bytes().split(b"\n")
    lines[number - 1] = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b"\n".join(lines))


def recording(folder, utt):
    """Return the path of an utterance's recording."""
    return folder.parents[1] / "audio" / f"{utt}.flac"


def faults_of(folder):
    """Return the faults that reading the directory finds."""
    with pytest.raises(DataError) as caught:
        read_data_dir(folder)
    return caught.value.faults


def format_fails(folder, capsys, *options):
    """Format, expect failure with nothing written, and return what was printed."""
    out = folder.parent / "formatted"
    status = format_audio.main(
        ["--in_dir", f"{folder}", "--out_dir", f"{out}", *options]
    )
    assert status == 1
    assert [p.name for p in out.parent.iterdir()] == [folder.name]
    return capsys.readouterr().err


def test_sound_directory_has_no_fault(data_dir):
    assert sorted(read_data_dir(data_dir).wav) == ["amy-1", "amy-2", "bob-1"]


def test_missing_wav_is_named_with_its_line(data_dir):
    recording(data_dir, "amy-2").unlink()
    (fault,) = faults_of(data_dir)
    assert fault.startswith(f"{data_dir}/wav.scp:2: amy-2: the recording ")
    assert fault.endswith("amy-2.flac does not exist")


def test_duplicate_id_names_both_lines(data_dir):
    replace_line(data_dir / "text", 4, "amy-1 again\n")
    (fault,) = faults_of(data_dir)
    assert fault == f"{data_dir}/text:4: amy-1 is a duplicate: it is also on line 1"


def test_empty_transcript_is_an_error_unless_allowed(data_dir):
    replace_line(data_dir / "text", 2, "amy-2")
    (fault,) = faults_of(data_dir)
    assert f"{data_dir}/text:2: amy-2 has an empty transcript" in fault
    assert "--allow_empty_text true" in fault
    assert read_data_dir(data_dir, allow_empty_text=True).text["amy-2"] == ""


def test_text_that_is_not_utf8_is_named_with_byte_and_column(data_dir):
    replace_line(data_dir / "text", 1, "amy-1 café".encode("latin1"))
    faults = faults_of(data_dir)
    assert f"{data_dir}/text:1: not UTF-8: byte 0xe9 at column 10" in faults[0]


def test_every_fault_is_listed_in_one_go(data_dir, capsys):
    recording(data_dir, "amy-1").unlink()
    replace_line(data_dir / "text", 2, "amy-2")
    replace_line(data_dir / "utt2spk", 3, "bob-7 bob")
    replace_line(data_dir / "wav.scp", 2, "amy-2 sox x.wav -t wav - |")
    assert data_dirs.main([str(data_dir)]) == 1
    printed = capsys.readouterr().err
    for part in (
        "5 faults",
        "wav.scp:1: amy-1: the recording",
        "wav.scp:2: amy-2 is a command",
        "text:2: amy-2 has an empty transcript",
        "utt2spk:3: bob-7 is not in wav.scp",
        "wav.scp:3: bob-1 is not in utt2spk",
    ):
        assert part in printed


def test_spk2utt_must_agree_with_utt2spk(data_dir):
    (data_dir / "spk2utt").write_text("amy amy-1\nbob bob-1 amy-2\n")
    faults = faults_of(data_dir)
    assert faults == [
        f"{data_dir}/spk2utt:2: amy-2 belongs to amy in utt2spk, not to bob"
    ]


def test_truncated_flac_is_named_and_nothing_is_written(data_dir, capsys):
    path = recording(data_dir, "bob-1")
    path.write_bytes(path.read_bytes()[:2000])
    printed = format_fails(data_dir, capsys)
    assert "1 faults" in printed
    assert "bob-1" in printed and "truncated" in printed


def test_stereo_is_an_error(data_dir, capsys):
    soundfile.write(recording(data_dir, "amy-1"), np.zeros((8000, 2)), 16000)
    printed = format_fails(data_dir, capsys)
    assert "amy-1.flac has 2 channels: it must be mono" in printed


def test_8_khz_in_a_16_khz_recipe_is_an_error(data_dir, capsys):
    soundfile.write(recording(data_dir, "amy-1"), np.zeros(8000), 8000)
    printed = format_fails(data_dir, capsys, "--fs", "16k")
    assert "is sampled at 8000 Hz and the recipe at 16000 Hz" in printed
    assert "--resample true" in printed and "--fs 8000" in printed


def test_file_that_is_no_audio_and_one_without_samples(data_dir, capsys):
    recording(data_dir, "amy-1").write_text("not audio")
    soundfile.write(recording(data_dir, "amy-2"), np.zeros(0), 16000)
    printed = format_fails(data_dir, capsys)
    assert "2 faults" in printed
    assert "amy-1.flac cannot be read" in printed
    assert "amy-2.flac" in printed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_sample_that_is_no_number_is_named(data_dir, capsys, value):
    wave = np.zeros(8000)
    wave[123:125] = value
    path = recording(data_dir, "amy-1")
    soundfile.write(path, wave, 16000, format="WAV", subtype="FLOAT")
    printed = format_fails(data_dir, capsys)
    assert f"{path} has 2 samples that are no numbers" in printed
    assert "the first is sample 123" in printed


@pytest.mark.parametrize("suffix", format_audio.FORMATS)
def test_full_disk_is_noticed_by_the_writer_of_audio(tmp_path, suffix):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    path = tmp_path / f"x.{suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        format_audio.write_audio(path, np.zeros(80, np.int16), 16000)


@pytest.mark.parametrize(
    ("module", "options"),
    [(format_audio, ["--audio_format", "wav"]), (speed, ["--factors", "0.9"])],
)
def test_full_disk_is_a_message_and_nothing_is_written(
    data_dir, capsys, monkeypatch, module, options
):
    def fail(path, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(module, "write_audio", fail)
    out = data_dir.parent / "formatted"
    assert module.main(["--in_dir", f"{data_dir}", "--out_dir", f"{out}", *options])
    printed = capsys.readouterr().err
    assert f"{out} was not written" in printed and "No space left" in printed
    assert [p.name for p in out.parent.iterdir()] == [data_dir.name]


def test_failed_format_leaves_the_earlier_result(data_dir, tmp_path):
    out = tmp_path / "dump/train"
    options = [
        "--in_dir",
        str(data_dir),
        "--out_dir",
        str(out),
        "--audio_format",
        "wav",
    ]
    assert format_audio.main(options) == 0
    before = {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    recording(data_dir, "amy-1").write_text("not audio")
    assert format_audio.main(options) == 1
    assert {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_interrupted_writing_leaves_no_trace(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/old").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "x") as partial:
        (partial / "new").write_text("new")
        raise KeyboardInterrupt
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == [
        "x",
        "x/old",
    ]


@pytest.fixture
def dead():
    """Return the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def write_killed(folder, pid):
    """Leave what a process leaves that was killed while it wrote folder/x."""
    for kind in ("old", "partial"):
        (folder / f".x.{kind}-{pid}").mkdir(parents=True)
        (folder / f".x.{kind}-{pid}/{kind}").touch()


def test_folder_of_a_killed_run_comes_back_where_the_next_one_fails(tmp_path, dead):
    write_killed(tmp_path, dead)
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "x"):
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["old"]


def test_left_overs_of_killed_runs_are_cleared(tmp_path, dead):
    (tmp_path / "x").mkdir()
    write_killed(tmp_path, dead)
    with whole_folder(tmp_path / "x") as partial:
        (partial / "new").touch()
    (tmp_path / f".page.partial-{dead}").touch()
    write_atomic(tmp_path / "page", "text")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page", "x"]
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["new"]


def test_folder_of_a_live_run_is_left_alone(tmp_path):
    (tmp_path / f".x.partial-{os.getppid()}").mkdir()
    with whole_folder(tmp_path / "x"):
        pass
    assert (tmp_path / f".x.partial-{os.getppid()}").is_dir()


def test_byte_order_mark_is_named_and_is_the_only_fault(data_dir):
    path = data_dir / "text"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (fault,) = faults_of(data_dir)
    assert fault.startswith(f"{path}:1: a byte order mark is before the first key")
    command = re.search("`(.*)`", fault).group(1)
    subprocess.run([*shlex.split(command), path], check=True)
    assert sorted(read_data_dir(data_dir).text) == ["amy-1", "amy-2", "bob-1"]


def test_very_many_faults_are_counted():
    assert str(DataError(f"{n}" for n in range(52))).splitlines()[-2:] == [
        "49",
        "... and 2 more faults",
    ]


def test_characters_outside_the_token_list_are_named(data_dir, tmp_path, capsys):
    other = tmp_path / "valid_text"
    other.write_text("v-1 ab ba\nv-2 ab é\n", encoding="utf-8")
    options = ["--text", str(data_dir / "text"), "--check_text", str(other)]
    for kind in (["--token_type", "char"], ["--token_type", "bpe", "--nbpe", "9"]):
        out = tmp_path / "tokens"
        assert tokens.main([*options, *kind, "--out_dir", str(out)]) == 1
        printed = capsys.readouterr().err
        assert f"{other}:2: v-2 has what is not in {out}/tokens.txt" in printed
        assert "'é' (U+00E9)" in printed
        assert not out.exists()


def test_impossible_number_of_pieces_says_the_possible_one(data_dir, tmp_path, capsys):
    out = tmp_path / "tokens"
    status = tokens.main(
        ["--text", f"{data_dir / 'text'}", "--out_dir", f"{out}", "--nbpe", "5000"]
    )
    assert status == 1
    printed = capsys.readouterr().err
    assert "--nbpe 5000 is impossible for this text" in printed
    assert "<=" in printed
    assert not out.exists()


def test_utterance_under_the_subsampling_is_found_after_the_filter(tmp_path, capsys):
    """Six frames pass a filter of 0.01 s, and conv2d needs seven."""
    (tmp_path / "utt2num_samples").write_text("long 16000\nshort 959\n")
    config = tmp_path / "train.yaml"
    config.write_text("frontend_conf:\n  hop_length: 160\n")
    assert lengths.main(["--config", str(config), str(tmp_path)]) == 1
    printed = capsys.readouterr().err
    assert f"{tmp_path}/utt2num_samples:2: short has 959 samples (0.060 s)" in printed
    assert "need 960: raise --min_wav_duration to 0.060" in printed
    (tmp_path / "utt2num_samples").write_text("long 16000\nshort 960\n")
    assert lengths.main(["--config", str(config), str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("layer", "n_fft", "fewest"),
    [
        ("conv2d", 512, 6 * 160),
        ("conv1d2", 512, 4 * 160),
        ("linear", 512, 257),
        ("conv2d", 4096, 2049),
    ],
)
def test_fewest_samples_are_what_front_end_and_subsampling_take(layer, n_fft, fewest):
    torch = pytest.importorskip("torch")
    from espnet_dynlook.encoder.subsampling import arithmetic_of

    config = {
        "frontend_conf": {"hop_length": 160, "n_fft": n_fft},
        "encoder_conf": {"input_layer": layer},
    }
    assert lengths.fewest_samples(config) == fewest

    def encoder_frames(samples):
        window = torch.hann_window(n_fft)
        wave = torch.zeros(1, samples)
        found = torch.stft(wave, n_fft, 160, window=window, return_complex=True)
        return arithmetic_of(layer).output_lengths(torch.tensor([found.shape[-1]]))

    assert encoder_frames(fewest) >= 1
    try:
        assert encoder_frames(fewest - 1) < 1
    except RuntimeError as error:  # torch cannot reflect so much
        assert "Padding size" in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("encoder: [", "is not YAML"),
        ("frontend_conf: {hop_length: ten}", "frontend_conf or encoder_conf"),
        ("frontend_conf: 3", "frontend_conf or encoder_conf"),
    ],
)
def test_faulty_configuration_is_a_message(tmp_path, capsys, content, message):
    config = tmp_path / "train.yaml"
    config.write_text(content)
    assert lengths.main(["--config", str(config), str(tmp_path)]) == 1
    printed = capsys.readouterr().err
    assert message in printed and str(config) in printed


def test_filter_that_would_leave_nothing_is_an_error(data_dir, tmp_path, capsys):
    out = tmp_path / "dump/train"
    format_audio.main(["--in_dir", str(data_dir), "--out_dir", str(out)])
    kept = tmp_path / "dump/kept"
    assert (
        length_filter.main(
            ["--in_dir", f"{out}", "--out_dir", f"{kept}", "--min_wav_duration", "99"]
        )
        == 1
    )
    assert "all 3 utterances would go" in capsys.readouterr().err
    assert not kept.exists()


def test_speed_factor_out_of_range(data_dir, tmp_path, capsys):
    with pytest.raises(SystemExit):
        speed.main(
            ["--in_dir", f"{data_dir}", "--out_dir", f"{tmp_path}/x", "--factors", "9"]
        )
    assert (
        "speed factor '9' must be a number from 0.5 to 2.0" in capsys.readouterr().err
    )
