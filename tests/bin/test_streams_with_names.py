"""asr_inference_streaming with names: what asr_inference says with the same options."""

import pytest
import soundfile
from recogniser_files import CHUNKED, FS, TRANSDUCER, speech, write_model
from test_decoding_with_names import ARPA, adapter, names_file, write_adapter

from espnet_dynlook.biasing.lists import BiasingList, format_lists
from espnet_dynlook.bin import asr_inference, asr_inference_streaming
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer

pytestmark = pytest.mark.host

PHONES = {"phone_ctc_weight": 0.3, "phone_ctc_layer": 1}
LOUD = (
    "boosting: {weight: 6, top: 6, floor: -30, confidence: 0, silence: 1}\n"
    "unigram: {gamma: 8}\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder: models that stream, an adapter, speech, an n-gram."""
    root = tmp_path_factory.mktemp("streams")
    for name, changes in (
        ("ctc", {}),
        ("transducer", TRANSDUCER),
        ("phones", {"model": "dynlook", "model_conf": PHONES}),
    ):
        (root / name).mkdir()
        write_model(root / name, CHUNKED, **changes)
    write_adapter(root / "ctc", root / "adapter")
    write_adapter(root / "transducer", root / "rnnt_adapter")
    lines = []
    for n in range(3):
        path = root / f"u{n}.wav"
        soundfile.write(path, speech(n, 0.8).numpy(), FS, subtype="FLOAT")
        lines.append(f"u{n} {path}\n")
    (root / "wav.scp").write_text("".join(lines))
    (root / "words.arpa").write_text(ARPA)
    (root / "loud.yaml").write_text(LOUD)
    return root


def decode(files, command, out, *options, model="ctc"):
    """Decode, and return the files of the best hypotheses."""
    command.main(
        [
            *("--data_path_and_name_and_type", f"{files}/wav.scp,speech,sound"),
            *("--key_file", f"{files}/wav.scp", "--num_workers", "0"),
            *("--asr_train_config", f"{files}/{model}/config.yaml"),
            *("--asr_model_file", f"{files}/{model}/model.pth"),
            *("--output_dir", str(out), *options),
        ]
    )
    folder = out / "1best_recog"
    return {path.name: path.read_text() for path in folder.iterdir()}


def both(files, folder, decoding, *options, model="ctc", streamed=()):
    """Decode whole utterances and streams with the same options; return both."""
    greedy = decoding == "ctc_greedy"
    way = ("--decoding", "ctc_greedy" if greedy else "beam")
    packets = ("--sim_chunk_length", "700")
    return [
        decode(files, command, folder / name, *own, *options, model=model)
        for command, name, own in (
            (asr_inference, "whole", ("--decoding", decoding)),
            (asr_inference_streaming, "streamed", (*way, *packets, *streamed)),
        )
    ]


def scores(found):
    return [float(line.split()[1]) for line in found["score"].splitlines()]


def same(whole, streamed):
    texts = [found["text"].split() for found in (whole, streamed)]
    assert texts[0] == texts[1]  # whole words; streams give out spaces as they come
    for name in ("token_int", "names_used", "names_report"):
        assert whole.get(name) == streamed.get(name), name
    assert scores(streamed) == pytest.approx(scores(whole), abs=1e-2)


BEAM = ("--beam_size", "6")
NGRAM = ("--word_ngram", "ARPA", "--word_insertion", "1", "--word_unknown", "-1")
NGRAM += ("--word_ngram_weight", "0.7")


@pytest.mark.parametrize(
    ("decoding", "options", "adapted"),
    [
        ("ctc_beam", BEAM, False),
        ("ctc_beam", ("--beam_size", "1", "--techniques", "none"), True),
        ("ctc_beam", (*BEAM, "--techniques", "LOUD", *NGRAM), False),
        ("ctc_beam", BEAM, True),
        ("ctc_beam", (*BEAM, "--techniques", "none"), True),
        ("ctc_greedy", (), True),
    ],
)
def test_streams_with_names_say_what_whole_utterances_do(
    files, tmp_path, decoding, options, adapted
):
    given = {"ARPA": f"{files}/words.arpa", "LOUD": f"{files}/loud.yaml"}
    options = [given.get(option, option) for option in options]
    options += [*adapter(files), "--adapter_scale", "0.7"] * adapted
    names = ("--catalog", names_file(tmp_path, "cab\t3", "abc", "bb ca", "a", "q"))
    whole, streamed = both(files, tmp_path, decoding, *options, *names)
    same(whole, streamed)
    assert streamed["names_used"] == "u0 4 1\nu1 4 1\nu2 4 1\n"
    assert "no token has 'q'" in streamed["names_report"]
    empty = ("--catalog", names_file(tmp_path, "# nobody"))
    plain = both(files, tmp_path / "empty", decoding, *options, *empty)
    same(*plain)
    assert scores(plain[1]) != scores(streamed)


def test_each_stream_has_its_own_list(files, tmp_path):
    lists = {
        "u0": BiasingList("", (), ("cab", "abc", "a")),
        "u1": BiasingList("", (), ()),
        "u2": BiasingList("", (), ("bb ca", "b", "q")),
    }
    (tmp_path / "lists.tsv").write_text(format_lists(lists))
    own = (*BEAM, "--techniques", f"{files}/loud.yaml")
    own += ("--word_ngram", f"{files}/words.arpa")
    own += ("--biasing_lists", f"{tmp_path}/lists.tsv")
    whole, streamed = both(files, tmp_path, "ctc_beam", *own)
    same(whole, streamed)
    assert streamed["names_used"] == "u0 3 0\nu1 0 0\nu2 2 1\n"
    (tmp_path / "lists.tsv").write_text(format_lists({"u0": lists["u0"]}))
    with pytest.raises(ConfigError, match=r"2 utterances have no list.*u1"):
        decode(files, asr_inference_streaming, tmp_path / "short", *own)


def test_a_transducer_streams_names_through_its_adapter(files, tmp_path):
    names = ("--catalog", names_file(tmp_path, "cab", "abc", "a"))
    own = ("--adapter_train_config", f"{files}/rnnt_adapter/config.yaml")
    own += ("--adapter_model_file", f"{files}/rnnt_adapter/model.pth")
    for decoding in ("ctc_greedy", "espnet"):
        one = ("--beam_size", "1") if decoding == "espnet" else ()
        whole, streamed = both(
            files,
            tmp_path / decoding,
            decoding,
            *(*one, *own, *names),
            model="transducer",
        )
        assert whole["token_int"] == streamed["token_int"]
        plain = decode(
            files,
            asr_inference_streaming,
            tmp_path / f"{decoding}_plain",
            *("--decoding", "beam" if one else "ctc_greedy", *one),
            model="transducer",
        )
        assert plain["score"] != streamed["score"]


def test_one_model_and_one_beam_give_one_text(files, tmp_path):
    """Recogniser, asr_inference and streams prune by the same numbers."""
    size = ("--beam_size", "20")
    whole, streamed = both(files, tmp_path, "ctc_beam", *size)
    same(whole, streamed)
    model = files / "ctc/config.yaml", files / "ctc/model.pth"
    recognizer = Recognizer.from_files(*model, beam=20)
    results = [recognizer.transcribe(files / f"u{n}.wav") for n in range(3)]
    texts = [line.partition(" ")[2] for line in whole["text"].splitlines()]
    assert [" ".join(text.split()) for text in texts] == [one.text for one in results]
    assert [one.score for one in results] == pytest.approx(scores(whole), abs=1e-3)
    from espnet_dynlook.search.biased_decoder import BiasedDecoder

    search = recognizer.pipeline.search.search
    expected = BiasedDecoder(recognizer.model.token_list, 20).search
    assert search.settings.candidates == expected.settings.candidates
    assert (search.settings.pruning == expected.settings.pruning).all()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("ctc", ["--decoding", "ctc_greedy", "--catalog", "NAMES"], "greedy search"),
        ("ctc", ["--catalog", "NAMES", "--techniques", "none"], "all techniques are"),
        (
            "ctc",
            ["--decoding", "ctc_greedy", "--techniques", "none"],
            "--techniques is of --decoding beam, not of ctc_greedy",
        ),
        (
            "phones",
            ["--catalog", "NAMES", "--techniques", "WHOLE"],
            "need whole utterances: for streams switch off with rescoring: null",
        ),
        ("ctc", ["--catalog", "NAMES", "--beam_size", "1"], "beam=1 has none"),
        ("transducer", ["--catalog", "NAMES"], "names act on a transducer through an"),
        (
            "transducer",
            ["--catalog", "NAMES", "--techniques", "LOUD"],
            "--techniques acts in the search of a CTC head",
        ),
        ("ctc", ["--adapter_scale", "-1"], r"--adapter_scale -1\.0 must be 0 or more"),
        ("ctc", ["--adapter_scale", "0.5"], "and there is no adapter"),
        ("ctc", ["--word_insertion", "1"], "goes with an n-gram"),
        ("ctc", ["--strict_names", "--catalog", "NAMES"], "'q': no token has"),
        ("ctc", ["--catalog", "nowhere.txt"], r"nowhere\.txt: no such file"),
    ],
)
def test_what_streams_cannot_do_with_names_is_refused(
    files, tmp_path, model, options, message
):
    (tmp_path / "whole.yaml").write_text("rescoring: {weight: 1}\n")
    given = {
        "NAMES": names_file(tmp_path, "cab", "q"),
        "WHOLE": f"{tmp_path}/whole.yaml",
        "LOUD": f"{files}/loud.yaml",
    }
    options = [given.get(option, option) for option in options]
    with pytest.raises(ConfigError, match=message):
        decode(files, asr_inference_streaming, tmp_path / "out", *options, model=model)
    assert not (tmp_path / "out/1best_recog/text").exists()
