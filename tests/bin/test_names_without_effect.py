"""Options of names that would do nothing are refused, in every command."""

import math

import numpy as np
import pytest
import soundfile
from hub_data import FS
from recogniser_files import CHUNKED, TRANSDUCER, speech, write_model
from test_decoding_with_names import ARPA, decode, names_file, write_adapter

from espnet_dynlook.bin import dynlook
from espnet_dynlook.bin.names_options import options_of
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.recognizer.searching import BEAM
from espnet_dynlook.search.effects import acting, check_effects
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import Techniques

pytestmark = pytest.mark.host
CTC_BEAM = ("--decoding", "ctc_beam")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder: models that stream, an adapter, speech, an n-gram."""
    root = tmp_path_factory.mktemp("names")
    for name, changes in (("ctc", {}), ("transducer", TRANSDUCER)):
        (root / name).mkdir()
        write_model(root / name, CHUNKED, **changes)
    write_adapter(root / "ctc", root / "adapter")
    samples = speech(0, seconds=0.8).numpy().astype(np.float32)
    soundfile.write(root / "u0.wav", samples, FS)
    (root / "wav.scp").write_text(f"u0 {root}/u0.wav\n")
    (root / "words.arpa").write_text(ARPA)
    return root


def adapter(files):
    return (
        *("--adapter_train_config", f"{files}/adapter/config.yaml"),
        *("--adapter_model_file", f"{files}/adapter/model.pth"),
    )


@pytest.fixture
def live(files, capsys):
    """Return a function that runs dynlook transcribe, and what it writes."""

    def run(*options):
        model = ["--asr_train_config", f"{files}/ctc/config.yaml"]
        model += ["--asr_model_file", f"{files}/ctc/model.pth"]
        cmd = ["transcribe", f"{files}/u0.wav", *model, *options]
        dynlook.main([str(one) for one in cmd])
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"boosting": {"weight": 0, "cap": 9.0}},
            "cap=9.0 of boosting has no effect with weight=0",
        ),
        (
            {"boosting": {"weight": 0, "top": 2, "slope": 3.0}},
            "slope=3.0, top=2 of boosting has no effect with weight=0",
        ),
        ({"boosting": {"slope": 0}}, "boosting gives nothing with slope=0"),
        ({"boosting": {"cap": 0.0}}, r"boosting gives nothing with cap=0\.0"),
        (
            {"lookup": {"weight": 0, "span": 2}},
            "span=2 of lookup has no effect with weight=0",
        ),
        ({"lookup": {"rare": 5}}, "rare=5 of lookup has no effect without counts"),
        ({"lookup": {"confidence": 0}}, "lookup doubts no word"),
    ],
)
def test_keys_of_techniques_that_do_nothing_are_refused(files, keys, message):
    techniques = Techniques.from_mapping(keys)
    with pytest.raises(ValueError, match=message):
        check_effects(techniques, None)
    model = files / "ctc/config.yaml", files / "ctc/model.pth"
    with pytest.raises(ValueError, match=message):
        Recognizer.from_files(*model, techniques=keys)


def test_variants_that_are_off_read_no_table(tmp_path):
    (tmp_path / "table.tsv").write_text("")
    off = {"variants": {"number": 0, "table": str(tmp_path / "table.tsv")}}
    with pytest.raises(ValueError, match="of variants has no effect with number=0"):
        check_effects(Techniques.from_mapping(off), None)


def test_unigram_needs_an_ngram_that_counts(files):
    on = Techniques.from_mapping({"boosting": None, "unigram": {"gamma": 3.0}})
    lm = load_ngram(files / "words.arpa")
    with pytest.raises(ValueError, match="its weight is 0"):
        check_effects(on, NgramLM(lm, weight=0.0))
    check_effects(on, NgramLM(lm))
    assert acting(on, NgramLM(lm)) == ["unigram"]
    assert acting(on, None) == []


def test_a_weight_of_nothing_is_a_switch_and_no_fault():
    off = {"boosting": {"weight": 0}, "lookup": {"weight": 0}, "variants": False}
    check_effects(Techniques.from_mapping(off), None)
    assert acting(Techniques.from_mapping(off), None) == []
    every = Techniques.from_mapping({"lookup": {"confidence": 0.5}, "variants": True})
    check_effects(every, None)
    assert acting(every, None) == ["boosting", "lookup", "variants"]


@pytest.mark.parametrize("techniques", ["none", "off"])
def test_names_without_a_technique_are_refused(files, tmp_path, live, techniques):
    (tmp_path / "off.yaml").write_text("boosting: {weight: 0}\n")
    given = "none" if techniques == "none" else f"{tmp_path}/off.yaml"
    names = names_file(tmp_path, "cab")
    options = (*CTC_BEAM, "--techniques", given)
    with pytest.raises(ConfigError, match="ctc_beam with all techniques off"):
        decode(files, tmp_path / "out", *options, "--catalog", names)
    silent = (*adapter(files), "--adapter_scale", "0")
    with pytest.raises(ConfigError, match="ctc_beam with all techniques off"):
        decode(files, tmp_path / "out", *options, *silent, "--catalog", names)
    both = decode(
        files, tmp_path / "both", *options, *adapter(files), "--catalog", names
    )
    assert both["text"]
    if techniques == "off":
        with pytest.raises(ConfigError, match="all techniques are off"):
            live("--names", names, "--techniques", given)


@pytest.mark.parametrize("scale", ["-1", "nan", "inf"])
def test_the_scale_of_an_adapter_is_a_number_of_nothing_or_more(files, tmp_path, scale):
    options = (*adapter(files), "--adapter_scale", scale)
    with pytest.raises(ConfigError, match=f"--adapter_scale {float(scale)} must be 0"):
        decode(files, tmp_path / "out", *options)
    from espnet_dynlook.bin.asr_inference import Speech2Text

    model = files / "ctc/config.yaml", files / "ctc/model.pth"
    with pytest.raises(ValueError, match=r"adapter_scale=.* must be 0 or more"):
        Speech2Text(*model, decoding="ctc_greedy", adapter_scale=float(scale))


def test_the_scale_of_no_adapter_is_refused(files, tmp_path):
    with pytest.raises(ConfigError, match=r"adapter_scale=0\.5, and there is no adapt"):
        decode(files, tmp_path / "out", *CTC_BEAM, "--adapter_scale", "0.5")
    # Of a model that has its own it is none.
    options = (*CTC_BEAM, "--techniques", "none", "--adapter_scale", "0.5")
    names = ("--catalog", names_file(tmp_path, "cab", "abc"))
    half = decode(files, tmp_path / "half", *options, *names, model="adapter")
    whole = decode(files, tmp_path / "1", *options[:-2], *names, model="adapter")
    assert half["score"] != whole["score"]


def test_the_live_command_reads_a_tuned_ngram(files, live):
    lm = load_ngram(files / "words.arpa")
    tuned = NgramLM(lm, 0.8, word_insertion=2.0, unknown=-1.0, unknown_length=-0.5)
    model = files / "ctc/config.yaml", files / "ctc/model.pth"
    arpa = ("--lm", files / "words.arpa", "--lm_weight", 0.8)
    options = (*arpa, "--word_insertion", 2.0, "--word_unknown", -1.0)
    options += ("--word_unknown_length", -0.5)
    expected = Recognizer.from_files(*model, lm=tuned).transcribe(files / "u0.wav")
    assert live(*options) == expected.text + "\n"
    assert live(*arpa) != live(*options)
    numbers = ("word_insertion", "word_unknown", "word_unknown_length")
    for name in ("lm_weight", *numbers):
        with pytest.raises(ConfigError, match=f"--{name}: of a language model, and"):
            live(f"--{name}", 1.0)
    for name in numbers:
        with pytest.raises(ConfigError, match=r"--lm: .*=inf must be finite"):
            live(*arpa, f"--{name}", math.inf)


def test_what_an_ngram_of_no_weight_has_no_use_for_is_refused(files, tmp_path):
    arpa = (*CTC_BEAM, "--word_ngram", f"{files}/words.arpa")
    options = (*arpa, "--word_ngram_weight", "0", "--word_unknown", "-3")
    with pytest.raises(ConfigError, match="--word_unknown -3 has no effect"):
        decode(files, tmp_path / "out", *options)
    options = (*options[:-2], "--word_unknown_length", "-3")
    with pytest.raises(ConfigError, match="--word_unknown_length -3 has no effect"):
        decode(files, tmp_path / "out", *options)


def test_a_file_without_names_is_no_list(files, tmp_path, live):
    plain = live()
    for lines, beam in ((["", "# nobody", "  "], None), (["cab"], BEAM)):
        names = names_file(tmp_path, *lines)
        args = dynlook.get_parser().parse_args(["transcribe", "x", "--names", names])
        assert options_of(args)["beam"] == beam
        assert beam or live("--names", names) == plain


@pytest.mark.parametrize("decoding", ["ctc_beam", "dynlook"])
def test_strict_names_stop_where_others_are_left_out(files, tmp_path, live, decoding):
    names = names_file(tmp_path, "cab", "q", "abc")

    def run(*options):
        if decoding == "dynlook":
            return live("--names", names, *options)
        out = tmp_path / f"out{len(options)}"
        return decode(files, out, *CTC_BEAM, "--catalog", names, *options)["text"]

    assert run()
    unusable = r"(?s)--strict_names: .*names\.txt:2: 'q': no token"
    with pytest.raises(ConfigError, match=unusable):
        run("--strict_names")
    names = names_file(tmp_path, "cab", "abc")
    assert run("--strict_names") == run()
    with pytest.raises(ConfigError, match="--strict_names goes with"):
        if decoding == "dynlook":
            live("--strict_names")
        else:
            decode(files, tmp_path / "none", *CTC_BEAM, "--strict_names")


def test_strict_lists_of_utterances_stop_before_the_first(files, tmp_path):
    from espnet_dynlook.biasing.lists import BiasingList, format_lists

    lists = {"u0": BiasingList("", (), ("cab",)), "u9": BiasingList("", (), ("q",))}
    (tmp_path / "lists.tsv").write_text(format_lists(lists))
    own = (*CTC_BEAM, "--biasing_lists", f"{tmp_path}/lists.tsv")
    unusable = r"(?s)lists\.tsv: .*u9, phrase 1: 'q': no token"
    with pytest.raises(ConfigError, match=unusable):
        decode(files, tmp_path / "out", *own, "--strict_names")
    assert not (tmp_path / "out").exists()


def test_what_acts_on_names_alone_says_so_without_any(files, tmp_path, live, caplog):
    (tmp_path / "on.yaml").write_text("boosting: {weight: 2}\n")
    given = ("--techniques", f"{tmp_path}/on.yaml")
    decode(files, tmp_path / "out", *CTC_BEAM, *given, *adapter(files))
    [said] = [x.message for x in caplog.records if "without names" in x.message]
    assert "--techniques and --adapter_model_file" in said
    caplog.clear()
    live(*given)
    [said] = [x.message for x in caplog.records if "without names" in x.message]
    assert "--names" in said
