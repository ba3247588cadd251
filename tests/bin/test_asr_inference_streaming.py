"""Streams of a data directory: texts of the other commands, and latencies beside."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from hub_data import CONFIG, TOKENS
from recogniser_files import (
    CHUNKED,
    DYNAMIC,
    FS,
    TRANSDUCER,
    speech,
    write_model,
)

from espnet_dynlook.bin import (
    asr_evaluate,
    asr_inference,
    asr_inference_streaming,
    dynlook,
)
from espnet_dynlook.config import ConfigError
from espnet_dynlook.metrics.streamed import LATENCIES
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.task import DynlookASRTask

pytestmark = pytest.mark.host

TEXTS = ("text", "token", "token_int")
FILES = tuple(one.file for one in LATENCIES)


def read(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}


def numbers(folder, name):
    return {k: [float(x) for x in v.split()] for k, v in read(folder / name).items()}


@pytest.fixture(scope="module")
def wav_scp(tmp_path_factory):
    """Write five utterances, the last of them too short for one frame."""
    folder = tmp_path_factory.mktemp("data")
    lines = []
    for n, seconds in enumerate((0.5, 1.0, 1.7, 2.5, 0.02)):
        samples = speech(n, seconds) if seconds > 0.1 else torch.zeros(160)
        soundfile.write(folder / f"{n}.wav", samples.numpy(), FS, subtype="FLOAT")
        lines.append(f"utt{n} {folder}/{n}.wav\n")
    (folder / "wav.scp").write_text("".join(lines), encoding="utf-8")
    return folder / "wav.scp"


def arguments(files, data, out, *extra):
    config, model = files
    return [
        *("--data_path_and_name_and_type", f"{data}", "--num_workers", "0"),
        *("--asr_train_config", f"{config}", "--asr_model_file", f"{model}"),
        *("--output_dir", f"{out}", *extra),
    ]


def transducer(folder):
    """Write a transducer whose CTC head, too, says many things."""
    files = write_model(folder, CHUNKED, **TRANSDUCER)
    weights = torch.load(files[1], weights_only=True)
    last = weights["ctc.ctc_lo.weight"]
    seeded = torch.Generator().manual_seed(18)
    weights["ctc.ctc_lo.weight"] = 3 * torch.randn(last.shape, generator=seeded)
    torch.save(weights, files[1])
    return files


@pytest.fixture(scope="module", params=["chunked", "dynamic", "transducer"])
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "transducer":
        return transducer(folder)
    return write_model(folder, DYNAMIC if request.param == "dynamic" else CHUNKED)


@pytest.fixture
def stream(tmp_path):
    """Return a function that streams a data file and returns the folder of results."""

    def run(files, data, *extra):
        cmd = arguments(files, data, tmp_path / "streamed", *extra)
        asr_inference_streaming.main(cmd)
        return tmp_path / "streamed" / "1best_recog"

    return run


def offline(files, data, out, *extra):
    asr_inference.main(arguments(files, data, out, *extra))
    return out / "1best_recog"


@pytest.mark.parametrize("packet", [0, 80, 1234])
def test_greedy_text_is_that_of_asr_inference(files, wav_scp, stream, packet, tmp_path):
    """espnet#4012: the command streams the encoders that it is for."""
    data = f"{wav_scp},speech,sound"
    greedy = ("--decoding", "ctc_greedy")
    streamed = stream(files, data, *greedy, "--sim_chunk_length", str(packet))
    whole = offline(files, data, tmp_path / "whole", *greedy)
    for name in (*TEXTS, "lookahead_ms"):
        assert read(streamed / name) == read(whole / name), name
    assert len(set(read(streamed / "text").values())) > 2
    for key, (score,) in numbers(streamed, "score").items():
        assert score == pytest.approx(numbers(whole, "score")[key][0], abs=1e-2)
    audio = {key: v.split()[1] for key, v in read(whole / "decode_seconds").items()}
    assert audio == {
        key: v.split()[1] for key, v in read(streamed / "decode_seconds").items()
    }


def test_transducers_say_what_espnets_search_says(tmp_path, wav_scp, stream):
    files = transducer(tmp_path)
    data = f"{wav_scp},speech,sound"
    streamed = stream(files, data, "--beam_size", "1", "--sim_chunk_length", "400")
    whole = offline(files, data, tmp_path / "whole", "--beam_size", "1")
    assert read(streamed / "token_int") == read(whole / "token_int")
    assert any(read(streamed / "text").values())


@pytest.mark.parametrize("beam", [1, 4])
def test_command_says_what_api_and_live_command_say(
    files, wav_scp, stream, beam, capsys
):
    """sherpa#91."""
    extra = ("--beam_size", str(beam), "--sim_chunk_length", "500")
    folder = stream(files, f"{wav_scp},speech,sound", *extra)
    recognizer = Recognizer.from_files(*files, beam=beam)
    paths = read(wav_scp)
    results = recognizer.transcribe_all([Path(path) for path in paths.values()])
    for key, result in zip(paths, results, strict=True):
        assert " ".join(read(folder / "text")[key].split()) == result.text
        assert numbers(folder, "score")[key] == pytest.approx([result.score], abs=1e-2)
        found = numbers(folder, "lookahead_ms")[key]
        assert found == pytest.approx(result.lookahead_ms, abs=0.051)
    capsys.readouterr()
    model = ["--asr_train_config", str(files[0]), "--asr_model_file", str(files[1])]
    for path, result in zip(paths.values(), results, strict=True):
        dynlook.main(["stream", path, *model, "--beam", str(beam)])
        assert capsys.readouterr().out == result.text + "\n"


@pytest.mark.parametrize("beam", [1, 4])
def test_every_token_and_every_utterance_has_its_latencies(
    files, wav_scp, stream, beam, caplog
):
    """espnet#4217, wenet#17, FunASR#1016; espnet#5729: the first words, too."""
    caplog.set_level("INFO")
    extra = ("--beam_size", str(beam), "--sim_chunk_length", "400")
    folder = stream(files, f"{wav_scp},speech,sound", *extra)
    tokens = {key: value.split() for key, value in read(folder / "token").items()}
    found = {name: numbers(folder, name) for name in FILES}
    waits = numbers(folder, "lookahead_ms")
    for key, own in tokens.items():
        for one in LATENCIES:
            if one.unit == "token" and one.name != "emission":
                assert len(found[one.file][key]) == len(own), one.name
        # A transducer may say more tokens than a CTC path has room for.
        assert len(found["token_emission_ms"][key]) in (0, len(own))
        assert (
            "transducer" in str(files[0]) or found["token_emission_ms"][key] or not own
        )
        assert set(found["token_algorithmic_ms"][key]) <= set(waits[key])
        assert all(x > 0 for x in found["token_computational_ms"][key])
        stable = found["token_stable_ms"][key]
        assert all(x == 0 if beam == 1 else x >= 0 for x in stable)
        (final,) = found["final_ms"][key]
        assert final > 0
        # There is no text before the first packet of 50 ms is there.
        assert all(x > 50 for x in found["first_partial_ms"][key])
        text = read(folder / "text")[key].strip()
        assert len(found["first_partial_ms"][key]) == bool(text)
    assert "5 utterances, in packets of 50 ms; latencies in ms:" in caplog.text
    assert "1 utterances are too short and have empty text: utt4" in caplog.text
    if beam == 1:
        assert "stable        mean 0.0, p50 0.0, p90 0.0" in caplog.text


def test_what_the_audio_decides_does_not_depend_on_the_packets(files, wav_scp, stream):
    found = []
    for packet in ("0", "333"):
        extra = ("--beam_size", "3", "--sim_chunk_length", packet)
        folder = stream(files, f"{wav_scp},speech,sound", *extra)
        names = ("token_algorithmic_ms", "token_emission_ms", "token_stable_ms")
        found.append([read(folder / name) for name in names])
    assert found[0] == found[1]


def test_words_with_times_are_what_tokens_are_measured_from(tmp_path, wav_scp, stream):
    files = write_model(tmp_path, CHUNKED)
    data = f"{wav_scp},speech,sound"
    extra = ("--decoding", "ctc_greedy", "--sim_chunk_length", "400")
    folder = stream(files, data, *extra)
    token = read(folder / "token")
    words = [one for one in read(folder / "text")["utt3"].split() if one]
    ctm = [f"utt3 1 {n / 10:.2f} 0.10 {one}\n" for n, one in enumerate(words)]
    words_ctm = tmp_path / f"{wav_scp.parent.name}.ctm"
    words_ctm.write_text("".join(ctm), encoding="utf-8")
    whole = numbers(folder, "token_emission_ms")["utt3"]
    folder = stream(files, data, *extra, "--alignment", f"{tmp_path}")
    delays = numbers(folder, "token_emission_ms")
    assert [key for key, own in delays.items() if own] == ["utt3"]
    spoken = [one for one in token["utt3"].split() if one != "<space>"]
    assert len(delays["utt3"]) == len(spoken) <= len(whole)
    # asr_evaluate measures the same, offline.
    said = {key: text or "a" for key, text in read(folder / "text").items()}
    lines = [f"{key} {text}\n" for key, text in said.items()]
    (tmp_path / "text").write_text("".join(lines), encoding="utf-8")
    asr_evaluate.main(
        [
            *arguments(files, data, tmp_path / "evaluated"),
            *("--data_path_and_name_and_type", f"{tmp_path}/text,text,text"),
            *("--alignment", f"{words_ctm}"),
        ]
    )
    rows = (tmp_path / "evaluated/utterances.jsonl").read_text().splitlines()
    evaluated = {row["utt"]: row["token_delays_ms"] for row in map(json.loads, rows)}
    assert delays["utt3"] == pytest.approx(evaluated["utt3"], abs=0.11)
    (tmp_path / "other.ctm").write_text("elsewhere 1 0.0 0.1 ab\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other\.ctm has none of these utterances"):
        stream(files, data, *extra, "--alignment", f"{tmp_path}/other.ctm")


def test_features_are_streamed_too(tmp_path, stream):
    """Of a model without a front end, and through one that lets them through."""
    rng = np.random.default_rng(0)
    for name, size, changes in (
        ("plain", 20, {"frontend": None, "input_size": 20, "frontend_conf": {}}),
        ("mfcc", 13, {"frontend": "mfcc_an4", "frontend_conf": {"fs": "16k"}}),
    ):
        (tmp_path / name).mkdir()
        files = write_model(tmp_path / name, CHUNKED, **changes)
        lines = []
        for n in range(3):
            path = tmp_path / name / f"{n}.npy"
            np.save(path, rng.standard_normal((60 + 30 * n, size)).astype(np.float32))
            lines.append(f"utt{n} {path}\n")
        (tmp_path / name / "feats.scp").write_text("".join(lines), encoding="utf-8")
        data = f"{tmp_path / name}/feats.scp,speech,npy"
        greedy = ("--decoding", "ctc_greedy")
        streamed = stream(files, data, *greedy, "--sim_chunk_length", "7")
        whole = offline(files, data, tmp_path / name / "whole", *greedy)
        for file in (*TEXTS, "lookahead_ms"):
            assert read(streamed / file) == read(whole / file)
        assert numbers(streamed, "decode_seconds")["utt1"][1] == 0.9
        assert any(read(streamed / "text").values())


def test_an_utterance_of_an4_is_streamed_from_features_and_from_audio(
    tmp_path, stream, dynlook_data
):
    frontend = {"frontend": "mfcc_an4", "frontend_conf": {"fs": "16k"}}
    files = write_model(tmp_path, CHUNKED, **frontend)
    with np.load(dynlook_data / "an4/mfcc/train.npz") as arrays:
        k = list(arrays["utts"]).index("an104-mrcb-b")
        start, end = arrays["offsets"][k : k + 2]
        np.save(tmp_path / "feats.npy", arrays["feats"][start:end])
    audio = dynlook_data / "an4/audio_flac/an104-mrcb-b.flac"
    found = []
    for path, kind in ((tmp_path / "feats.npy", "npy"), (audio, "sound")):
        (tmp_path / f"{kind}.scp").write_text(f"utt {path}\n", encoding="utf-8")
        data = f"{tmp_path}/{kind}.scp,speech,{kind}"
        folder = stream(files, data, "--beam_size", "1", "--sim_chunk_length", "80")
        found.append([read(folder / name)["utt"] for name in (*TEXTS, "lookahead_ms")])
    assert found[0] == found[1] and found[0][0]


def test_a_recipes_configuration_is_read(tmp_path, wav_scp, stream, caplog):
    caplog.set_level("INFO")
    files = write_model(tmp_path, CHUNKED)
    (tmp_path / "base.yaml").write_text("decoding: ctc_greedy\n", encoding="utf-8")
    text = "base: base.yaml\nsim_chunk_length: 400\n"
    (tmp_path / "decode.yaml").write_text(text, encoding="utf-8")
    extra = ("--config", f"{tmp_path}/decode.yaml")
    stream(files, f"{wav_scp},speech,sound", *extra)
    assert "in packets of 50 ms" in caplog.text
    (tmp_path / "decode.yaml").write_text("decoding: espnet\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="'espnet' is not one of beam, ctc_greedy"):
        stream(files, f"{wav_scp},speech,sound", *extra)


def test_a_model_that_cannot_stream_says_why(tmp_path, wav_scp, stream):
    data = f"{wav_scp},speech,sound"
    files = write_model(tmp_path, CHUNKED, normalize="utterance_mvn")
    with pytest.raises(ConfigError, match=r"config\.yaml: .*UtteranceMVN uses the"):
        stream(files, data)
    without = {"ctc_weight": 0.0, "report_cer": False, "report_wer": False}
    files = transducer(tmp_path)
    saved = yaml.safe_load(files[0].read_text(encoding="utf-8"))
    saved["model_conf"].update(without)
    files[0].write_text(yaml.safe_dump(saved), encoding="utf-8")
    weights = torch.load(files[1], weights_only=True)
    kept = {key: v for key, v in weights.items() if not key.startswith("ctc.")}
    torch.save(kept, files[1])
    with pytest.raises(ConfigError, match="this transducer has no CTC head"):
        stream(files, data, "--decoding", "ctc_greedy")
    # It streams all the same, and only its ends in the audio are not known.
    folder = stream(files, data, "--beam_size", "1")
    assert not any(numbers(folder, "token_emission_ms").values())
    assert any(numbers(folder, "token_stable_ms").values())


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--nbest", "3"], "--nbest 3 has no effect.*write --nbest 1"),
        (["--lm_file", "lm.pth"], r"--lm_file lm\.pth.*--use_lm false"),
        (["--lm_weight", "0.3"], r"--lm_weight 0\.3.*asr_inference"),
        (["--word_lm_file", "x"], "--word_lm_file x.*--use_lm false"),
        (["--penalty", "0.5"], r"--penalty 0\.5 .*leave it out"),
        (["--maxlenratio", "0.5"], r"--maxlenratio 0\.5 "),
        (["--minlenratio", "0.5"], r"--minlenratio 0\.5 "),
        (["--normalize_length", "true"], "--normalize_length True"),
        (["--disable_repetition_detection", "true"], "--disable_repetition_detection"),
        (["--encoded_feat_length_limit", "9"], "--encoded_feat_length_limit 9"),
        (["--decoder_text_length_limit", "9"], "--decoder_text_length_limit 9"),
        (["--ctc_weight", "0.3"], r"--ctc_weight 0\.3: nothing but the CTC head"),
        (["--beam_size", "0"], "--beam_size 0 must be at least 1"),
        (["--sim_chunk_length", "-1"], "--sim_chunk_length -1 must be at least 0"),
        (["--batch_size", "2"], "--batch_size 2"),
        (["--decoding", "ctc_greedy", "--beam_size", "9"], "--decoding beam"),
        (["--alignment", "nowhere.ctm"], r"--alignment nowhere\.ctm: no such file"),
        (["--asr_train_config", "nowhere.yaml"], r"--asr_train_config .*nowhere\.yaml"),
    ],
)
def test_what_has_no_effect_or_is_wrong_says_what_to_write(
    tmp_path, wav_scp, extra, message
):
    files = write_model(tmp_path, CHUNKED)
    cmd = arguments(files, f"{wav_scp},speech,sound", tmp_path / "out", *extra)
    with pytest.raises(ConfigError, match=message):
        asr_inference_streaming.main(cmd)
    assert not (tmp_path / "out").exists()


def test_an_utterance_that_does_not_fit_is_named(tmp_path):
    files = write_model(tmp_path, CHUNKED)
    soundfile.write(tmp_path / "two.wav", np.zeros((4000, 2)), FS)
    (tmp_path / "wav.scp").write_text(f"both {tmp_path}/two.wav\n", encoding="utf-8")
    cmd = arguments(files, f"{tmp_path}/wav.scp,speech,sound", tmp_path / "out")
    with pytest.raises(ConfigError, match=r"both: a packet is samples \(N,\) here"):
        asr_inference_streaming.main(cmd)


def test_espnets_streaming_encoder_goes_to_espnets_program(tmp_path, wav_scp):
    from espnet_dynlook import run

    keys = ("output_size", "attention_heads", "linear_units", "num_blocks")
    conf = {key: CONFIG["encoder_conf"][key] for key in keys}
    conf |= {"block_size": 20, "hop_size": 8, "look_ahead": 4}
    parser = DynlookASRTask.get_parser()
    changes = {"encoder": "contextual_block_conformer", "encoder_conf": conf}
    parser.set_defaults(**{**CONFIG, **changes}, token_list=TOKENS, token_type="char")
    args = parser.parse_args(["--output_dir", str(tmp_path)])
    files = (tmp_path / "config.yaml", tmp_path / "model.pth")
    torch.save(DynlookASRTask.build_model(args).state_dict(), files[1])
    plain = {k: v for k, v in vars(args).items() if not callable(v)}
    files[0].write_text(yaml.safe_dump(plain), encoding="utf-8")
    text = wav_scp.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "wav.scp").write_text("".join(text[2:4]), encoding="utf-8")
    data = f"{tmp_path}/wav.scp,speech,sound"
    cmd = arguments(files, data, tmp_path / "out", "--sim_chunk_length", "2000")
    # An unmodified asr.sh calls ESPnet's name.
    run.main(["-m", "espnet2.bin.asr_inference_streaming", *cmd, "--beam_size", "2"])
    folder = tmp_path / "out" / "1best_recog"
    assert list(read(folder / "token")) == ["utt2", "utt3"]
    assert set(" ".join(read(folder / "token").values()).split()) <= set(TOKENS)
    assert not (folder / "final_ms").exists()
    with pytest.raises(ConfigError, match="is not for encoder: contextual_block"):
        asr_inference_streaming.main([*cmd, "--decoding", "ctc_greedy"])
