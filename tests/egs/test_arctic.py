"""The ARCTIC recipe's layouts, splits and messages."""

import pytest

from espnet_dynlook.recipe.corpus import CorpusError
from espnet_dynlook.recipe.data_dir import read_data_dir

SETS = ("train", "valid", "test")
PROMPTS = {f"arctic_a{n:04d}": f"It's sentence {'x' * n}, no?" for n in range(1, 41)}


@pytest.fixture
def prepare(load, tmp_path):
    """Return a function that runs local/prepare.py and reads what it wrote."""

    def run(folder, *options):
        data = tmp_path / "data"
        main = load("arctic", "prepare").main
        main(["--arctic", str(folder), "--data", str(data), *options])
        return {name: read_data_dir(data / name) for name in SETS}

    return run


@pytest.fixture
def table(tmp_path, make_cmu_voice):
    """Return a function that writes the layout with metadata.tsv."""

    def make(rows, header="utt\tprompt\tsplit\ttext"):
        folder = tmp_path / "arctic_jane"
        names = {row.split("\t")[0]: "" for row in rows}
        make_cmu_voice(folder, names)
        lines = [header, *rows]
        (folder / "metadata.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return make


def prompts_of(data):
    return {utt.split("_", 1)[1] for utt in data.text}


def test_cmu_layout(tmp_path, make_cmu_voice, prepare):
    folder = make_cmu_voice(tmp_path / "cmu_us_bdl_arctic", PROMPTS)
    sets = prepare(folder)
    assert [len(sets[name].text) for name in SETS] == [33, 3, 4]
    assert {spk for name in SETS for spk in sets[name].utt2spk.values()} == {"bdl"}
    text = {utt: words for name in SETS for utt, words in sets[name].text.items()}
    assert text["bdl_arctic_a0002"] == "IT'S SENTENCE XX NO"


def test_no_prompt_is_in_two_sets_whoever_reads_it(tmp_path, make_cmu_voice, prepare):
    corpus = tmp_path / "arctic"
    for voice in ("bdl", "slt", "awb"):
        make_cmu_voice(corpus / f"cmu_us_{voice}_arctic", PROMPTS)
    sets = prepare(corpus)
    seen = [prompts_of(sets[name]) for name in SETS]
    assert sum(len(prompts) for prompts in seen) == len(PROMPTS)
    assert set().union(*seen) == set(PROMPTS)
    assert set(sets["train"].utt2spk.values()) == {"bdl", "slt", "awb"}


def test_more_voices_keep_the_prompts(tmp_path, make_cmu_voice, prepare):
    one = make_cmu_voice(tmp_path / "c" / "cmu_us_bdl_arctic", PROMPTS)
    before = {name: prompts_of(data) for name, data in prepare(one).items()}
    make_cmu_voice(tmp_path / "c" / "cmu_us_slt_arctic", PROMPTS)
    after = {name: prompts_of(data) for name, data in prepare(tmp_path / "c").items()}
    assert before == after


def test_seed_decides(tmp_path, make_cmu_voice, prepare):
    folder = make_cmu_voice(tmp_path / "cmu_us_bdl_arctic", PROMPTS)
    first = prepare(folder, "--seed", "3")
    assert first == prepare(folder, "--seed", "3")
    assert first != prepare(folder, "--seed", "4")


def test_table_layout_keeps_its_test_set(table, prepare):
    rows = [f"u{n:02d}\tp{n // 2}\ttrain\tWORD {'A' * n}" for n in range(1, 31)]
    rows += ["t1\tq1\ttest\tLAST", "t2\tq2\ttest\tLAST WORDS"]
    sets = prepare(table(rows))
    assert set(sets["test"].text) == {"t1", "t2"}
    assert set(sets["test"].utt2spk.values()) == {"jane"}
    halves = [{int(utt[1:]) // 2 for utt in sets[n].text} for n in ("train", "valid")]
    assert halves[1]
    assert not halves[0] & halves[1]


def test_own_valid_set_is_kept(table, prepare):
    rows = ["a\t1\ttrain\tA", "b\t2\tvalid\tB", "c\t3\ttest\tC"]
    sets = prepare(table(rows))
    assert [list(sets[name].text) for name in SETS] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a\t1\ttrain\tX"], "utt\tprompt\tsplit\tword", r"no column text; found utt"),
        (["a\t1\ttraining\tX"], None, r"metadata.tsv:2: split 'training'"),
        (["a\t1\ttrain"], None, r"metadata.tsv:2: expected 4 columns"),
        (["a\t1\ttrain\t..."], None, r"metadata.tsv:2: the transcript is empty"),
        (["a\t1\ttrain\tIN 1908"], None, r"metadata.tsv:2: .*spell it out"),
        (["a\t1\ttrain\tX", "a\t2\ttrain\tY"], None, r":3: utterance a is there twice"),
    ],
)
def test_faulty_table(table, prepare, rows, header, message):
    folder = table(rows, header or "utt\tprompt\tsplit\ttext")
    with pytest.raises(SystemExit, match=message):
        prepare(folder)


def test_prompt_in_two_splits_of_the_corpus(table, prepare):
    rows = ["a\t1\ttrain\tA", "b\t2\ttrain\tB", "d\t4\ttrain\tB", "c\t1\ttest\tA"]
    with pytest.raises(SystemExit, match="prompt 1 is both in"):
        prepare(table(rows), "--seed", "2")


def test_every_missing_recording_is_listed(tmp_path, make_cmu_voice, prepare):
    folder = make_cmu_voice(tmp_path / "voice", PROMPTS)
    (folder / "wav" / "arctic_a0002.wav").unlink()
    (folder / "wav" / "arctic_a0007.wav").unlink()
    with pytest.raises(SystemExit) as error:
        prepare(folder)
    assert "txt.done.data:2: the recording" in str(error.value)
    assert "txt.done.data:7: the recording" in str(error.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"arctic_a0001 hello", "expected"),
        (b'( arctic_a0001 "caf\xe9" )', "not UTF-8"),
        (b'( arctic_a0001 "..." )', "empty"),
    ],
)
def test_faulty_prompt_line(tmp_path, make_cmu_voice, load, line, message):
    folder = make_cmu_voice(tmp_path / "voice", {"arctic_a0001": "x"})
    (folder / "etc" / "txt.done.data").write_bytes(line + b"\n")
    with pytest.raises(CorpusError, match=f"txt.done.data:1: .*{message}"):
        load("arctic", "arctic").read_corpus(folder)


def test_other_folders_say_what_was_looked_for(tmp_path, prepare):
    with pytest.raises(SystemExit, match=r"no such folder"):
        prepare(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as error:
        prepare(tmp_path / "empty")
    for name in ("metadata.tsv", "etc/txt.done.data", "*/etc/txt.done.data"):
        assert f"empty/{name}" in str(error.value)


def test_kathleen(dynlook_data, prepare):
    """Real recordings: no prompt is shared, and test is the corpus's own."""
    sets = prepare(dynlook_data / "arctic_kathleen")
    assert [len(sets[name].text) for name in SETS] == [1172, 92, 215]
    prompts = [{u.split("_")[1] for u in sets[name].text} for name in SETS]
    assert not prompts[0] & prompts[1]
    assert not (prompts[0] | prompts[1]) & prompts[2]
