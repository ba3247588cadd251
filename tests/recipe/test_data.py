"""Properties of the data stages on sound input."""

import numpy as np
import pytest
import soundfile

from espnet_dynlook.recipe import filter as length_filter
from espnet_dynlook.recipe import format_audio, speed, tokens
from espnet_dynlook.recipe.data_dir import read_data_dir, read_text


def files_of(folder):
    """Return every file's content by its name."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_audio_that_is_right_already_stays_where_it_is(data_dir, tmp_path):
    out = tmp_path / "dump"
    result = format_audio.format_data_dir(data_dir, out, 16000)
    assert result.wav == read_data_dir(data_dir).wav
    assert not (out / "data").exists()


def test_another_container_keeps_every_sample(data_dir, tmp_path):
    result = format_audio.format_data_dir(data_dir, tmp_path / "dump", 16000, "wav")
    for utt, path in read_data_dir(data_dir).wav.items():
        before, _ = soundfile.read(path, dtype="int16")
        after, rate = soundfile.read(result.wav[utt], dtype="int16")
        assert rate == 16000
        np.testing.assert_array_equal(before, after)
        assert result.num_samples[utt] == len(after)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24"])
def test_other_sample_formats_keep_their_level(data_dir, tmp_path, subtype):
    path = read_data_dir(data_dir).wav["amy-1"]
    before, _ = soundfile.read(path)
    wav = tmp_path / "x.wav"
    soundfile.write(wav, before, 16000, subtype=subtype)
    after, _ = format_audio.read_audio(str(wav))
    np.testing.assert_allclose(after / 32768, before, atol=1 / 32768)


def test_format_twice_gives_the_same(data_dir, tmp_path):
    options = (data_dir, tmp_path / "dump", 8000, "wav", True)
    format_audio.format_data_dir(*options)
    first = files_of(tmp_path / "dump")
    format_audio.format_data_dir(*options, nj=2)
    assert files_of(tmp_path / "dump") == first


def test_resampling_leaves_the_threads_of_torch():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        format_audio.resample(np.zeros(1000, np.int16), 16000, 8000)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_resampling_keeps_the_tone(tmp_path):
    t = np.arange(16000) / 16000
    tone = (10000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    low = format_audio.resample(tone, 16000, 8000)
    assert len(low) == 8000
    assert np.abs(np.fft.rfft(low)).argmax() == 440


def test_resampling_clips_instead_of_wrapping_round():
    square = np.where(np.arange(1600) // 80 % 2, 32767, -32768).astype(np.int16)
    out = format_audio.resample(square, 16000, 11025).astype(int)
    assert np.abs(np.diff(out)).max() < 65535
    assert out.max() == 32767


@pytest.mark.parametrize("factor", ["0.9", "1.1"])
def test_speed_changes_length_and_pitch_together(tmp_path, data_dir, factor):
    result = speed.perturb_data_dir(data_dir, tmp_path / "sp", ["1.0", factor])
    assert len(result.wav) == 6
    new = f"sp{factor}-amy-1"
    assert result.utt2spk[new] == f"sp{factor}-amy"
    assert result.text[new] == result.text["amy-1"]
    before, _ = soundfile.read(result.wav["amy-1"])
    after, rate = soundfile.read(result.wav[new])
    assert rate == 16000
    assert len(after) == pytest.approx(len(before) / float(factor), abs=2)
    # The first beep is at 400 Hz; 1600 samples of it.
    beep = np.abs(np.fft.rfft(after[: int(1600 / float(factor))], 16000))
    assert beep.argmax() == pytest.approx(400 * float(factor), abs=5)


def test_filter_says_what_went_and_why(data_dir, tmp_path):
    text = data_dir / "text"
    text.write_text(text.read_text().replace("amy-2 cab", "amy-2"))
    org = tmp_path / "org"
    format_audio.format_data_dir(data_dir, org, 16000, allow_empty_text=True)
    samples = read_data_dir(org, allow_empty_text=True).num_samples
    assert samples["bob-1"] > samples["amy-1"] > samples["amy-2"]
    limit = samples["amy-1"] / 16000
    length_filter.filter_data_dir(org, tmp_path / "kept", 16000, 0, limit)
    assert read_text(tmp_path / "kept/removed") == {
        "amy-2": "empty transcript",
        "bob-1": "0.720 s, over --max_wav_duration 0.64",
    }
    assert list(read_data_dir(tmp_path / "kept").wav) == ["amy-1"]


def make_tokens(data_dir, out, *options):
    assert (
        tokens.main(["--text", f"{data_dir}/text", "--out_dir", f"{out}", *options])
        == 0
    )
    return (out / "tokens.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("kind", ["bpe", "char", "word"])
def test_token_list_has_the_layout_of_espnet(data_dir, tmp_path, kind):
    listed = make_tokens(data_dir, tmp_path / "t", "--token_type", kind, "--nbpe", "9")
    assert listed[:2] == ["<blank>", "<unk>"]
    assert listed[-1] == "<sos/eos>"
    assert len(set(listed)) == len(listed)


def test_bpe_list_has_nbpe_entries_and_its_model_beside_it(data_dir, tmp_path):
    import sentencepiece

    listed = make_tokens(data_dir, tmp_path / "t", "--nbpe", "9")
    assert len(listed) == 9
    model = sentencepiece.SentencePieceProcessor(
        model_file=str(tmp_path / "t/bpe.model")
    )
    for line in read_text(data_dir / "text").values():
        pieces = model.encode(line, out_type=str)
        assert set(pieces) <= set(listed)
        assert model.decode(pieces) == line


def test_characters_are_ordered_by_frequency_and_symbols_stay_whole(data_dir, tmp_path):
    (data_dir / "text").write_text("u b<noise>b b\nv a b\n")
    symbols = tmp_path / "nlsyms.txt"
    symbols.write_text("<noise>\n")
    listed = make_tokens(
        data_dir, tmp_path / "t", "--token_type", "char", "--nlsyms_txt", str(symbols)
    )
    assert listed == ["<blank>", "<unk>", "b", "<space>", "<noise>", "a", "<sos/eos>"]


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_tokens_are_those_of_the_cleaned_text(data_dir, tmp_path, kind):
    """``tacotron`` spells abbreviations out, in capitals."""
    pytest.importorskip("tacotron_cleaner", reason="an extra of newer ESPnet versions")
    (data_dir / "text").write_text("u dr. ab\nv ab doctor\n")
    check = tmp_path / "check"
    check.write_text("w Dr. ab\n")
    options = ("--token_type", kind, "--nbpe", "12", "--check_text", f"{check}")
    listed = make_tokens(data_dir, tmp_path / "t", *options, "--cleaner", "tacotron")
    text = "".join(listed[2:-1]).replace("<space>", "")
    assert "." not in text and text == text.upper()
    assert {"D", "O", "C", "T", "R", "A", "B"} == set(text) - {"\u2581"}


def test_unknown_cleaner_is_named(data_dir, tmp_path, capsys):
    status = tokens.main(
        [
            *("--text", f"{data_dir}/text", "--out_dir", f"{tmp_path}/t"),
            *("--cleaner", "bleach"),
        ]
    )
    assert status == 1
    assert "--cleaner bleach" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_tokens_twice_are_the_same(data_dir, tmp_path):
    make_tokens(data_dir, tmp_path / "t", "--nbpe", "9")
    first = files_of(tmp_path / "t")
    make_tokens(data_dir, tmp_path / "t", "--nbpe", "9")
    assert files_of(tmp_path / "t") == first
