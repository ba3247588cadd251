"""asr_inference with lists of names."""

import numpy as np
import pytest
import soundfile
import torch
import yaml
from hub_data import FS, TOKENS
from recogniser_files import TRANSDUCER, speech, write_model

from espnet_dynlook import config
from espnet_dynlook.biasing.lists import BiasingList, format_lists

pytestmark = pytest.mark.host

DECODER = {
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 1},
}
ARPA = """\\data\\
ngram 1=4

\\1-grams:
-1.0 <s>
-1.0 </s>
-1.5 <unk>
-0.2 ab

\\end\\
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder: models, an adapter, speech, an n-gram."""
    root = tmp_path_factory.mktemp("names")
    # What training keeps in float64, and ESPnet's recogniser makes float32 of.
    moments = {"count": 3, "sum": np.zeros(40), "sum_square": np.full(40, 3.1)}
    np.savez(root / "stats.npz", **moments)
    statistics = {"stats_file": str(root / "stats.npz")}
    for name, changes in (
        ("ctc", {"normalize": "global_mvn", "normalize_conf": statistics}),
        ("hybrid", DECODER),
        ("transducer", TRANSDUCER),
    ):
        (root / name).mkdir()
        write_model(root / name, **changes)
    write_adapter(root / "ctc", root / "adapter")
    lines = []
    for n in range(2):
        samples = speech(n, seconds=0.8).numpy()
        soundfile.write(root / f"u{n}.wav", samples.astype(np.float32), FS)
        lines.append(f"u{n} {root}/u{n}.wav\n")
    (root / "wav.scp").write_text("".join(lines))
    (root / "words.arpa").write_text(ARPA)
    return root


def write_adapter(base, folder):
    """Write an adapter that adds something, as its training leaves it."""
    from espnet_dynlook.task import DynlookASRTask

    parser = DynlookASRTask.get_parser()
    model_conf = {"base_config": f"{base}/config.yaml", "adapter_size": 8}
    model_conf |= {"base_model": f"{base}/model.pth", "adapter_heads": 2}
    parser.set_defaults(
        model="dynlook_contextual", token_list=None, model_conf=model_conf
    )
    args = parser.parse_args(["--output_dir", str(folder)])
    model = DynlookASRTask.build_model(args)
    torch.manual_seed(3)
    with torch.no_grad():
        torch.nn.init.normal_(model.adapter.output.weight, std=3.0)
    folder.mkdir()
    torch.save(model.state_dict(), folder / "model.pth")
    plain = {key: value for key, value in vars(args).items() if not callable(value)}
    (folder / "config.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")


def decode(files, out, *options, model="ctc"):
    """Decode, and return the files of the best hypotheses."""
    from espnet_dynlook.bin import asr_inference

    asr_inference.main(
        [
            *("--data_path_and_name_and_type", f"{files}/wav.scp,speech,sound"),
            *("--key_file", f"{files}/wav.scp", "--num_workers", "0"),
            *("--asr_train_config", f"{files}/{model}/config.yaml"),
            *("--asr_model_file", f"{files}/{model}/model.pth"),
            *("--output_dir", str(out), "--beam_size", "4", *options),
        ]
    )
    folder = out / "1best_recog"
    return {path.name: path.read_text() for path in folder.iterdir()}


def adapter(files):
    return (
        *("--adapter_train_config", f"{files}/adapter/config.yaml"),
        *("--adapter_model_file", f"{files}/adapter/model.pth"),
    )


def names_file(folder, *names):
    path = folder / "names.txt"
    path.write_text("".join(f"{name}\n" for name in names))
    return str(path)


KINDS = [
    ("ctc", ("--decoding", "ctc_beam"), False),
    ("hybrid", ("--biasing_bonus", "8"), False),
    ("ctc", ("--decoding", "ctc_greedy"), True),
    ("ctc", ("--decoding", "ctc_beam", "--techniques", "none"), True),
    ("adapter", ("--decoding", "ctc_greedy"), False),
]


@pytest.mark.parametrize(("model", "options", "adapted"), KINDS)
def test_no_names_change_nothing_and_names_something(
    files, tmp_path, model, options, adapted
):
    options = (*options, *adapter(files) * adapted)
    plain = decode(files, tmp_path / "plain", *options, model=model)
    nothing = names_file(tmp_path, "# nobody", "", "q")  # the tokens have no q
    empty = decode(
        files, tmp_path / "empty", *options, "--catalog", nothing, model=model
    )
    for name in ("text", "token_int", "score"):
        assert empty[name] == plain[name], name
    assert empty["names_used"] == "u0 0 1\nu1 0 1\n"
    assert "no token has 'q'" in empty["names_report"]
    names = names_file(tmp_path, "a", "cab", "bb ca", "abc", "c")
    named = decode(files, tmp_path / "named", *options, "--catalog", names, model=model)
    assert named["score"] != plain["score"]
    assert named["names_used"].startswith("u0 5 0\n")
    assert "5 entries (lower)" in named["names_report"]


def test_each_utterance_has_its_own_list(files, tmp_path):
    lists = {
        "u0": BiasingList("", (), ("cab", "abc")),
        "u1": BiasingList("", (), ()),
    }
    (tmp_path / "lists.tsv").write_text(format_lists(lists))
    options = ("--decoding", "ctc_beam")
    own = ("--biasing_lists", str(tmp_path / "lists.tsv"))
    found = decode(files, tmp_path / "own", *options, *own)
    plain = decode(files, tmp_path / "plain", *options)
    one = names_file(tmp_path, "abc", "cab")
    both = decode(files, tmp_path / "both", *options, "--catalog", one)
    for name in ("text", "score", "score_parts"):
        lines = [x[name].splitlines() for x in (found, both, plain)]
        assert lines[0] == [lines[1][0], lines[2][1]], name
    assert found["names_used"] == "u0 2 0\nu1 0 0\n"
    assert "names_report" not in found
    (tmp_path / "lists.tsv").write_text(format_lists({"u0": lists["u0"]}))
    with pytest.raises(config.ConfigError, match=r"1 utterances have no list.*u1"):
        decode(files, tmp_path / "short", *options, *own)


def test_what_lists_lose_is_said_once(files, tmp_path, caplog):
    lists = {
        "u0": BiasingList("", (), ("cab", "q", "a9")),
        "u1": BiasingList("", (), ("q", *(f"b{n}" for n in range(4)))),
    }
    (tmp_path / "lists.tsv").write_text(format_lists(lists))
    own = ("--biasing_lists", str(tmp_path / "lists.tsv"))
    decode(files, tmp_path / "out", "--decoding", "ctc_beam", *own)
    [said] = [x.message for x in caplog.records if "--biasing_lists" in x.message]
    assert "lists.tsv: 6 phrases cannot be used: u0, phrase 2: 'q': no token" in said
    assert "u1, phrase 3: 'b1': no token has '1' (U+0031)" in said
    assert said.endswith("; and 1 more")


def test_an_adapter_acts_whatever_decodes(files, tmp_path):
    """Its base with the adapter's files is the adapted model itself."""
    names = ("--catalog", names_file(tmp_path, "cab", "bb ca", "abc"))
    for number, options in enumerate(
        [("--decoding", "ctc_beam"), ("--biasing_bonus", "0"), ("--ctc_weight", "1.0")]
    ):
        base = decode(files, tmp_path / f"b{number}", *options, *names, *adapter(files))
        whole = decode(
            files, tmp_path / f"w{number}", *options, *names, model="adapter"
        )
        assert base["score"] == whole["score"]
    louder = (*options, *names, *adapter(files), "--adapter_scale", "0.5")
    assert decode(files, tmp_path / "half", *louder)["score"] != base["score"]


def test_word_ngram_counts(files, tmp_path):
    beam = ("--decoding", "ctc_beam")
    plain = decode(files, tmp_path / "plain", *beam)
    assert "lm=0.0000" in plain["score_parts"]
    arpa = f"{files}/words.arpa"
    for name in ("ngram_file", "word_ngram"):
        found = decode(files, tmp_path / name, *beam, f"--{name}", arpa)
        assert "lm=-" in found["score_parts"], name
    options = (*beam, "--word_ngram", arpa, "--word_unknown_length", "-1")
    longer = decode(files, tmp_path / "length", *options)
    assert longer["score_parts"] != found["score_parts"]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("ctc", ["--techniques", "none"], "--techniques is of --decoding ctc_beam"),
        ("ctc", ["--word_ngram", "x"], "--word_ngram is of --decoding ctc_beam"),
        (
            "ctc",
            ["--decoding", "ctc_beam", "--biasing_bonus", "1"],
            "--biasing_bonus is of --decoding espnet",
        ),
        ("ctc", ["--decoding", "ctc_beam", "--lm_file", "x"], "--lm_file is of"),
        ("ctc", ["--adapter_model_file", "x"], "go together: give both"),
        ("ctc", ["--catalog", "nowhere.txt"], "--catalog nowhere.txt: no such file"),
        (
            "ctc",
            ["--decoding", "ctc_greedy", "--catalog", "NAMES"],
            "names do nothing in decoding ctc_greedy without an adapter",
        ),
        ("ctc", ["--biasing_bonus", "0", "--catalog", "NAMES"], "biasing_bonus=0"),
        ("ctc", ["--biasing_bonus", "-1"], "biasing_bonus=-1.0 nats must be 0 or more"),
        (
            "ctc",
            ["--decoding", "ctc_beam", "--catalog", "NAMES", "--beam_size", "1"],
            "beam_size=1 has none",
        ),
        ("transducer", ["--catalog", "NAMES"], "takes no names"),
        (
            "ctc",
            ["--decoding", "ctc_beam", "--techniques", "TECHNIQUES"],
            "techniques.yaml: no technique is called bosting",
        ),
        (
            "ctc",
            ["--decoding", "ctc_beam", "--word_insertion", "1"],
            "goes with an n-gram",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(files, tmp_path, model, options, message):
    (tmp_path / "techniques.yaml").write_text("bosting: {}\n")
    given = {
        "NAMES": names_file(tmp_path, "cab"),
        "TECHNIQUES": f"{tmp_path}/techniques.yaml",
    }
    options = [given.get(option, option) for option in options]
    with pytest.raises(config.ConfigError, match=message):
        decode(files, tmp_path / "out", *options, model=model)
    assert not (tmp_path / "out/1best_recog/text").exists()


def test_from_python(files):
    from espnet_dynlook.biasing.catalog import Catalog
    from espnet_dynlook.bin.asr_inference import Speech2Text
    from espnet_dynlook.bin.named_search import CTCDecoding
    from espnet_dynlook.search.boosting import Boosting
    from espnet_dynlook.search.techniques import Techniques

    # Of a model that knows nothing, any token may be lifted.
    loud = Boosting(weight=20, top=7, floor=-50, confidence=0, silence=1)
    speech2text = Speech2Text(
        *(files / "ctc/config.yaml", files / "ctc/model.pth"),
        decoding="ctc_beam",
        ctc_beam=CTCDecoding(Techniques(loud)),
    )
    catalog = Catalog(["bab", "a", "c"], speech2text.tokenizer, TOKENS)
    samples = speech(0, seconds=0.8)
    with_names = speech2text(samples, catalog=catalog)[0]
    assert with_names[3].scores["boosting"] > 0
    again = speech2text(samples)[0]
    assert again[3].scores["boosting"] == 0
