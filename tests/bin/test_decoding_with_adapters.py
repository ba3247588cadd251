"""Adapters in every search of asr_inference, and in every type of number."""

import numpy as np
import pytest
import soundfile
from hub_data import FS
from recogniser_files import TRANSDUCER, speech, write_model
from test_decoding_with_names import DECODER, decode, names_file, write_adapter

pytestmark = pytest.mark.host

MODELS = {
    "ctc": {},
    # With ctc_weight: 1 ESPnet would leave the decoder out.
    "hybrid": {**DECODER, "model_conf": {"ctc_weight": 0.5}},
    "transducer": TRANSDUCER,
}
SEARCHES = [
    ("hybrid", ("--ctc_weight", "0.0", "--biasing_bonus", "0")),
    ("hybrid", ("--ctc_weight", "0.5", "--biasing_bonus", "0")),
    ("transducer", ("--config", "SEARCH")),
]
#: ESPnet's default has no bound on labels a frame, and these models say many.
BOUNDED = "transducer_conf: {search_type: tsd, max_sym_exp: 2}\n"
NAMES = ("cab", "bb ca", "abc")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder: models of each kind, an adapter on each, speech."""
    root = tmp_path_factory.mktemp("adapters")
    for name, changes in MODELS.items():
        (root / name).mkdir()
        write_model(root / name, **changes)
        write_adapter(root / name, root / f"{name}_adapted")
    samples = speech(0, seconds=0.8).numpy().astype(np.float32)
    soundfile.write(root / "u0.wav", samples, FS)
    (root / "wav.scp").write_text(f"u0 {root}/u0.wav\n")
    return root


def adapter(files, model):
    return (
        *("--adapter_train_config", f"{files}/{model}_adapted/config.yaml"),
        *("--adapter_model_file", f"{files}/{model}_adapted/model.pth"),
    )


@pytest.mark.parametrize(("model", "options"), SEARCHES)
def test_the_adapter_alone_acts_in_this_search(files, tmp_path, model, options):
    (tmp_path / "search.yaml").write_text(BOUNDED)
    options = [str(tmp_path / "search.yaml") if o == "SEARCH" else o for o in options]

    def found(name, *more, model=model):
        return decode(files, tmp_path / name, *options, *more, model=model)

    own, names = adapter(files, model), names_file(tmp_path, *NAMES)
    (tmp_path / "empty.txt").write_text("# nobody\n")
    plain = found("plain")
    empty = found("empty", *own, "--catalog", f"{tmp_path}/empty.txt")
    for name in ("text", "token_int", "score"):
        assert empty[name] == plain[name], name
    heard = found("heard", *own, "--catalog", names)
    assert heard["score"] != plain["score"]
    whole = found("whole", "--catalog", names, model=f"{model}_adapted")
    for name in ("text", "token_int", "score"):
        assert heard[name] == whole[name], name


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("model", ["ctc", "hybrid"])
def test_base_and_adapter_are_of_any_type_together(files, dtype, model):
    """The base is told by its parameters before they are cast."""
    from espnet_dynlook.biasing.catalog import Catalog
    from espnet_dynlook.bin.speech2text import AdapterFiles, Speech2Text

    folder = files / f"{model}_adapted"
    samples, found = speech(0, seconds=0.8), []
    for kind in ("float32", dtype):
        speech2text = Speech2Text(
            *(files / model / "config.yaml", files / model / "model.pth"),
            decoding="ctc_greedy",
            adapter=AdapterFiles(folder / "config.yaml", folder / "model.pth"),
            dtype=kind,
        )
        catalog = Catalog(
            NAMES, speech2text.tokenizer, speech2text.asr_model.token_list
        )
        plain, named = (
            speech2text.posteriors(samples, names)[0].double().exp()
            for names in (None, catalog)
        )
        assert (named - plain).abs().max() > 0.1
        found.append(named)
    near = {"float64": 1e-4, "float16": 0.05, "bfloat16": 0.3}[dtype]
    assert (found[1] - found[0]).abs().max() < near


def test_an_adapter_goes_on_a_quantised_base(files, tmp_path):
    names = ("--catalog", names_file(tmp_path, *NAMES), *adapter(files, "ctc"))
    options = ("--decoding", "ctc_greedy", "--quantize_asr_model", "true")
    plain = decode(files, tmp_path / "plain", *options)
    assert (
        decode(files, tmp_path / "names", *options, *names)["score"] != plain["score"]
    )
