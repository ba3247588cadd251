"""Three corpora as one: what is held out, who speaks, and messages."""

import csv

import pytest

from espnet_dynlook.recipe.data_dir import read_data_dir, read_text

TESTS = ("test_other", "test_kathleen", "test_so762")
SETS = ("train", "valid", *TESTS)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def write_table(folder, columns, rows):
    """Write metadata.tsv, and a recording for each row."""
    (folder / "ogg").mkdir(parents=True, exist_ok=True)
    for row in rows:
        (folder / "ogg" / f"{row[0]}.ogg").touch()
    with (folder / "metadata.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([columns, *rows])


def kathleen(count=26, spoken="PROMPT"):
    """Return two takes of each prompt, in rows of a table."""
    rows = []
    for n in range(count):
        split = "test" if n % 8 == 7 else "train"
        for take in (1, 2):
            text = f"{spoken} {LETTERS[n]}"
            rows.append((f"a{n:02d}_{take}", f"a{n:02d}", split, text))
    return rows


def so762(speakers=25):
    rows = []
    for n in range(speakers):
        split = "test" if n % 8 == 7 else "train"
        for k in (1, 2):
            text = f"SENTENCE {LETTERS[n]} {'X' * k}"
            rows.append((f"{n:04d}{k}", f"{n:04d}", split, text))
    return rows


@pytest.fixture
def speech(tmp_path, make_librispeech):
    """Return a folder with tiny copies of the three corpora."""
    parts = {
        "train-clean-100": {19: {198: 10, 227: 5}, 26: {495: 12}},
        "test-other": {367: {1: 2}},
    }
    make_librispeech(tmp_path / "speech" / "LibriSpeech", parts)
    columns = ("utt", "prompt", "split", "text")
    write_table(tmp_path / "speech" / "arctic_kathleen", columns, kathleen())
    columns = ("utt", "spk", "split", "text")
    write_table(tmp_path / "speech" / "so762_adults", columns, so762())
    return tmp_path / "speech"


@pytest.fixture
def prepare(load, tmp_path):
    """Return a function that runs local/prepare.py and reads what it wrote."""

    def run(folder, *options):
        data = tmp_path / "data"
        main = load("pooled", "prepare").main
        main(["--speech", str(folder), "--data", str(data), *options])
        return {name: read_data_dir(data / name) for name in SETS}

    return run


def of(data, corpus):
    """Return the utterances of one corpus."""
    return {u for u, s in data.utt2spk.items() if s.startswith(f"{corpus}_")}


def test_test_sets_are_the_corpora_s_own_and_keep_their_identifiers(speech, prepare):
    sets = prepare(speech)
    assert set(sets["test_other"].text) == {"367-1-0000", "367-1-0001"}
    tests = {row[0] for row in so762() if row[2] == "test"}
    assert set(sets["test_so762"].text) == tests
    assert set(sets["test_kathleen"].utt2spk.values()) == {"kathleen_reader"}


def test_speakers_carry_their_corpus(speech, prepare):
    for data in prepare(speech).values():
        corpora = {speaker.split("_")[0] for speaker in data.utt2spk.values()}
        assert corpora <= {"librispeech", "kathleen", "so762"}


def test_held_out_are_speakers_prompts_and_utterances(speech, prepare):
    sets = prepare(speech)
    train, valid = sets["train"], sets["valid"]
    speakers = [{d.utt2spk[u] for u in of(d, "so762")} for d in (train, valid)]
    assert len(speakers[1]) == 2  # 8 % of 22
    assert not speakers[0] & speakers[1]
    prompts = [{u.split("_")[0] for u in of(d, "kathleen")} for d in (train, valid)]
    assert len(prompts[1]) == 2
    assert not prompts[0] & prompts[1]
    chapters = {u.rsplit("-", 1)[0] for u in of(valid, "librispeech")}
    assert chapters == {"19-198", "19-227", "26-495"}


def test_no_sentence_of_a_held_out_set_is_trained_on(speech, prepare, capsys):
    """Here LibriSpeech's utterance n of any chapter says the same."""
    sets = prepare(speech)
    held = {t for name in SETS[1:] for t in sets[name].text.values()}
    assert not held & set(sets["train"].text.values())
    assert "training utterances left out" in capsys.readouterr().out
    # A test sentence that another corpus has to train on goes as well.
    rows = [*so762(), ("99991", "9999", "train", "PROMPT H")]
    columns = ("utt", "spk", "split", "text")
    write_table(speech / "so762_adults", columns, rows)
    assert "PROMPT H" in prepare(speech)["test_kathleen"].text.values()
    assert "99991" not in prepare(speech)["train"].text


def test_the_seed_decides(speech, prepare):
    first = prepare(speech, "--seed", "3")
    assert first == prepare(speech, "--seed", "3")
    assert first["valid"] != prepare(speech, "--seed", "4")["valid"]


def test_text_is_written_alike(speech, prepare):
    columns = ("utt", "prompt", "split", "text")
    rows = kathleen(spoken="It’s “one-two”, said Zoë;")
    write_table(speech / "arctic_kathleen", columns, rows)
    for data in prepare(speech).values():
        assert not set("".join(data.text.values())) - set(LETTERS + " '")


@pytest.mark.parametrize("name", ["LibriSpeech", "arctic_kathleen", "so762_adults"])
def test_every_corpus_is_needed(speech, prepare, name):
    (speech / name).rename(speech / "gone")
    with pytest.raises(SystemExit, match=f"looked for .*{name}, which is no folder"):
        prepare(speech)


def test_a_speaker_in_two_splits_is_refused(speech, prepare):
    rows = [*so762(), ("99991", "0001", "test", "MORE")]
    columns = ("utt", "spk", "split", "text")
    write_table(speech / "so762_adults", columns, rows)
    with pytest.raises(SystemExit, match="test_so762: 0001 is both in train and in t"):
        prepare(speech)


def test_a_table_without_speakers_is_refused(speech, prepare):
    rows = [(row[0], row[2], row[3]) for row in so762()]
    write_table(speech / "so762_adults", ("utt", "split", "text"), rows)
    with pytest.raises(SystemExit, match=r"metadata.tsv:1: no column speaker, spk"):
        prepare(speech)


@pytest.fixture
def published(speech):
    """Put speechocean762 as it is published in the place of the table."""
    folder = speech / "so762_adults"
    (folder / "metadata.tsv").unlink()
    for row in so762():
        utt, speaker, split, text = row
        path = folder / "WAVE" / f"SPEAKER{speaker}" / f"{utt}.WAV"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        age = 6 if speaker == "0003" else 15 + int(speaker)
        (folder / split).mkdir(exist_ok=True)
        for name, line in (
            ("wav.scp", f"{utt}\tWAVE/SPEAKER{speaker}/{utt}.WAV\n"),
            ("text", f"{utt}\t{text}\n"),
            ("utt2spk", f"{utt}\t{speaker}\n"),
            ("spk2age", f"{speaker}\t{age}\n" if utt.endswith("1") else ""),
        ):
            with (folder / split / name).open("a") as file:
                file.write(line)
    return folder


def test_the_published_corpus_without_children(speech, published, prepare):
    sets = prepare(speech)
    there = {utt for data in sets.values() for utt in of(data, "so762")}
    assert there == {row[0] for row in so762() if row[1] != "0003"}
    assert set(sets["test_so762"].text) == {r[0] for r in so762() if r[2] == "test"}


def test_faults_of_the_published_corpus_are_listed(speech, published, prepare):
    (published / "WAVE" / "SPEAKER0001" / "00011.WAV").unlink()
    text = published / "test" / "text"
    text.write_text(text.read_text().replace("SENTENCE H X\n", "7 DAYS\n"))
    with pytest.raises(SystemExit) as error:
        prepare(speech)
    assert "wav.scp: 00011: the recording" in str(error.value)
    assert "text: 00071: cannot tell how '7'" in str(error.value)
    (published / "train" / "spk2age").unlink()
    with pytest.raises(SystemExit, match="spk2age: the file does not exist"):
        prepare(speech)
    (published / "train" / "wav.scp").unlink()
    with pytest.raises(SystemExit, match=r"found neither .*metadata.tsv nor"):
        prepare(speech)


def test_run_sh_hands_the_folder_on(run):
    (options,) = run("pooled", "--data", "/some/dir", "--stage", "11")
    assert options["--local_data_opts"] == "--speech /some/dir"
    assert options["--test_sets"].split() == list(TESTS)
    assert options["--stage"] == "11"
    assert run("pooled", "--data", "/my dir", code=2) == []
    assert "--data '/my dir': no spaces" in run.err


def test_real_speech(dynlook_data, prepare):
    sets = prepare(dynlook_data)
    assert [len(sets[name].text) for name in SETS] == [3620, 311, 100, 215, 260]
    speakers = {name: set(data.utt2spk.values()) for name, data in sets.items()}
    assert len(speakers["train"] | speakers["valid"]) == 3 + 1 + 115
    so762_train, so762_valid = (
        {s for s in speakers[name] if s.startswith("so762")}
        for name in ("train", "valid")
    )
    assert len(so762_valid) == 9
    assert not so762_train & so762_valid
    assert not (so762_train | so762_valid) & speakers["test_so762"]


NAMES = ("ANN", "BOB'S", "CAM", "DAN", "EVE", "FAY")


def with_names(speech, prepare, *options):
    """Prepare a corpus whose prompts say names, with lists of some; return texts."""
    rows = [
        (utt, prompt, split, f"{text} {NAMES[int(prompt[1:]) % len(NAMES)]}")
        for utt, prompt, split, text in kathleen()
    ]
    columns = ("utt", "prompt", "split", "text")
    folder = speech / "arctic_kathleen"
    write_table(folder, columns, rows)
    phrases = '["ANN", "BOB", "CAM", "DAN", "EVE", "ZOE", "MR"]'
    lists = folder / "biasing_names.test.tsv"
    lists.write_text(f"utt\tPROMPT H BOB'S\t[]\t{phrases}\n")
    sets = prepare(speech, *options)
    data = lists.parents[2] / "data"
    extra = ("train_names", "tune_names") if options else ()
    return sets | {name: read_data_dir(data / name) for name in extra}, data


def test_names_to_draw_from_are_those_that_no_test_set_says(speech, prepare):
    sets, data = with_names(speech, prepare)
    said = {w for name in TESTS for t in sets[name].text.values() for w in t.split()}
    names = set((data / "local" / "names").read_text().split())
    assert "ZOE" in names and "MR" not in names
    assert names == {"ANN", "BOB", "CAM", "DAN", "EVE", "ZOE"} - {
        word.removesuffix("'S") for word in said
    }


def test_names_to_tune_on_are_held_out_with_their_prompts(speech, prepare):
    sets, data = with_names(speech, prepare, "--hold_out_names", "2")
    train, tune = sets["train_names"].text, sets["tune_names"].text
    assert train | tune == sets["train"].text
    assert not set(train.values()) & set(tune.values())
    names = set((data / "tune_names" / "names").read_text().split())
    assert len(names) == 2
    assert not names & {word for text in train.values() for word in text.split()}
    assert all(names & set(text.split()) for text in tune.values())


def test_prompts_are_kept_as_written(speech, prepare, tmp_path):
    folder = speech / "arctic_kathleen"
    columns = ("utt", "prompt", "split", "text", "raw_text")
    rows = [(*row, f"{row[3].title()}!") for row in kathleen()]
    write_table(folder, columns, rows)
    train = prepare(speech)["train"]
    cased = read_text(tmp_path / "data" / "train" / "text_cased")
    assert set(cased) == of(train, "kathleen")
    assert all(text.startswith("Prompt ") for text in cased.values())
