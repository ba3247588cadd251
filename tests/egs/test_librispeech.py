"""The LibriSpeech recipe: any subset of the parts."""

import pytest

from espnet_dynlook.recipe.data_dir import read_data_dir


@pytest.fixture
def prepare(load, tmp_path):
    """Return a function that runs local/prepare.py and reads what it wrote."""

    def run(corpus, *options):
        data = tmp_path / "data"
        main = load("librispeech", "prepare").main
        main(["--librispeech", str(corpus), "--data", str(data), *options])
        return {p.name: read_data_dir(p) for p in sorted(data.iterdir())}

    return run


OPTIONS = ("--train_set", "train-clean-100", "--test_sets", "test-other")
TRAIN = {19: {198: 10, 227: 10}, 26: {495: 10}}
TEST = {1688: {142285: 3}}


def test_few_chapters_hold_out_utterances_of_each(tmp_path, make_librispeech, prepare):
    corpus = make_librispeech(
        tmp_path / "ls", {"train-clean-100": TRAIN, "test-other": TEST}
    )
    sets = prepare(corpus, *OPTIONS)
    assert list(sets) == ["dev", "test_other", "train_clean_100"]
    held = [utt.rsplit("-", 1)[0] for utt in sets["dev"].text]
    assert held == ["19-198", "19-227", "26-495"]
    assert len(sets["train_clean_100"].text) == 27
    assert not set(sets["dev"].text) & set(sets["train_clean_100"].text)
    assert sets["train_clean_100"].utt2spk["19-198-0000"] == "19"
    assert sets == prepare(corpus, *OPTIONS)
    assert sets != prepare(corpus, *OPTIONS, "--seed", "2")


def test_many_chapters_hold_out_whole_ones(tmp_path, make_librispeech, prepare):
    train = {speaker: {1: 2, 2: 2, 3: 2} for speaker in range(1, 11)}
    corpus = make_librispeech(
        tmp_path / "ls", {"train-clean-100": train, "test-other": TEST}
    )
    sets = prepare(corpus, *OPTIONS)
    chapters = {
        name: {u.rsplit("-", 1)[0] for u in sets[name].text}
        for name in ("train_clean_100", "dev")
    }
    assert len(chapters["dev"]) == 2
    assert not chapters["dev"] & chapters["train_clean_100"]


@pytest.mark.parametrize(
    "dev_parts", [["dev-clean"], ["dev-other"], ["dev-clean", "dev-other"]]
)
def test_dev_parts_are_used_where_they_are(
    tmp_path, make_librispeech, prepare, dev_parts
):
    parts = {"train-clean-100": TRAIN, "test-other": TEST}
    parts |= {part: {n: {5: 2}} for n, part in enumerate(dev_parts, 1000)}
    sets = prepare(make_librispeech(tmp_path / "ls", parts), *OPTIONS)
    assert len(sets["dev"].text) == 2 * len(dev_parts)
    assert len(sets["train_clean_100"].text) == 30


def test_several_parts_make_one_training_set(tmp_path, make_librispeech, prepare):
    parts = {
        "train-clean-100": {1: {1: 3}},
        "train-clean-360": {2: {1: 3}},
        "train-other-500": {3: {1: 3}},
        "dev-clean": {4: {1: 1}},
        "test-clean": {5: {1: 1}},
    }
    corpus = make_librispeech(tmp_path / "ls", parts)
    sets = prepare(corpus, "--train_set", "train-960", "--test_sets", "test-clean")
    assert len(sets["train_960"].text) == 9
    assert set(sets["train_960"].utt2spk.values()) == {"1", "2", "3"}


def test_missing_part_names_what_is_there(tmp_path, make_librispeech, prepare):
    corpus = make_librispeech(tmp_path / "ls", {"train-clean-100": TRAIN})
    with pytest.raises(SystemExit, match=r"looked for .*test-other.*has train-clean-1"):
        prepare(corpus, *OPTIONS)
    assert not (tmp_path / "data").exists()


def test_unknown_part_names_the_known(tmp_path, make_librispeech, prepare):
    corpus = make_librispeech(tmp_path / "ls", {"train-clean-100": TRAIN})
    with pytest.raises(SystemExit, match=r"no part train-100: .*train-clean-100"):
        prepare(corpus, "--train_set", "train-100")


def test_wrong_folder_says_what_was_looked_for(tmp_path, prepare):
    with pytest.raises(SystemExit, match="no such folder"):
        prepare(tmp_path / "nowhere", *OPTIONS)
    (tmp_path / "ls" / "train-clean-100").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"SPEAKER-CHAPTER.trans.txt and found none"):
        prepare(tmp_path / "ls", *OPTIONS)


def test_every_fault_of_a_part_is_listed(tmp_path, make_librispeech, load):
    corpus = make_librispeech(tmp_path / "ls", {"test-other": {7: {8: 5}}})
    chapter = corpus / "test-other" / "7" / "8"
    (chapter / "7-8-0000.flac").unlink()
    trans = chapter / "7-8.trans.txt"
    lines = trans.read_bytes().splitlines()
    lines[1] = b"7-8-0001"
    lines[2] = b"7-8-0002 CAF\xc9"
    lines[3] = b"9-8-0003 WORD"
    trans.write_bytes(b"\n".join(lines) + b"\n")
    local = load("librispeech", "prepare")
    with pytest.raises(local.CorpusError) as error:
        local.read_part(corpus, "test-other")
    for number, what in enumerate(("does not exist", "empty", "utf-8", "no utterance")):
        assert any(
            f"7-8.trans.txt:{number + 1}:" in line and what in line
            for line in str(error.value).splitlines()
        )


def test_real_files(dynlook_data, prepare):
    sets = prepare(dynlook_data / "LibriSpeech", *OPTIONS)
    sizes = {name: len(data.text) for name, data in sets.items()}
    assert sizes == {"train_clean_100": 338, "dev": 29, "test_other": 100}
    assert len(set(sets["test_other"].utt2spk.values())) == 10
