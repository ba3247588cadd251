"""Scores of systems with lists of names, as tables and as JSON."""

import json

import pytest

from espnet_dynlook.biasing.lists import BiasingList, format_lists, read_lists
from espnet_dynlook.recipe import biasing_score

# As in the worked example of the metrics.
LISTS = {
    "amy-1": BiasingList("the cat sat on the mat", ("cat",), ("cat", "rome")),
    "bob-1": BiasingList(
        "ask jean valjean now", ("jean", "valjean"), ("jean", "paris", "valjean")
    ),
    "cyd-1": BiasingList("so miles left", ("miles",), ("miles", "rome")),
}
SYSTEM = {
    "amy-1": "the cat sat on a mat",
    "bob-1": "ask jean valgen right now",
    "cyd-1": "so miles miles left rome",
}
PERFECT = {utt: one.text for utt, one in LISTS.items()}


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that writes texts and lists and runs the command."""

    def write(name, content):
        path = tmp_path / name
        if isinstance(content, dict):
            content = "".join(f"{utt} {text}\n" for utt, text in content.items())
        path.write_text(content)
        return str(path)

    def call(systems, *arguments, lists=(LISTS,)):
        command = list(arguments)
        for i, one in enumerate(lists):
            command += ["--lists", write(f"lists{i}.tsv", format_lists(one))]
        for name, texts in systems.items():
            paths = [write(f"{name}{i}", text) for i, text in enumerate(texts)]
            command.append(f"{name}={','.join(paths)}")
        found = tmp_path / "out.json"
        found.unlink(missing_ok=True)
        status = biasing_score.main([*command, "--json", str(found)])
        output = capsys.readouterr()
        assert found.exists() == (status == 0)
        return output.err if status else (output.out, json.loads(found.read_text()))

    call.write = write
    return call


def cells(table, name):
    [row] = [line for line in table.splitlines() if line.startswith(f"|{name}|")]
    return row.strip("|").split("|")[1:]


def test_table_has_the_numbers_of_the_worked_example(run):
    table, content = run({"base": [SYSTEM]})
    assert cells(table, "base") == [
        *("38.46", "33.33", "50.00"),  # 5 of 13, 3 of 9, 2 of 4 words
        *("60.00", "75.00", "66.67"),  # 3 of 5, 3 of 4, 6 of 9 names
        *("4", "5", "3", "2", "66.67"),
    ]
    assert "difference" not in table
    rates = content["systems"]["base"]["rates"]
    assert rates["U-WER"] == pytest.approx(3 / 9)
    assert content["systems"]["base"]["counts"]["biased"]["insertions"] == 1
    assert content["systems"]["base"]["counts"]["entities"]["false_insertions"] == 2
    assert "jiwer" in content["versions"]


def test_systems_are_compared_with_the_first(run):
    table, content = run({"base": [SYSTEM], "names": [PERFECT]})
    assert cells(table, "names")[:6] == ["0.00"] * 3 + ["100.00"] * 3
    assert cells(table, "names, WER")[0] == "-38.46"
    assert cells(table, "names, F1")[0] == "+33.33"
    one = content["differences"]["names"]["F1"]
    assert one["low"] <= one["difference"] == pytest.approx(1 / 3)
    assert content["compared_with"] == "base"


def test_seeds_of_a_system_are_pooled(run):
    table, _ = run({"base": [SYSTEM], "both": [SYSTEM, PERFECT]})
    assert cells(table, "both")[0] == "19.23"
    assert cells(table, "both, WER")[0] == "-19.23"


def test_draws_of_lists_are_pooled_each_with_its_text(run):
    other = {utt: BiasingList(one.text, (), ("oslo",)) for utt, one in LISTS.items()}
    made_up = {**PERFECT, "amy-1": "the cat sat on the oslo mat"}
    table, content = run({"base": [PERFECT, made_up]}, lists=(LISTS, other))
    counts = content["systems"]["base"]["counts"]
    assert counts["entities"]["reference"] == 4
    assert counts["entities"]["false_insertions"] == 1
    assert cells(table, "base")[-1] == "16.67"
    assert "1 texts for 2 lists" in run({"base": [PERFECT]}, lists=(LISTS, other))
    text = {**LISTS, "amy-1": BiasingList("a", (), ())}
    assert "other utterances or texts" in run(
        {"base": [PERFECT] * 2}, lists=[LISTS, text]
    )


def test_lists_without_true_words_have_dashes_for_what_is_not_defined(run):
    lists = {utt: BiasingList(one.text, (), ("rome",)) for utt, one in LISTS.items()}
    table, content = run({"a": [SYSTEM], "b": [PERFECT]}, lists=(lists,))
    row = cells(table, "a")
    assert row[0] == row[1] == "38.46" and row[2] == row[4] == "-"
    assert row[3] == row[5] == "0.00"
    assert row[-2:] == ["1", "33.33"]
    assert cells(table, "b")[3:6] == ["-", "-", "-"]
    assert set(content["differences"]["b"]) == {"WER", "U-WER"}


def test_speakers_are_drawn_on_wish(run):
    speakers = run.write("utt2spk", {utt: utt[:3] for utt in LISTS})
    systems = {"a": [SYSTEM], "b": [PERFECT]}
    by_utterance, by_speaker = run(systems), run(systems, "--utt2spk", speakers)
    assert by_utterance == by_speaker  # one utterance each
    same = run.write("utt2spk", dict.fromkeys(LISTS, "amy"))
    assert "needs 2 or more" in run(systems, "--utt2spk", same)
    some = run.write("utt2spk", {"amy-1": "amy"})
    assert "no speaker of bob-1" in run(systems, "--utt2spk", some)


def test_case_matters_or_does_not(run):
    upper = {utt: text.upper() for utt, text in SYSTEM.items()}
    assert "use --ignore_case" in run({"base": [upper]})
    assert run({"base": [upper]}, "--ignore_case")[0] == run({"base": [SYSTEM]})[0]


@pytest.mark.parametrize(
    "systems, message",
    [
        ({"a": [{"amy-1": "x"}]}, "2 of 3 utterances have no hypothesis"),
        (
            {"a": [{**SYSTEM, "dan-1": "x"}]},
            "1 utterances have no list, the first dan-1",
        ),
        ({"a": ["amy-1 x\namy-1 y\n"]}, "amy-1 is a duplicate"),
        ({"a": []}, "no text; write name=text,text"),
    ],
)
def test_faulty_texts_are_named(run, systems, message):
    assert message in run(systems)


def test_faulty_lists_are_named(run, tmp_path, capsys):
    text = run.write("text", SYSTEM)
    faulty = run.write("faulty.tsv", "amy-1\n")
    assert biasing_score.main([f"a={text}", "--lists", faulty]) == 1
    assert "faulty.tsv:1: 1 columns" in capsys.readouterr().err
    assert biasing_score.main([f"a={text}", "--lists", f"{tmp_path}/none"]) == 1
    assert "none: no such file of lists" in capsys.readouterr().err
    lists = run.write("lists.tsv", format_lists(LISTS))
    assert biasing_score.main([f"a={text}", f"a={text}", "--lists", lists]) == 1
    assert "a: two systems have this name" in capsys.readouterr().err


def test_table_is_written_where_it_is_wanted(run, tmp_path):
    table, _ = run({"base": [SYSTEM]}, "--output", f"{tmp_path}/table.md")
    assert (tmp_path / "table.md").read_text() == table


def test_real_lists_score_their_own_texts_without_error(dynlook_data, tmp_path):
    path = dynlook_data / "arctic_kathleen/biasing_names.test.tsv"
    lists = read_lists(path)
    text = tmp_path / "text"
    text.write_text("".join(f"{utt} {one.text}\n" for utt, one in lists.items()))
    found = tmp_path / "out.json"
    assert (
        biasing_score.main([f"a={text}", "--lists", f"{path}", "--json", f"{found}"])
        == 0
    )
    system = json.loads(found.read_text())["systems"]["a"]
    assert system["rates"]["F1"] == 1 and system["rates"]["WER"] == 0
    assert system["counts"]["entities"]["reference"] == 191
    assert system["counts"]["entities"]["false_insertions"] == 0


def test_lists_without_a_phrase_are_no_lists(run):
    empty = {utt: BiasingList(one.text, (), ()) for utt, one in LISTS.items()}
    assert "lists0.tsv: no phrase in any list" in run({"a": [SYSTEM]}, lists=(empty,))
