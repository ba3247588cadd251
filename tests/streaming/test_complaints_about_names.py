"""What users complain about in lists of names, and what recognisers do here instead.

What concerns the search alone is in the tests of that room; here are models, files and
streams.
"""

import itertools
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from names_files import NAMES, OTHERS, WAYS, recognizer_of, streamed, write_both
from recogniser_files import FS, speech

from espnet_dynlook.biasing.entries import CatalogError
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.incremental import GreedyCTC


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the files of a model with a learned lookahead, and of an adapter."""
    return write_both(tmp_path_factory.mktemp("complaints"), "segment")


@pytest.fixture(scope="module", params=list(WAYS))
def recognizer(files, request):
    return recognizer_of(*files, request.param)


def test_an_empty_list_and_a_list_of_one(recognizer, tmp_path):
    """wenet#1022: an empty list crashes."""
    samples = speech(0)
    nothing = recognizer.transcribe(samples)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "blank.txt").write_text("\n \n# none\n", encoding="utf-8")
    (tmp_path / "one.txt").write_text("\nab\n\n", encoding="utf-8")
    for name in ("empty.txt", "blank.txt"):
        assert recognizer.transcribe(samples, tmp_path / name) == nothing
        assert streamed(recognizer, samples, tmp_path / name)[0].text == nothing.text
    one = recognizer.transcribe(samples, tmp_path / "one.txt")
    assert one == recognizer.transcribe(samples, ["ab"])
    assert one != nothing


def test_an_unknown_character_is_reported_and_never_halves_a_phrase(recognizer):
    """sherpa-onnx#2991, sherpa-onnx#1095."""
    samples, phrases = speech(1), ["ab", "ca", "cab ñb", "b€"]
    report = recognizer.catalog(phrases).report()
    assert [one.entry.text for one in report.entries] == ["ab", "ca"]
    assert [str(one) for one in report.unusable] == [
        "phrase 3: 'cab ñb': no token has 'ñ' (U+00F1)",
        "phrase 4: 'b€': no token has '€' (U+20AC)",
    ]
    good = recognizer.transcribe(samples, phrases[:2])
    assert recognizer.transcribe(samples, phrases) == good
    with pytest.raises(CatalogError, match=r"(?s)2 phrases .*U\+00F1.*U\+20AC"):
        recognizer.catalog(phrases, strict=True)


def test_names_are_never_ignored_silently(files, caplog):
    """sherpa-onnx#2307, FunASR#2713."""
    greedy = Recognizer.from_files(*files[0])
    message = "names have no effect on a greedy search .beam=1.: give a beam"
    for asked in (
        lambda: greedy.transcribe(speech(0), NAMES),
        lambda: greedy.stream(names=NAMES),
        lambda: greedy.streams(2, names=[None, NAMES]),
        lambda: greedy.stream().set_names(NAMES),
    ):
        with pytest.raises(ValueError, match=message):
            asked()
    off = Recognizer.from_files(*files[0], techniques={"boosting": None})
    with pytest.raises(ValueError, match="all techniques are off"):
        off.transcribe(speech(0), NAMES)
    weights = {"ab": 2.0}
    for asked in (
        lambda: greedy.transcribe(speech(0), weights),
        lambda: greedy.transcribe_all([speech(0)], weights),
    ):
        with pytest.raises(TypeError, match="is a mapping; give a list of"):
            asked()
    Recognizer.from_files(*files[0], beam=4).transcribe(speech(0), ["ab", "ñ"])
    assert "1 phrases of a list of names cannot be used" in caplog.text


def test_lists_change_with_each_request_and_in_the_middle_of_a_stream(recognizer):
    """sherpa-onnx#551, sherpa-onnx#1793."""
    samples = speech(2, 1.5)
    found = [recognizer.transcribe(samples, names) for names in (NAMES, OTHERS, None)]
    assert len({one.score for one in found}) == 3
    again = [recognizer.transcribe(samples, names) for names in (None, OTHERS, NAMES)]
    assert again == found[::-1]  # nothing of a request is left in the next one
    stream = recognizer.stream(names=NAMES)
    stream.push(samples[: len(samples) // 2])
    stream.set_names(OTHERS)
    mixed = stream.finish(samples[len(samples) // 2 :])
    assert mixed.score not in [one.score for one in found]


def test_biased_streams_equal_biased_files(recognizer):
    """NeMo PR#15327: biased streaming differs from biased offline."""
    samples = speech(3, 1.5)
    whole = recognizer.transcribe(samples, NAMES)
    for sizes in ((80,), (2000, 17)):
        result, _ = streamed(recognizer, samples, NAMES, sizes)
        assert result.text == whole.text
        assert result.score == pytest.approx(whole.score, abs=1e-2)
        assert result.lookahead_ms == whole.lookahead_ms


def test_half_a_name_leaves_nothing_in_the_text(files):
    """pyctcdecode#18: a huge weight leaves half a word in the text."""
    huge = {"boosting": {"weight": 20.0, "cap": 50.0}}
    recognizer = Recognizer.from_files(*files[0], beam=50, techniques=huge)
    names = ["abcabcabc", "cabcab ab", "bbbbbbbbb", "acacacacac"]
    for seed in range(5):
        samples = speech(seed, 0.5)
        for found in (
            recognizer.transcribe(samples, names),
            streamed(recognizer, samples, names)[0],
        ):
            said = any(f" {name} " in f" {found.text} " for name in names)
            assert said or found.text == recognizer.transcribe(samples).text


def test_a_short_phrase_after_a_longer_one_changes_nothing(recognizer):
    """wenet, icefall: it vanishes, or the order of the list changes scores."""
    samples, phrases = speech(4), ["cab", "ca", "c", "cab ca"]
    expected = recognizer.transcribe(samples, phrases)
    for order in itertools.islice(itertools.permutations(phrases), 1, None, 7):
        assert recognizer.transcribe(samples, order) == expected
    assert recognizer.transcribe(samples, phrases * 3) == expected


@pytest.fixture(scope="module")
def quiet(files, tmp_path_factory):
    """Return recognisers whose model is sure that nothing is said."""
    (config, model), _ = files
    state = torch.load(model)
    state["ctc.ctc_lo.bias"][0] += 30
    path = tmp_path_factory.mktemp("quiet") / "model.pth"
    torch.save(state, path)
    return Recognizer.from_files(config, path, beam=10)


def test_silence_and_noise_give_no_names(quiet):
    """OpenTranscribe#366: a name of the list, 200 times, where nobody speaks."""
    names = ["".join(one) for one in itertools.product("abc", repeat=9)][:10_000]
    generator = torch.Generator().manual_seed(0)
    for samples in (torch.zeros(2 * FS), torch.randn(2 * FS, generator=generator) / 9):
        assert quiet.transcribe(samples, names).text == ""
        assert streamed(quiet, samples, names, (800,))[0].text == ""
    assert len(quiet.catalog(names)) == 10_000


def test_greedy_stays_greedy_with_an_adapter(files):
    """An adapter alone needs no search: the first words do not wait for one."""
    recognizer = recognizer_of(*files, "adapter")
    assert recognizer.pipeline.search == GreedyCTC()
    result, partials = streamed(recognizer, speech(5), NAMES, (500,))
    assert any(one.text for one in partials)
    assert all(result.text.startswith(one.text) for one in partials)
