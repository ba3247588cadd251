"""Weights of techniques, tuned on held-out data."""

import pytest
import soundfile
import yaml
from named_set import in_capitals
from recogniser_files import FS, speech, write_model

from espnet_dynlook.biasing.lists import BiasingList, format_lists
from espnet_dynlook.recipe.weight_search import Limits, Outcome, choose

BASE = Outcome(0.4, 10.0, 0.0, ("a", "b"))


def outcome(f1, u_wer=10.0, false_insertions=0.0, texts=("a", "b")):
    return Outcome(f1, u_wer, false_insertions, texts)


def chosen(evaluate, grid, **limits):
    return choose(grid, evaluate, BASE, Limits(**limits))


def test_the_largest_f1_within_the_limits_is_chosen():
    table = {
        1.0: outcome(0.5),
        2.0: outcome(0.7, 10.25),
        3.0: outcome(0.9, 10.4),
        4.0: outcome(0.95, 10.0, 1.5),
    }
    grid = {"boosting": list(table)}
    found = chosen(lambda setting: table[setting["boosting"]], grid)
    assert found.best.setting == {"boosting": 2.0}
    assert [one.allowed for one in found.trials] == [True, True, True, False, False]
    found = chosen(lambda setting: table[setting["boosting"]], grid, u_wer=0.5)
    assert found.best.setting == {"boosting": 3.0}
    assert found.changed == {}


def test_weights_that_need_each_other_are_found_in_a_second_round():
    def evaluate(setting):
        both = setting["one"] and setting["two"]
        return outcome(0.4 + 0.1 * setting["two"] + (0.3 if both else -0.01))

    found = chosen(evaluate, {"one": [1.0], "two": [1.0]})
    assert found.best.setting == {"one": 1.0, "two": 1.0}


def test_a_number_of_a_technique_is_tried_together_with_its_weight():
    """The weight by itself is too much, and the number by itself does nothing."""
    seen = []

    def evaluate(setting):
        seen.append((setting["lookup"], setting["distance"]))
        lookup, distance = seen[-1]
        return outcome(0.4 + 0.1 * lookup, 10.0, 0.5 if distance else 1.5)

    for grid in (
        {"distance": [0.5], "lookup": [1.0, 2.0]},
        {"lookup": [1.0, 2.0], "distance": [0.5]},
    ):
        limits, parts = Limits(), {"distance": "lookup", "floor": "boosting"}
        found = choose(grid, evaluate, BASE, limits, parts=parts)
        assert found.best.setting == {"lookup": 2.0, "distance": 0.5}
        assert found.changed == {}
        assert (0.0, 0.5) not in seen
    found = choose(grid, lambda setting: outcome(0.3), BASE, Limits(), parts=parts)
    assert found.best.setting == {"lookup": 0.0, "distance": 0.0}
    assert list(found.changed) == ["lookup"]


def test_what_does_nothing_is_off_and_named():
    def evaluate(setting):
        texts = ("a", "c") if setting["lookup"] > 1 else ("a", "b")
        return outcome(0.4 + 0.1 * bool(setting["boosting"]), texts=texts)

    found = chosen(evaluate, {"boosting": [1.0, 2.0], "lookup": [1.0, 2.0]})
    assert found.best.setting == {"boosting": 1.0, "lookup": 0.0}
    assert found.changed == {"lookup": 0}


def test_nothing_at_all_is_always_allowed():
    found = chosen(lambda setting: outcome(0.9, 50.0), {"boosting": [1.0]})
    assert found.best.setting == {"boosting": 0.0}
    assert found.best.outcome == BASE


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """Return arguments for a model that says many things, and lists for its speech."""
    root = tmp_path_factory.mktemp("held_out")
    train_config, model_file = write_model(root)
    scp, lists, without = "", {}, {}
    for n in range(3):
        soundfile.write(root / f"u{n}.wav", speech(n, seconds=0.6).numpy(), FS)
        scp += f"u{n} {root}/u{n}.wav\n"
        lists[f"u{n}"] = BiasingList("abc cab a", ("abc",), ("abc", "bb", "ca"))
        without[f"u{n}"] = BiasingList("abc cab a", (), ("bb", "ca"))
    (root / "wav.scp").write_text(scp)
    (root / "lists.tsv").write_text(format_lists(lists))
    (root / "without.tsv").write_text(format_lists(without))
    return root, [
        *("--data", f"{root}/wav.scp,speech,sound", "--lists", f"{root}/lists.tsv"),
        *("--without", f"{root}/without.tsv", "--beam_size", "4"),
        *("--asr_train_config", str(train_config), "--asr_model_file", str(model_file)),
        *("--output", f"{root}/techniques.yaml"),
    ]


def test_writes_a_file_that_decoding_takes(held_out, capsys):
    from espnet_dynlook.bin.names import read_techniques
    from espnet_dynlook.recipe import tune_names

    root, options = held_out
    grid = ("--grid", "boosting=0.5,8", "--grid", "variants=2", "--max_u_wer", "100")
    assert tune_names.main([*options, *grid, "--max_false_insertions", "500"]) == 0
    page, told = capsys.readouterr()
    assert "|boosting=0.5 variants=0|" in page and page.count("|best|") == 1
    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("|boost")]
    lines = [line for line in told.splitlines() if line.startswith("boosting=")]
    assert [line.split(":")[0] for line in lines] == rows  # as they are tried
    techniques = read_techniques(root / "techniques.yaml")
    text = (root / "techniques.yaml").read_text()
    assert text.startswith(f"# Tuned on {root}/lists.tsv: F1 ")
    for name in ("unigram", "rescoring", "lookup"):  # of what this model lacks
        assert getattr(techniques, name) is None
        assert yaml.safe_load(text)[name] is None


def test_the_case_of_lists_does_not_matter_to_the_tuner(held_out):
    from espnet_dynlook.recipe import tune_names

    root, options = held_out
    options = [*options, "--grid", "boosting=8", "--grid", "variants=2"]
    upper = [
        *("--lists", in_capitals(root / "lists.tsv")),
        *("--without", in_capitals(root / "without.tsv")),
    ]
    parser = tune_names.get_parser()
    lower, other = (
        tune_names.tune(parser.parse_args([*options, *more])) for more in ([], upper)
    )
    assert other == lower


def test_draws_of_lists_without_what_is_said_are_pooled(held_out):
    from espnet_dynlook.recipe import tune_names

    root, options = held_out
    other = {
        f"u{n}": BiasingList("abc cab a", (), ("b", "a b", "cc")) for n in range(3)
    }
    (root / "other.tsv").write_text(format_lists(other))
    parser = tune_names.get_parser()

    def outcome_with(*draws):
        paths = ",".join(f"{root}/{name}.tsv" for name in draws)
        args = parser.parse_args([*options, "--without", paths])
        return tune_names.read_held_out(args)({"boosting": 8.0})

    one, two = outcome_with("without"), outcome_with("other")
    both = outcome_with("without", "other")
    assert one.false_insertions != two.false_insertions  # else nothing is tested
    mean = (one.false_insertions + two.false_insertions) / 2
    assert both.false_insertions == pytest.approx(mean)
    assert (both.f1, both.u_wer) == (one.f1, one.u_wer)
    said, first, second = both.texts[:3], both.texts[3:6], both.texts[6:]
    assert one.texts == said + first and two.texts == said + second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid", "bosting=1"], "there are adapter, boosting"),
        (["--grid", "boosting=x"], "values are numbers"),
        (["--grid", "lookup=1"], "lookup=1: it needs a model with a phone head"),
        (["--grid", "distance=1"], "distance=1: it needs a model with a phone head"),
        (["--grid", "adapter=1"], "it needs an adapter (--adapter_model_file)"),
        (["--without", "LISTS"], "the list of u0 has what is said there"),
        (["--adapter_model_file", "x"], "go together: give both"),
    ],
)
def test_what_does_not_go_together_is_refused_by_the_tuner(
    held_out, capsys, options, message
):
    from espnet_dynlook.recipe import tune_names

    root, usual = held_out
    given = [f"{root}/lists.tsv" if one == "LISTS" else one for one in options]
    assert tune_names.main([*usual, *given]) == 1
    assert message in capsys.readouterr().err
