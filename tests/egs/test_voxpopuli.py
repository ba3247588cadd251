"""VoxPopuli: layout, cutting, sets, labels, the download, and all stages."""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
import voxpopuli_tree as tree

from espnet_dynlook.recipe.corpus import CorpusError, normalize_text
from espnet_dynlook.recipe.data_dir import read_data_dir, read_text
from espnet_dynlook.recipe.download import DownloadError

RECIPE = Path(__file__).parents[2] / "egs" / "voxpopuli" / "asr1"
SETS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return a root that no test changes."""
    root = tmp_path_factory.mktemp("voxpopuli")
    tree.write_tree(root)
    return root


def prepare(load, data, *options):
    load("voxpopuli", "prepare").main(["--data", str(data), "--nj", "1", *options])
    return {p.parent.name: read_data_dir(p.parent) for p in data.glob("*/wav.scp")}


@pytest.fixture(scope="module")
def prepared(corpus, load, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    return data, prepare(load, data, "--voxpopuli", str(corpus))


def utt_of(row):
    return f"{row['session_id']}-{row['id_']}"


def test_sets_are_the_projects_own(prepared):
    _, sets = prepared
    rows = tree.make_rows()
    for name in SETS:
        expected = {
            utt_of(r): normalize_text(r["normed_text"])
            for r in rows
            if r["split"] == name
        }
        assert sets[name].text == expected
    assert sets["train"].text[utt_of(rows[3])] == "THANKS TO SZABO"
    assert sets["train"].utt2spk[utt_of(rows[0])] == "1000"


def test_written_text_and_what_is_known_of_speakers_are_kept(prepared):
    data, _ = prepared
    for row in tree.make_rows():
        utt = utt_of(row)
        cased = read_text(data / row["split"] / "text_cased")
        assert cased[utt] == row["original_text"]
        assert read_text(data / row["split"] / "utt2gender")[utt] == row["gender"]
    assert not (data / "train" / "utt2accent").exists()
    assert (data / "local" / "left_out.tsv").read_text() == ""


def test_segments_are_the_joined_pieces_of_the_recording(prepared, corpus):
    _, sets = prepared
    waves = {
        session: soundfile.read(
            corpus / f"raw_audios/original/{session[:4]}/{session}_original.ogg",
            dtype="int16",
        )[0]
        for session in tree.SESSIONS
    }
    for number, row in enumerate(tree.make_rows()):
        path = sets[row["split"]].wav[utt_of(row)]
        segment, rate = soundfile.read(path, dtype="int16")
        start = 2.5 * (number // 2)
        wave = waves[row["session_id"]]
        pieces = [
            wave[int(s * rate) : int(e * rate)]
            for s, e in ((start, start + 0.9), (start + 1.1, start + 2.0))
        ]
        assert np.array_equal(segment, np.concatenate(pieces))


def test_preparing_again_cuts_nothing_again(prepared, corpus, load):
    data, sets = prepared
    paths = [Path(p) for part in sets.values() for p in part.wav.values()]
    before = {p: p.stat().st_mtime_ns for p in paths}
    broken, missing = paths[:2]
    broken.write_bytes(b"fLaC")
    missing.unlink()
    prepare(load, data, "--voxpopuli", str(corpus))
    assert {p for p in paths if p.stat().st_mtime_ns != before[p]} == {broken, missing}
    assert soundfile.info(broken).frames == soundfile.info(missing).frames
    assert not list((data / "audio").rglob(".*"))


def test_real_speech_is_cut_where_it_is(load, dynlook_data, tmp_path):
    files = sorted((dynlook_data / "LibriSpeech" / "test-other").rglob("*.flac"))[:6]
    waves = [soundfile.read(path)[0] for path in files]
    ends = np.cumsum([len(wave) for wave in waves]) / tree.RATE
    session = tree.SESSIONS[0]
    rows = [
        tree.row(session, n, tree.SPLITS[n], "some real speech", [(end - t, end)])
        for n, (end, t) in enumerate(
            zip(ends, [len(wave) / tree.RATE for wave in waves], strict=True)
        )
    ]
    tree.write_annotations(tmp_path, rows)
    tree.write_recordings(tmp_path, 0.1, {session: np.concatenate(waves)})
    sets = prepare(load, tmp_path / "data", "--voxpopuli", str(tmp_path))
    for row, wave in zip(rows, waves, strict=True):
        cut, _ = soundfile.read(sets[row["split"]].wav[utt_of(row)])
        assert abs(len(cut) - len(wave)) <= 1
        length = min(len(cut), len(wave))
        # Vorbis keeps what is heard, not the noise; a shift of 2 ms leaves little.
        assert np.corrcoef(cut[:length], wave[:length])[0, 1] > 0.8
        assert np.corrcoef(cut[32:length], wave[: length - 32])[0, 1] < 0.5


def test_segments_that_meta_has_cut_are_taken(corpus, load, tmp_path):
    rows = tree.make_rows()
    tree.write_annotations(tmp_path, rows)
    for row in rows:
        folder = tmp_path / "transcribed_data" / "en" / row["session_id"][:4]
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{utt_of(row)}.ogg", tree.speech(1.8, 1), tree.RATE)
    sets = prepare(load, tmp_path / "data", "--voxpopuli", str(tmp_path))
    assert all(
        path.startswith(str(tmp_path / "transcribed_data"))
        for part in sets.values()
        for path in part.wav.values()
    )
    assert not (tmp_path / "data" / "audio").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"normed_text": "", "original_text": " "}, "no text"),
        ({"normed_text": "in 1990"}, "text that cannot be spelled in A-Z"),
        ({"vad": "[]"}, "no times"),
        ({"vad": "[[1.0"}, "times that cannot be read"),
        ({"vad": "[[2.0, 1.0]]"}, "times that run backwards"),
        ({"vad": "[[500.0, 501.0]]"}, "times after the end of the recording"),
        ({"vad": "[[0.0, 0.1]]"}, "more than 40 characters a second"),
        ({"id_": "no such/id"}, "faulty identifier"),
        ({"split": "invalid"}, None),
    ],
)
def test_unusable_segments_are_left_out_with_a_reason(
    corpus, load, tmp_path, capsys, changes, reason
):
    rows = tree.make_rows()
    rows[0] |= changes
    tree.write_annotations(tmp_path, rows)
    (tmp_path / "raw_audios").symlink_to(corpus / "raw_audios")
    sets = prepare(load, tmp_path / "data", "--voxpopuli", str(tmp_path))
    assert sum(len(part.text) for part in sets.values()) == len(rows) - 1
    listed = (tmp_path / "data" / "local" / "left_out.tsv").read_text()
    assert listed == (f"{utt_of(rows[0])}\ttrain\t{reason}\n" if reason else "")
    if reason:
        assert f"left out of train: 1 with {reason}" in capsys.readouterr().out


def test_unknown_speakers_and_missing_text_have_a_stand_in(corpus, load, tmp_path):
    rows = tree.make_rows()
    rows[0] |= {"speaker_id": "None", "normed_text": "", "gender": "nan"}
    rows[1] |= {"original_text": ""}
    tree.write_annotations(tmp_path, rows)
    (tmp_path / "raw_audios").symlink_to(corpus / "raw_audios")
    train = prepare(load, tmp_path / "data", "--voxpopuli", str(tmp_path))["train"]
    assert train.utt2spk[utt_of(rows[0])] == tree.SESSIONS[0]
    assert train.text[utt_of(rows[0])] == "THANKS TO KOVAC"
    data = tmp_path / "data" / "train"
    assert utt_of(rows[0]) not in read_text(data / "utt2gender")
    assert utt_of(rows[1]) not in read_text(data / "text_cased")


def test_accented_speech_is_a_test_set(corpus, load, tmp_path):
    tree.write_annotations(tmp_path, tree.make_rows())
    accents = [
        tree.row(tree.SESSIONS[0], 90 + n, "test", "so it is", [(n, n + 0.9)])
        | {"accent": "en_hu" if n else "None"}
        for n in range(3)
    ]
    columns = [*tree.COLUMNS, "accent"]
    tree.write_annotations(tmp_path, accents, "en_accented", columns)
    (tmp_path / "raw_audios").symlink_to(corpus / "raw_audios")
    data = tmp_path / "data"
    sets = prepare(load, data, "--voxpopuli", str(tmp_path), "--accented")
    assert set(sets["test_accented"].text) == {utt_of(row) for row in accents}
    accent = read_text(data / "test_accented" / "utt2accent")
    assert accent == {utt_of(row): "en_hu" for row in accents[1:]}


def fails(load, capsys, *options):
    with pytest.raises(SystemExit) as error:
        load("voxpopuli", "prepare").main([*options, "--nj", "1"])
    return str(error.value)


def test_what_is_missing_or_damaged_is_named(corpus, load, tmp_path, capsys):
    options = ("--voxpopuli", str(tmp_path), "--data", str(tmp_path / "data"))
    assert "found no year" in fails(load, capsys, *options)
    original = tmp_path / "raw_audios" / "original"
    (original / "2019").mkdir(parents=True)
    assert "asr_en.tsv.gz, which is no file" in fails(load, capsys, *options)
    path = tree.write_annotations(tmp_path, tree.make_rows())
    assert f"{tree.SESSIONS[0]}_original.ogg does not exist" in (
        fails(load, capsys, *options)
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in fails(load, capsys, *options)
    tree.write_annotations(tmp_path, [], columns=tree.COLUMNS[:-2])
    assert "no column split; found id_, paragraph_id" in fails(load, capsys, *options)
    tree.write_annotations(tmp_path, tree.make_rows())
    (original / "2019" / f"{tree.SESSIONS[0]}_original.ogg").write_bytes(b"OggS")
    assert "cannot be read" in fails(load, capsys, *options)
    assert "VoxPopuli has no year 1999" in fails(
        load, capsys, *options, "--years", "1999"
    )
    assert not list((tmp_path / "data").glob("*/wav.scp"))


def test_years_choose(corpus, load, tmp_path):
    sets = prepare(load, tmp_path, "--voxpopuli", str(corpus), "--years", "2019")
    assert all(u.startswith("2019") for part in sets.values() for u in part.text)


def packed(corpus, year):
    """Return the archive of a year, as Meta's server has it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(corpus / "raw_audios" / "original" / year, f"original/{year}")
    return buffer.getvalue()


def test_everything_comes_from_the_server(server, corpus, load, tmp_path, monkeypatch):
    annotations = corpus / "transcribed_data" / "en" / "asr_en.tsv.gz"
    server.files["annotations/asr/asr_en.tsv.gz"] = annotations.read_bytes()
    for year in ("2019", "2020"):
        server.files[f"audios/original_{year}.tar"] = packed(corpus, year)
    server.break_after = [10**9, 5000]  # the first archive is interrupted
    local = load("voxpopuli", "download")
    monkeypatch.setattr("espnet_dynlook.recipe.download.time.sleep", lambda _: None)
    root = local.download_voxpopuli(
        tmp_path, ["2020", "2019", "2019"], base_url=server.url
    )
    assert "bytes=5000-" in server.ranges
    for path in corpus.rglob("*_original.ogg"):
        assert (root / path.relative_to(corpus)).read_bytes() == path.read_bytes()
    assert not list(root.rglob("*.tar*"))
    count = len(server.ranges)
    local.download_voxpopuli(tmp_path, ["2019", "2020"], base_url=server.url)
    assert len(server.ranges) == count
    with pytest.raises(DownloadError, match="404"):
        local.download_voxpopuli(tmp_path, ["2018"], base_url=server.url)
    with pytest.raises(DownloadError, match="no year 2008: choose from 2009 to 2020"):
        local.download_voxpopuli(tmp_path, ["2008"], base_url=server.url)


def test_marked_names_become_phrases(corpus, prepared, load, tmp_path, capsys):
    data, _ = prepared
    slue = load("voxpopuli", "slue")
    output = tmp_path / "entities"
    options = ["--slue", str(corpus / "slue"), "--output", str(output)]
    options += ["--train_text", str(data / "train" / "text")]
    slue.main([*options, "--set", "dev", "--max_count", "9"])
    assert set(output.read_text().split()) == {"SZABO", "O'NEILL"}  # and no date
    with pytest.raises(SystemExit, match="give a larger --max_count"):
        slue.main([*options, "--set", "dev", "--max_count", "0"])
    with pytest.raises(SystemExit, match="no set valid"):
        slue.main([*options, "--set", "valid"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("[['ORG', 0, 99]]", "ORG from 0 to 99: 7 characters"),
        ("[['ORG', 0]]", "cannot be read"),
        ("ORG", "cannot be read"),
    ],
)
def test_faulty_labels_are_named(load, tmp_path, labels, message):
    path = tmp_path / "slue-voxpopuli_dev.tsv"
    path.write_text(f"id\tnormalized_text\tnormalized_ner\nu1\tthe end\t{labels}\n")
    with pytest.raises(CorpusError, match=f"dev.tsv:2: u1: .*{message}"):
        load("voxpopuli", "slue").read_entities(path)


def test_blind_labels_are_told_from_missing_ones(load, tmp_path):
    labels_of = load("voxpopuli", "slue").labels_of
    with pytest.raises(CorpusError, match="which is no file"):
        labels_of(tmp_path, "test")
    (tmp_path / "slue-voxpopuli_test_blind.tsv").touch()
    with pytest.raises(CorpusError, match="only the blind test set, without labels"):
        labels_of(tmp_path, "test")


def test_options_of_the_script(run):
    (options,) = run("voxpopuli", "--voxpopuli", "/corpus", "--years=2019 2020")
    assert options["--local_data_opts"] == "--voxpopuli /corpus --years 2019 2020"
    assert options["--test_sets"] == "dev test"
    (options,) = run("voxpopuli", "--accented", "--stage", "3", "--biasing", "true")
    assert options["--local_data_opts"] == "--accented"
    assert options["--test_sets"] == "dev test test_accented"
    assert (options["--stage"], options["--biasing"]) == ("3", "true")
    assert run("voxpopuli", "--voxpopuli", "/a b", code=2) == []
