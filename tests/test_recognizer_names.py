"""Names in the recogniser: by the search, by an adapter, by both; streams and files."""

import logging
import random

import pytest
import torch
from names_files import (
    KINDS,
    NAMES,
    OTHERS,
    WAYS,
    recognizer_of,
    streamed,
    write_both,
)
from recogniser_files import speech

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.pronunciations import Pronouncer
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.recognizer import Endpoint, Recognizer
from espnet_dynlook.recognizer import lists as recognizer_lists
from espnet_dynlook.recognizer.lists import lists_for
from espnet_dynlook.search.incremental import GreedyCTC

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the files of a model of chunks, and the options of an adapter on it."""
    return write_both(tmp_path_factory.mktemp("named"), "chunked")


@pytest.fixture(scope="module", params=list(WAYS))
def recognizer(files, request):
    return recognizer_of(*files, request.param)


@pytest.fixture(scope="module")
def joint(files):
    return recognizer_of(*files, "both")


def same(one, other, greedy=False):
    """Check that results differ by nothing but the rounding of numbers.

    Of two ways into a labelling that are as good as each other, rounding chooses one:
    in a beam search, words may differ in their times.
    """
    assert one.text == other.text
    assert one.lookahead_ms == other.lookahead_ms
    assert one.score == pytest.approx(other.score, abs=1e-2)
    if greedy:
        pairs = zip(one.words, other.words, strict=True)
        assert all(a.start == b.start and a.end == b.end for a, b in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_with_names_equals_offline(kind, tmp_path):
    files, adapter = write_both(tmp_path, kind)
    recognizer = recognizer_of(
        files, adapter, "adapter" if kind == "transducer" else "both"
    )
    changed = 0
    for seed in range(2):
        samples = speech(seed, 0.8)
        whole = recognizer.transcribe(samples, NAMES)
        changed += whole.score != recognizer.transcribe(samples).score
        for sizes in ((40, 700, 333), (10**6,)):
            result, partials = streamed(recognizer, samples, NAMES, sizes)
            same(result, whole)
            before = ""
            for partial in partials:
                assert partial.stable_text.startswith(before)
                before = partial.stable_text
            assert result.text.startswith(before)
    assert changed == 2


def test_each_way_streams(recognizer):
    for seed in range(3):
        samples = speech(seed, 1)
        whole = recognizer.transcribe(samples, NAMES)
        assert whole.text != recognizer.transcribe(samples).text
        greedy = recognizer.pipeline.search == GreedyCTC()
        same(streamed(recognizer, samples, NAMES, seed=seed)[0], whole, greedy)


def test_without_entries_nothing_changes_to_the_last_bit(recognizer, files, tmp_path):
    blank = tmp_path / "names.txt"
    blank.write_text("\n# names\n   \n\n", encoding="utf-8")
    samples = speech(4)
    expected = recognizer.transcribe(samples)
    empty = ([], (), ["", "  "], blank, str(blank), ["ß", "日本"], iter([]))
    for names in (*empty, recognizer.catalog([])):
        assert recognizer.transcribe(samples, names) == expected
    assert streamed(recognizer, samples, [])[0] == streamed(recognizer, samples)[0]
    # Of a batch in which the neighbours have names, too.
    audio, lists = [samples] * 3, [NAMES, None, OTHERS]
    alone = recognizer.transcribe_all(audio)[1]
    assert recognizer.transcribe_all(audio, lists)[1] == alone


def test_an_adapter_that_is_given_no_names_changes_nothing(files):
    (train, model), adapter = files
    for beam in (1, 6):
        plain = Recognizer.from_files(train, model, beam=beam)
        adapted = Recognizer.from_files(train, model, beam=beam, **adapter)
        assert adapted.transcribe(speech(5)) == plain.transcribe(speech(5))
    off = Recognizer.from_files(train, model, adapter_scale=0.0, **adapter)
    with pytest.raises(ValueError, match="adapter_scale=0 silences the adapter"):
        off.transcribe(speech(5), NAMES)
    options = {"beam": 6, "techniques": {"boosting": {"weight": 2.0}}}
    off = Recognizer.from_files(train, model, adapter_scale=0.0, **adapter, **options)
    plain = Recognizer.from_files(train, model, **options)
    for names in (None, NAMES):
        expected = plain.transcribe(speech(5), names)
        assert off.transcribe(speech(5), names) == expected


def test_lists_of_their_own_in_a_batch_equal_each_alone(recognizer):
    audio = [speech(seed, 0.4 + seed / 4) for seed in range(5)]
    lists = [None, NAMES, OTHERS, [], recognizer.catalog(["bca"])]
    together = recognizer.transcribe_all(audio, lists)
    for one, names, found in zip(audio, lists, together, strict=True):
        same(found, recognizer.transcribe(one, names))
    for one, found in zip(audio, recognizer.transcribe_all(audio, NAMES), strict=True):
        same(found, recognizer.transcribe(one, NAMES))
    streams = recognizer.streams(5, names=lists)
    streams.push([one[:2000] for one in audio])
    for one, found in zip(
        streams.finish([one[2000:] for one in audio]), together, strict=True
    ):
        same(one, found)


def test_order_and_duplicates_never_matter(recognizer):
    samples = speech(2)
    expected = recognizer.transcribe(samples, NAMES)
    draw = random.Random(0)
    for _ in range(3):
        mixed = draw.sample([*NAMES, *NAMES, "a", ("ca", 0.5)], len(NAMES) * 2 + 2)
        assert recognizer.transcribe(samples, mixed) == expected


def test_an_adapter_takes_another_list_from_the_next_frame_on(files):
    """Frames before are those under the old list, frames behind under the new one."""
    recognizer = recognizer_of(*files, "adapter")
    pipeline, names_of = recognizer.pipeline, recognizer.names_of
    samples, found = speech(6, 1), []
    for first, then in ((NAMES, NAMES), (NAMES, OTHERS), (OTHERS, OTHERS)):
        state = pipeline.begin(1, names=[names_of(first)])
        state, before = pipeline.encode(state, [samples[:4000]], [False])
        state = pipeline.renamed(state, 0, names_of(then))
        state, behind = pipeline.encode(state, [samples[4000:]], [True])
        found.append((before.frames[0], behind.frames[0]))
    old, mixed, new = found
    assert torch.equal(mixed[0], old[0]) and torch.equal(mixed[1], new[1])
    assert len(old[0]) > 5 and not torch.allclose(old[0], new[0])
    assert len(new[1]) > 5 and not torch.allclose(old[1], new[1])


def test_a_list_may_be_replaced_in_the_middle_of_a_stream(recognizer):
    samples = speech(7, 2)
    expected, partials = streamed(recognizer, samples, NAMES, (1000,))
    stream = recognizer.stream(names=NAMES)
    for n in range(8):
        stream.push(samples[1000 * n : 1000 * (n + 1)])
        stream.set_names([NAMES[-1], *NAMES])  # the same list: as if nothing had been
    same(stream.finish(samples[8000:]), expected)

    stream = recognizer.stream(names=NAMES)
    stable = ""
    for n in range(8):
        stable = stream.push(samples[1000 * n : 1000 * (n + 1)]).stable_text
        assert stable == partials[n].stable_text
    stream.set_names(OTHERS)
    now = stream.push(samples[:0])
    assert now.stable_text.startswith(stable)
    last = stream.finish(samples[8000:])
    assert last.text.startswith(stable)

    before = recognizer.stream(names=NAMES)  # before anything has been heard
    before.set_names(OTHERS)
    same(before.finish(samples), recognizer.transcribe(samples, OTHERS))
    before.reset()  # keeps its list
    same(before.finish(samples), recognizer.transcribe(samples, OTHERS))


def test_after_an_endpoint_the_new_list_is_all_there_is(recognizer):
    samples, endpoint = speech(8, 3), Endpoint(longest_ms=400)
    sizes = (1000,)
    new, partials = streamed(recognizer, samples, OTHERS, sizes, endpoint=endpoint)
    expected = [*(one for p in partials for one in p.ended), *new.ended, new]
    stream, found, switched = recognizer.stream(endpoint, NAMES), [], 0
    for at in range(0, len(samples), 1000):
        found += stream.push(samples[at : at + 1000]).ended
        if at == 9000:
            switched = len(found) + 1  # the one that is under way has something of both
            stream.set_names(OTHERS)
    last = stream.finish()
    found += [*last.ended, last]
    assert len(found) == len(expected) > switched + 3
    for one, other in zip(found[switched:], expected[switched:], strict=True):
        same(one, other)
    scores = [[one.score for one in some[: switched - 1]] for some in (found, expected)]
    assert scores[0] != scores[1]


def test_endpoints_with_names_do_not_depend_on_packets(recognizer):
    samples, endpoint = speech(9, 2), Endpoint(longest_ms=300)
    found = []
    for sizes in ((80, 900), (3000,)):
        last, partials = streamed(recognizer, samples, NAMES, sizes, endpoint=endpoint)
        ended = [*(one for p in partials for one in p.ended), *last.ended, last]
        found.append([one.text for one in ended])
    assert found[0] == found[1] and len(found[0]) > 3


def test_the_same_list_again_costs_nothing(files, monkeypatch, tmp_path, caplog):
    recognizer, made = recognizer_of(*files, "both"), []
    real = recognizer_lists.encode_catalog

    def counted(*args):
        made.append(args)
        return real(*args)

    monkeypatch.setattr(recognizer_lists, "encode_catalog", counted)
    path = tmp_path / "names.txt"
    path.write_text("ab\nc ß\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            recognizer.transcribe(speech(0, 0.3), list(NAMES))
            recognizer.transcribe_all([speech(0, 0.3)] * 2, path)
    assert len(made) == 2
    warned = [one.getMessage() for one in caplog.records if "phrases" in one.message]
    assert len(warned) == 1
    assert f"{path}:2: 'c ß': no token has 'ß' (U+00DF)" in warned[0]
    path.write_text("ab\nca\n", encoding="utf-8")  # a file that changes is read again
    recognizer.transcribe(speech(0, 0.3), path)
    assert len(made) == 3
    for n in range(recognizer_lists.KEPT + 1):  # and few are kept
        recognizer.names_of([f"{'abc'[n % 3]} {'abc' * (n + 1)}"])
    assert len(recognizer.names_of._kept) == recognizer_lists.KEPT


def test_a_list_that_is_said_in_another_way_is_another_one(files):
    """Equal catalogs of two pronouncers, or that lost other phrases, are not mixed."""
    recognizer = recognizer_of(*files, "search")
    pronouncers = [Pronouncer({"ab": [said]}) for said in ("AE B", "B AE")]
    own = [recognizer.catalog(["ab"], pronouncer=one) for one in pronouncers]
    assert own[0] == own[1]
    found = [recognizer.names_of(one) for one in own]
    assert [one.catalog.pronouncer for one in found] == pronouncers
    assert recognizer.names_of(own[0]) is found[0]
    # For the tokens of another model both are ["ab"] alone, not so for these.
    letters = ["<blank>", "<unk>", *"ab", "<space>"]
    other = [Catalog(some, CharTokenizer(letters)) for some in (["ab"], ["ab", "cab"])]
    assert other[0] == other[1]
    assert [len(recognizer.names_of(one).catalog) for one in other] == [1, 2]


def test_long_lists_go_through_the_adapter_in_pieces(joint, monkeypatch):
    samples = speech(3, 1.5)
    expected = joint.transcribe(samples, NAMES)
    monkeypatch.setattr("espnet_dynlook.streaming.names.ROOM", 40)
    same(joint.transcribe(samples, NAMES), expected)


def test_lists_for_utterances_are_told_from_phrases():
    assert lists_for(["a", ("b", 2.0)], 2) == [["a", ("b", 2.0)]] * 2
    assert lists_for([["a"], None], 2) == [["a"], None]
    assert lists_for(None, 2) == [None, None]
    assert lists_for("names.txt", 1) == ["names.txt"]
    assert lists_for(iter("ab"), 2) == [["a", "b"]] * 2
    with pytest.raises(ValueError, match="2 lists of names for 3 utterances"):
        lists_for([["a"], ["b"]], 3)
    with pytest.raises(ValueError, match=r"names\[1\]='b' is a phrase, and others"):
        lists_for([["a"], "b"], 2)


def test_a_catalog_of_another_model_is_written_in_these_tokens(joint):
    tokens = ["<blank>", "<unk>", *"cabd", "<space>"]
    other = Catalog([*NAMES, "dad"], CharTokenizer(tokens))
    samples = torch.as_tensor(speech(1))
    assert joint.transcribe(samples, other) == joint.transcribe(samples, NAMES)
