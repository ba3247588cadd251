"""Recognisers for names from files: adapters, language models, techniques; errors."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from names_files import NAMES, recognizer_of, streamed, write_adapter, write_both
from recogniser_files import FS, TRANSDUCER, speech, write_model

sys.path.insert(0, str(Path(__file__).parent / "search"))

from ctc_beam_cases import seeded, write_arpa

from espnet_dynlook.biasing.fingerprint import OtherBase
from espnet_dynlook.bin import dynlook
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.training.loading import CheckpointMismatch

pytestmark = pytest.mark.host
CHUNKED = {"lookahead": "chunked", "lookahead_frames": 2}
PHONES = {"phone_ctc_weight": 0.3, "phone_ctc_layer": 1}
SAID = [("ab", 1.0, "AE B"), ("cab", 1.0, "K AE B"), ("c", 1.0, "S IY")]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_both(tmp_path_factory.mktemp("files"), "layerwise")


@pytest.fixture(scope="module")
def phones(tmp_path_factory):
    """Return the files of a model with a phone head."""
    folder = tmp_path_factory.mktemp("phones")
    return write_model(folder, CHUNKED, model="dynlook", model_conf=PHONES)


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    write_arpa(path, ["a", "b", "ab", "ca", "bb"], seeded(0))
    return path


@torch.inference_mode()
def posteriors(recognizer, samples, phones=False):
    """Return what an offline pass says (T, V), and of phones (T, P)."""
    model = recognizer.model
    out, _ = model.encode(samples[None], torch.tensor([len(samples)]))
    rows = model.ctc.log_softmax(out)[0].float()
    if not phones:
        return rows
    return rows, model.phones.log_probs()[0]


def test_a_language_model_of_words_is_searched_with(files, arpa):
    lm = NgramLM(load_ngram(arpa), weight=2.0)
    recognizer = Recognizer.from_files(*files[0], lm=lm)
    decoder = BiasedDecoder(recognizer.model.token_list, 50, lm)
    plain = Recognizer.from_files(*files[0], beam=50)
    changed = 0
    for seed in range(3):
        samples = speech(seed, 0.7)
        for names in (None, NAMES):
            catalog = None if names is None else recognizer.catalog(names)
            best = decoder(posteriors(recognizer, samples), catalog, nbest=1)[0]
            found = recognizer.transcribe(samples, names)
            assert found.text == best.text
            assert found.score == pytest.approx(best.score, abs=1e-2)
            changed += found.text != plain.transcribe(samples, names).text
    assert changed
    by_path = Recognizer.from_files(*files[0], lm=arpa, beam=50)
    default = Recognizer.from_files(*files[0], lm=NgramLM(load_ngram(arpa)), beam=50)
    assert by_path.transcribe(speech(0)) == default.transcribe(speech(0))


def test_techniques_come_from_a_file(files, tmp_path):
    path = tmp_path / "techniques.yaml"
    path.write_text("boosting: {weight: 3.0}\n", encoding="utf-8")
    keys = {"boosting": {"weight": 3.0}}
    for techniques in (path, str(path), keys):
        recognizer = Recognizer.from_files(*files[0], techniques=techniques)
        assert recognizer._searching.decoder.techniques == Techniques.from_mapping(keys)
    path.write_text("boosting: {wait: 3.0}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"techniques\.yaml: boosting has no key wait"):
        Recognizer.from_files(*files[0], techniques=path)
    path.write_text("a: [\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"techniques\.yaml: "):
        Recognizer.from_files(*files[0], techniques=path)


def test_techniques_that_read_phones_get_them_offline_and_refuse_streams(phones):
    on = {"rescoring": True, "lookup": True}
    recognizer = Recognizer.from_files(*phones, techniques=on, beam=8)
    decoder = BiasedDecoder(
        recognizer.model.token_list, 8, techniques=Techniques.from_mapping(on)
    )
    catalog = recognizer.catalog(SAID)
    audio = [speech(seed, 0.3 + 0.2 * seed) for seed in range(3)]
    lists = [catalog, None, catalog]
    together = recognizer.transcribe_all(audio, lists)
    for samples, names, found in zip(audio, lists, together, strict=True):
        rows, said = posteriors(recognizer, samples, phones=True)
        best = decoder(rows, names, said, 1)[0]
        assert found.text == best.text == " ".join(w.text for w in found.words)
        assert found.score == pytest.approx(best.score, abs=1e-2)
        assert len(found.lookahead_ms) == len(rows)
        assert all(0 < word.confidence <= 1 for word in found.words)
        starts = [recognizer.period * word.start for word in best.words]
        assert [word.start for word in found.words] == pytest.approx(starts)
    alone = recognizer.transcribe(audio[1])
    assert recognizer.transcribe(audio[1], []) == alone
    assert recognizer.transcribe(torch.zeros(0), SAID).text == ""
    for refused in (recognizer.stream, lambda: recognizer.streams(2)):
        with pytest.raises(ValueError, match="rescoring: null, lookup: null"):
            refused()


def test_an_adapter_and_its_base_may_be_one_model(files, tmp_path, monkeypatch):
    """The configuration of an adapter names its base; both also go into one zip."""
    from espnet2.main_funcs.pack_funcs import pack

    (_, model), adapter = files
    expected = recognizer_of(*files, "adapter").transcribe(speech(1), NAMES)
    direct = Recognizer.from_files(adapter["adapter_config"], adapter["adapter_file"])
    assert direct.transcribe(speech(1), NAMES) == expected
    # Names in a zip are relative to the recipe's folder, as in its configurations.
    monkeypatch.chdir(tmp_path)
    found = yaml.safe_load(adapter["adapter_config"].read_text(encoding="utf-8"))
    found["model_conf"]["base_model"] = "base.pth"
    found = json.loads(json.dumps(found))  # without aliases, as trainings write it
    Path("config.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    shutil.copy(model, "base.pth")
    shutil.copy(adapter["adapter_file"], "adapter.pth")
    pack(
        files={"asr_model_file": "adapter.pth"},
        yaml_files={"asr_train_config": "config.yaml"},
        option=["base.pth"],
        outpath="both.zip",
    )
    Path("base.pth").unlink()
    zipped = Recognizer.from_zip("both.zip")
    assert zipped.transcribe(speech(1), NAMES) == expected


def test_what_does_not_go_together_says_so(files, phones, tmp_path, arpa):
    (config, model), adapter = files
    one = adapter["adapter_config"]
    with pytest.raises(ValueError, match="adapter_file=None go together: give both"):
        Recognizer.from_files(config, model, adapter_config=one)
    with pytest.raises(ValueError, match=r"adapter_scale=2\.0, and there is no adapt"):
        Recognizer.from_files(config, model, adapter_scale=2.0)
    with pytest.raises(ValueError, match="adapter_scale=-1 must be 0 or more"):
        Recognizer.from_files(config, model, adapter_scale=-1, **adapter)
    with pytest.raises(OtherBase, match="trained on the base"):
        Recognizer.from_files(*phones, **adapter)
    swapped = {"adapter_config": config, "adapter_file": model}
    with pytest.raises(CheckpointMismatch, match="not the configuration of an adapter"):
        Recognizer.from_files(config, model, **swapped)
    wrong = {**adapter, "adapter_file": model}
    with pytest.raises(CheckpointMismatch, match="Give the adapter's file"):
        Recognizer.from_files(config, model, **wrong)
    with pytest.raises(ValueError, match="this model has no phone head"):
        Recognizer.from_files(config, model, techniques={"rescoring": True})
    with pytest.raises(ValueError, match="unigram boosting changes what a language"):
        Recognizer.from_files(config, model, techniques={"unigram": True})
    with pytest.raises(ValueError, match=r"none\.arpa"):
        Recognizer.from_files(config, model, lm=tmp_path / "none.arpa")
    with pytest.raises(ValueError, match="beam=0 must be at least 1"):
        Recognizer.from_files(config, model, beam=0)
    recognizer = Recognizer.from_files(config, model, **adapter)
    with pytest.raises(ValueError, match="names='Anna' is no file"):
        recognizer.transcribe(speech(0), "Anna")

    rnnt = write_model(tmp_path, CHUNKED, **TRANSDUCER)
    for options in ({"lm": arpa}, {"techniques": {"boosting": True}}):
        with pytest.raises(ValueError, match="and this model is a transducer: leave"):
            Recognizer.from_files(*rnnt, **options)
    for beam in (1, 3):
        plain = Recognizer.from_files(*rnnt, beam=beam)
        with pytest.raises(ValueError, match="on a transducer through an adapter"):
            plain.transcribe(speech(0), NAMES)


def test_layers_that_the_encoder_has_not_are_named(tmp_path):
    write_model(tmp_path, CHUNKED)
    files = tmp_path / "config.yaml", tmp_path / "model.pth"
    adapter = write_adapter(tmp_path, tmp_path / "adapter", adapter_layers=[2])
    assert Recognizer.from_files(*files, **adapter).pipeline.taps == (2,)
    found = yaml.safe_load(adapter["adapter_config"].read_text(encoding="utf-8"))
    found["model_conf"]["adapter_layers"] = [7]
    adapter["adapter_config"].write_text(yaml.safe_dump(found), encoding="utf-8")
    with pytest.raises(ValueError, match=r"\[7\] is not in 1 \.\. 2, the layers of"):
        Recognizer.from_files(*files, **adapter)


def test_names_in_the_tokens_of_pieces_need_the_file_of_those(tmp_path):
    files = write_model(tmp_path, CHUNKED, token_type="bpe", bpemodel="gone.model")
    recognizer = Recognizer.from_files(*files, beam=2)
    recognizer.transcribe(speech(0))  # who has no names needs none
    with pytest.raises(ValueError, match=r"names cannot be written.*gone\.model"):
        recognizer.transcribe(speech(0), ["ab"])


def test_numbers_may_be_of_another_type(files):
    (config, model), adapter = files
    options = {**adapter, "dtype": "float64", "beam": 6}
    double = Recognizer.from_files(config, model, **options)
    single = Recognizer.from_files(config, model, **adapter, beam=6)
    found = double.transcribe(speech(1), NAMES)
    assert found.score == pytest.approx(single.transcribe(speech(1), NAMES).score, 1e-3)
    assert streamed(double, speech(1), NAMES)[0].text == found.text


@pytest.fixture
def command(files, tmp_path, capsys):
    """Return a function that runs a command on a file, and what it writes."""
    (config, model), _ = files
    soundfile.write(tmp_path / "a.wav", speech(2, 1).numpy(), FS, subtype="FLOAT")
    (tmp_path / "names.txt").write_text("ab\nca\t1.5\na\nc a\nbcb\n", encoding="utf-8")

    def run(kind, *options):
        files = ["--asr_train_config", str(config), "--asr_model_file", str(model)]
        dynlook.main([kind, str(tmp_path / "a.wav"), *files, *map(str, options)])
        return capsys.readouterr().out.strip()

    return run


def test_the_command_takes_names(command, files, arpa, tmp_path):
    (config, model), adapter = files
    samples, names = tmp_path / "a.wav", tmp_path / "names.txt"
    techniques = tmp_path / "techniques.yaml"
    techniques.write_text("boosting: {weight: 2.0}\n", encoding="utf-8")
    shutil.copy(adapter["adapter_config"], tmp_path / "config.yaml")
    shutil.copy(adapter["adapter_file"], tmp_path / "valid.loss.best.pth")
    pair = [f"--{key}" for key in adapter]
    given = [x for both in zip(pair, adapter.values(), strict=True) for x in both]
    for options, same in (
        ((), {"beam": 50}),
        (given, adapter),
        (("--adapter", tmp_path), adapter),
        (("--techniques", techniques), {"techniques": techniques}),
        (("--lm", arpa), {"lm": arpa}),
    ):
        expected = Recognizer.from_files(config, model, **same)
        expected = expected.transcribe(samples, names).text
        for kind in ("transcribe", "stream"):
            assert command(kind, "--names", names, *options) == expected
    assert expected != command("transcribe")


def test_wrong_options_of_names_say_what_to_write(command, tmp_path):
    names = ("--names", tmp_path / "names.txt")
    for options, message in (
        (("--names", tmp_path / "gone.txt"), r"gone\.txt' is no file"),
        ((*names, "--beam", "1"), "no effect on a greedy search"),
        (("--adapter", tmp_path / "x"), r"has no config\.yaml with valid\.loss\.ave"),
        (("--adapter", "x", "--adapter_config", "y"), "give --adapter DIR, or"),
        (("--adapter_config", "y"), "go together"),
        (("--lm", tmp_path / "x.arpa"), "--lm: the language model .* is no file"),
    ):
        for kind in ("transcribe", "stream"):
            with pytest.raises(ConfigError, match=message):
                command(kind, *options)


def test_names_on_real_speech(dynlook_data, tmp_path):
    """Random models on recordings: what streams with names is what is transcribed."""
    (tmp_path / "base").mkdir()
    letters = ["<blank>", "<unk>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<space>"]
    files = write_model(
        tmp_path / "base",
        {"lookahead": "dynamic", "lookahead_frames": 3},
        frontend_conf={"fs": 16000, "n_fft": 512, "hop_length": 160, "n_mels": 40},
        token_list=[*letters, "<sos/eos>"],
    )
    adapter = write_adapter(tmp_path / "base", tmp_path / "adapter")
    recognizer = Recognizer.from_files(
        *files, **adapter, beam=6, techniques={"boosting": {"weight": 2.0}}
    )
    paths = sorted((dynlook_data / "fixtures" / "flac").glob("*.flac"))[:2]
    names = ["KATHLEEN", "SAN FRANCISCO", *"EAOTN", ("THE", 2.0)]
    whole = recognizer.transcribe_all(paths, names)
    for path, expected in zip(paths, whole, strict=True):
        assert expected.score != recognizer.transcribe(path).score
        samples = recognizer.samples_of(path)
        found, _ = streamed(recognizer, samples, names, (2560, 4001))
        assert found.text == expected.text
        assert found.score == pytest.approx(expected.score, abs=1e-2)
        assert found.lookahead_ms == expected.lookahead_ms
