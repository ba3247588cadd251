"""How much an n-gram of words counts, tuned on held-out data."""

import pytest
import yaml
from named_set import TEXT, write_named_set

from espnet_dynlook.bin.names import read_techniques
from espnet_dynlook.recipe import tune_ngram
from espnet_dynlook.recipe.held_out import CTCModel
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ngram import NgramLM, load_ngram

ARPA = """\\data\\
ngram 1=6

\\1-grams:
-1.2 <unk>
0 <s>
-1.0 </s>
-0.4 ab
-0.6 c
-1.1 ba

\\end\\
"""


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """Return a set, its n-gram, and the arguments of the command for them."""
    made = write_named_set(tmp_path_factory.mktemp("held_out"))
    (made.root / "text").write_text("".join(f"{u} {TEXT}\n" for u in made.samples))
    (made.root / "words.arpa").write_text(ARPA)
    options = [
        *(*made.model_options, "--text", f"{made.root}/text"),
        *("--word_ngram", f"{made.root}/words.arpa"),
        *("--output", f"{made.root}/ngram.yaml", "--report", f"{made.root}/tried.md"),
    ]
    return made, options


def test_the_lowest_wer_is_found_and_written(held_out, capsys):
    made, options = held_out
    grid = ("--weights", "0.4", "2", "--insertions", "3", "--unknown", "-4")
    grid = (*grid, "--unknown_length", "0", "-1")
    assert tune_ngram.main([*options, *grid]) == 0
    page = capsys.readouterr().out
    assert page == (made.root / "tried.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines()[2:]]
    assert [row[:4] for row in rows] == [
        ["-", "-", "-", "-"],
        *(["0.4", "3", "-4", each] for each in ("0", "-1")),
        *(["2", "3", "-4", each] for each in ("0", "-1")),
    ]
    (best,) = (row for row in rows if row[5] == "best")
    assert float(best[4]) == min(float(row[4]) for row in rows)
    text = (made.root / "ngram.yaml").read_text()
    assert f"WER {best[4]} %" in text
    keys = ("word_ngram_weight", "word_insertion", "word_unknown")
    keys = (*keys, "word_unknown_length")
    found = yaml.safe_load(text) or {}
    assert [f"{found[key]:g}" if found else "-" for key in keys] == best[:4]


def test_every_trial_is_the_plain_search(held_out):
    made, _ = held_out
    trained = CTCModel(*made.files)
    lm = NgramLM(load_ngram(made.root / "words.arpa"), 1.0, 2.0, -3.0)
    speech = trained.read(f"{made.root}/wav.scp,speech,sound")
    model = trained.model
    said = {}
    for utt, samples in speech.items():
        log_probs = trained.posteriors(samples, None)[0]
        decoder = BiasedDecoder(
            model.token_list, 4, lm, read_techniques("none"), blank=model.blank_id
        )
        said[utt] = decoder(log_probs)[0].text
    assert any(said.values())
    texts = {utt: text or "c" for utt, text in said.items()}
    _, found = tune_ngram.tune(trained, speech, texts, [lm], 4)
    assert found.lm is lm
    assert found.wer == 100 * sum(not s for s in said.values()) / sum(
        len(text.split()) for text in texts.values()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--weights", "-1"], "weight=-1.0 of a language model: 0 or more"),
        (["--insertions", "inf"], "word_insertion=inf must be finite"),
        (["--word_ngram", "nowhere"], "--word_ngram nowhere: no such file"),
        (["--text", "OTHER"], "nothing of u0"),
    ],
)
def test_what_cannot_be_tuned_is_named(held_out, capsys, change, message):
    made, options = held_out
    (made.root / "other").write_text("x ab\n")
    given = [f"{made.root}/other" if one == "OTHER" else one for one in change]
    assert tune_ngram.main([*options, *given]) == 1
    assert message in capsys.readouterr().err
