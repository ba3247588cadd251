"""A table of every technique, alone and together, with and without an adapter."""

import json

import pytest
import yaml
from named_set import PHRASES, in_capitals, write_named_set

from espnet_dynlook.biasing.lists import BiasingList, format_lists
from espnet_dynlook.recipe import names_ablation
from espnet_dynlook.search.techniques import Techniques

TECHNIQUES = {"boosting": {"weight": 2.0}, "variants": {"number": 2}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a set with names, and arguments for it without the adapter."""
    root = tmp_path_factory.mktemp("ablation")
    named = write_named_set(root)
    (root / "techniques.yaml").write_text(yaml.safe_dump(TECHNIQUES))
    return named, [
        *named.model_options,
        *("--lists", f"5={root}/true.tsv"),
        *("--lists", f"5.without={root}/none.0.tsv,{root}/none.1.tsv"),
        *("--techniques", f"{root}/techniques.yaml"),
        *("--output", f"{root}/table.md", "--json", f"{root}/table.json"),
    ]


@pytest.fixture(scope="module")
def adapted(made):
    named, options = made
    return [*options, *named.adapter_options, "--both_scale", "0.5"]


def test_the_table_has_every_system_with_every_list(made, adapted, capsys):
    root = made[0].root
    assert names_ablation.main([*adapted, "--variants", "0", "4"]) == 0
    page = (root / "table.md").read_text()
    assert capsys.readouterr().out == page
    systems = [
        *("base", "boosting", "boosting with variants", "techniques"),
        *("techniques, variants: 0", "techniques, variants: 4", "adapter", "both"),
    ]
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line[:1] == "|"][2:]
    assert [row[:2] for row in rows] == [
        [name, system] for name in ("5", "5.without") for system in systems
    ]
    found = json.loads((root / "table.json").read_text())["lists"]
    without = found["5.without"]
    assert without["base"]["counts"]["words"]["units"] == 2 * 2 * 4  # both draws
    assert without["base"]["changed"] == 0 < without["boosting"]["changed"]
    assert found["5"]["base"]["counts"]["words"]["units"] == 2 * 4
    # No variants are what boosting alone does.
    assert found["5"]["techniques, variants: 0"] == found["5"]["boosting"]


def test_some_systems_alone_are_as_among_all(made, adapted, capsys):
    table = made[0].root / "table.json"
    assert names_ablation.main(adapted) == 0
    whole = json.loads(table.read_text())["lists"]
    assert names_ablation.main([*adapted, "--systems", "both", "boosting"]) == 0
    for name, found in json.loads(table.read_text())["lists"].items():
        assert list(found) == ["base", "boosting", "both"]
        assert all(whole[name][system] == found[system] for system in found)
    capsys.readouterr()
    assert names_ablation.main([*adapted, "--systems", "both", "lookup"]) == 1
    said = capsys.readouterr().err
    assert "--systems lookup: with these files there are base, boosting" in said


def test_texts_are_those_of_the_recogniser(made, adapted):
    from espnet_dynlook.recipe.held_out import load_model
    from espnet_dynlook.recognizer import Recognizer

    named, _ = made
    files, adapter, samples = named.files, named.adapter, named.samples
    args = names_ablation.get_parser().parse_args(adapted)
    trained, lm = load_model(args)
    techniques = Techniques.from_mapping(TECHNIQUES)
    systems = names_ablation.contenders(techniques, techniques, (1.0, 0.5), [])
    run = names_ablation.Ablation(trained, samples, lm, 4, systems)
    lists = {utt: BiasingList("ab c", ("ab",), PHRASES) for utt in samples}
    decoded = dict(zip([one.name for one in systems], run.decode(lists), strict=True))
    for name, options in (
        ("base", {"techniques": {"boosting": None}, "names": None}),
        ("techniques", {"techniques": TECHNIQUES}),
        ("adapter", {"techniques": {"boosting": None}, **adapter}),
        ("both", {"techniques": TECHNIQUES, "adapter_scale": 0.5, **adapter}),
    ):
        given = dict(options)
        names = given.pop("names", PHRASES)
        recognizer = Recognizer.from_files(*files, beam=4, **given)
        for utt, one in samples.items():
            assert decoded[name][utt] == recognizer.transcribe(one, names=names).text
    assert len({tuple(texts.values()) for texts in decoded.values()}) > 2


def test_what_is_found_of_names_that_were_taken_out_is_judged_by_other_lists(made):
    named, options = made
    out = [*options, "--lists", f"out={named.root}/none.0.tsv:{named.root}/true.tsv"]
    assert names_ablation.main(out) == 0
    found = json.loads((named.root / "table.json").read_text())["lists"]
    taken, alone = (found[name]["boosting"]["counts"] for name in ("out", "5.without"))
    assert taken["entities"]["reference"] == 4 and not alone["entities"]["reference"]


def test_the_case_of_lists_does_not_matter_to_the_ablation(made):
    named, options = made
    true, none = (named.root / f"{name}.tsv" for name in ("true", "none.0"))
    lists = [*("--lists", f"low={true},{none}:{true}"), "--lists"]
    lists.append(f"high={in_capitals(true)},{in_capitals(none)}:{in_capitals(true)}")
    assert names_ablation.main([*options, *lists]) == 0
    found = json.loads((named.root / "table.json").read_text())["lists"]
    assert found["high"] == found["low"]


def test_lists_without_a_phrase_are_refused(made, capsys):
    named, options = made
    lists = {utt: BiasingList("ab c", (), ()) for utt in named.samples}
    empty = named.root / "empty.tsv"
    empty.write_text(format_lists(lists))
    assert names_ablation.main([*options, "--lists", f"none={empty}"]) == 1
    assert f"{empty}: no phrase in any list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--techniques", "IDLE"], "cap=9.0 of boosting has no effect with weight=0"),
        (["--lists", "nowhere"], "write NAME=FILE"),
        (["--lists", "5=more.tsv"], "--lists 5: two have this name"),
        (["--lists", "a=nowhere.tsv"], "nowhere.tsv"),
        (["--both", "x.yaml"], "--both goes with an adapter"),
        (["--adapter_model_file", "x"], "go together: give both"),
        (["--asr_model_file", "none.pth"], "none.pth: no such file"),
    ],
)
def test_what_does_not_go_together_is_refused_by_the_ablation(
    made, capsys, options, message
):
    idle = made[0].root / "idle.yaml"
    idle.write_text("boosting: {weight: 0, cap: 9.0}\n")
    options = [str(idle) if one == "IDLE" else one for one in options]
    assert names_ablation.main([*made[1], *options]) == 1
    assert message in capsys.readouterr().err
