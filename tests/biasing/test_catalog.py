"""A list of names in a model's tokens: what goes in, what is left out, and why."""

import itertools
import pickle
import random
import re
import unicodedata

import pytest
from biasing_tokens import CASED, LOWER, UPPER, chars, pieces

from espnet_dynlook.biasing import Catalog, CatalogError
from espnet_dynlook.biasing.spelling import is_special
from espnet_dynlook.biasing.tokenizers import CharTokenizer, build_tokenizer

NAMES = ["New York", "Steels", "Philip Steels", "O'Brien", "York"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pieces")


@pytest.fixture(params=["char", "unigram", "bpe"])
def tokenizer(request, folder):
    return chars() if request.param == "char" else pieces(folder, request.param)


def texts(catalog):
    return [entry.text for entry in catalog]


def test_entries_are_spelled_as_the_tokens_are(folder):
    for token_list, expected in (
        (UPPER, "O'BRIEN"),
        (LOWER, "o'brien"),
        (CASED, "O'Brien"),
    ):
        catalog = Catalog(["O’Brien"], chars(token_list))
        assert texts(catalog) == [expected]
        assert catalog.entries[0].segmentations == (tuple(expected),)
    assert Catalog([], chars(CASED)).case == "cased"


def test_order_and_duplicates_of_the_list_do_not_matter(tokenizer):
    rng = random.Random(5)
    phrases = [(name, rng.choice([0.5, 1.0, 2.0])) for name in NAMES]
    first = Catalog(phrases, tokenizer)
    for _ in range(20):
        again = phrases + rng.choices([(n.upper(), 0.5) for n in NAMES], k=3)
        rng.shuffle(again)
        other = Catalog(again, tokenizer)
        assert other.entries == first.entries
        assert other.fingerprint == first.fingerprint and other == first


def test_duplicates_have_the_largest_weight_and_all_pronunciations():
    one = ("Bob", 2, "B AA1 B")
    catalog = Catalog([one, "BOB", ("bob", 0.5, ["B AO B", "B AA1 B"])], chars())
    assert len(catalog) == 1
    assert catalog.entries[0].weight == 2
    assert catalog.entries[0].given == (("B", "AA1", "B"), ("B", "AO", "B"))
    assert catalog.pronunciations(0) == (("B", "AA", "B"), ("B", "AO", "B"))


def test_given_pronunciations_keep_their_order():
    ways = ["B AO B", "B AA B", "B AH B"]
    said = tuple(tuple(way.split()) for way in ways)
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        one = ("Bob", 1, [ways[n] for n in order])
        for phrases in ([one], [one, one], ["bob", one]):
            catalog = Catalog(phrases, chars())
            assert catalog.entries[0].given == tuple(said[n] for n in order)
            assert catalog.pronunciations(0) == catalog.entries[0].given
    several = [("Bob", 1, ways[:2]), ("bob", 1, ways[1:]), ("BOB", 1, ways[2])]
    found = {Catalog(p, chars()).entries for p in itertools.permutations(several)}
    [[entry]] = found
    assert entry.given == (said[1], said[2], said[0])


def test_every_segmentation_writes_the_phrase_in_tokens_of_the_model(tokenizer):
    catalog = Catalog(NAMES, tokenizer, segmentations=6)
    for entry in catalog:
        assert entry.tokens == tuple(tokenizer.text2tokens(entry.text))
        assert len(set(entry.segmentations)) == len(entry.segmentations) <= 6
        for tokens in entry.segmentations:
            assert tokenizer.tokens2text(tokens) == entry.text
            assert set(tokens) <= set(tokenizer.token_list)
    many = max(len(entry.segmentations) for entry in catalog)
    assert many == (1 if isinstance(tokenizer, CharTokenizer) else 6)


def test_number_of_segmentations_is_bounded(folder):
    everything = Catalog(NAMES, pieces(folder), segmentations=100)
    for number in (1, 2, 5):
        catalog = Catalog(NAMES, pieces(folder), segmentations=number)
        assert [entry.segmentations for entry in catalog] == [
            entry.segmentations[:number] for entry in everything
        ]
    with pytest.raises(ValueError, match="segmentations=0 must be 1 or more"):
        Catalog([], chars(), segmentations=0)


@pytest.mark.parametrize("phrases", [[], ["", "  ", "\t"], (name for name in ())])
def test_empty_catalog_is_valid(tokenizer, phrases):
    catalog = Catalog(phrases, tokenizer, strict=True)
    assert len(catalog) == 0 and not catalog and catalog.unusable == ()
    assert catalog.token_ids() == [] and catalog.all_pronunciations() == []
    assert "0 entries" in str(catalog.report())
    assert catalog.fingerprint == Catalog([], tokenizer).fingerprint


def test_unknown_characters_are_named_and_the_phrase_is_left_out_whole(tokenizer):
    catalog = Catalog(["Steels", "Steels 日本", "AT&T", "Agent 7"], tokenizer)
    assert texts(catalog) == ["STEELS"]
    assert [one.place for one in catalog.unusable] == [
        *("phrase 2", "phrase 3", "phrase 4")
    ]
    reasons = [one.reason for one in catalog.unusable]
    assert "'日' (U+65E5), '本' (U+672C)" in reasons[0]
    assert "'&' (U+0026)" in reasons[1] and "'7' (U+0037)" in reasons[2]
    shown = str(catalog.report())
    assert "phrase 2: 'Steels 日本': no token has '日'" in shown


def test_a_phrase_loses_the_marks_that_no_token_has_and_says_so():
    tokens = [token for token in UPPER if token != "'"]
    catalog = Catalog(["O'Neil", "Mr. Smith", "Bob,", "?!", "'", "R&B"], chars(tokens))
    assert texts(catalog) == ["BOB", "MR SMITH", "ONEIL"]
    assert [(one.written, one.reason) for one in catalog.unusable] == [
        ("?!", "nothing in it can be recognised"),
        ("'", "nothing in it can be recognised"),
        ("R&B", "no token has '&' (U+0026)"),
    ]
    lines = str(catalog.report()).splitlines()
    assert lines[-1] == (
        "phrase 1: \"O'Neil\" -> 'ONEIL': O N E I L; without ', which no token has"
    )
    assert Catalog(["Mr. Smith", "mr smith"], chars(tokens)).entries[0].text == (
        "MR SMITH"
    )
    with pytest.raises(CatalogError, match="nothing in it"):
        Catalog(["..."], chars(tokens), strict=True)


def test_apostrophes_alone_are_no_entry():
    catalog = Catalog(["'", "’ '", "O'Neil"], chars())
    assert texts(catalog) == ["O'NEIL"] and len(catalog.unusable) == 2
    assert catalog.report().entries[0].left_out == ()


def test_many_weights_are_said_to_be_few():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    some = [
        (a + b, 1 + n / 9) for n, (a, b) in enumerate(itertools.product(letters, "X"))
    ]
    shown = str(Catalog(some, chars()).report()).splitlines()[1]
    assert re.match(r"26 different weights are searched as \d+, each at most ", shown)
    few = Catalog(some[:4], chars()).report()
    assert few.weights == "" and "different weights" not in str(few)


def test_strict_mode_names_every_phrase_that_cannot_be_used():
    with pytest.raises(
        CatalogError, match=r"2 phrases.*\n.*日(.|\n)*phrase 3"
    ) as raised:
        Catalog(["日本", "Steels", ("York", -1)], chars(), strict=True)
    assert [fault.number for fault in raised.value.faults] == [1, 3]
    Catalog(NAMES, chars(), strict=True)


@pytest.mark.parametrize(
    "phrase, reason",
    [
        (("York", "heavy"), "the weight 'heavy' is no number"),
        (("York", float("nan")), "must be 0 or more, and finite"),
        (("York", 1e17), "the weight 1e+17 must be at most 1e+06"),
        (("York", 10**400), "is no number"),
        (("York", 1, "Y AO R KK"), "'KK' in the pronunciation"),
        (("York", 1, "", 3), "not a text or"),
        (7, "not a text or"),
        (("York", 1, [""]), "the pronunciation is empty"),
        (("York", 1, 5), "the pronunciation 5 is no text of phones"),
        (("York", 1, ["Y AO R K", 5]), "the pronunciation 5 is no text of phones"),
    ],
)
def test_faulty_phrases_say_what_is_wrong(phrase, reason):
    catalog = Catalog([phrase, "Steels"], chars())
    assert texts(catalog) == ["STEELS"]
    assert reason in catalog.unusable[0].reason


def test_what_is_no_list_is_refused():
    with pytest.raises(TypeError, match="is one text; give a list"):
        Catalog("York", chars())
    with pytest.raises(TypeError, match=r"is a mapping; give a list of \(text, weight"):
        Catalog({"York": 2.0}, chars())
    for nothing in (None, 3):
        with pytest.raises(TypeError, match=f"phrases={nothing} is no list; give a"):
            Catalog(nothing, chars())
    with pytest.raises(TypeError, match="no text2tokens"):
        Catalog(["York"], UPPER)


def test_file_has_comments_blank_lines_weights_and_pronunciations(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(
        "\ufeff# people\r\n\r\nSiobhan\t2.5\tSH IH V AO N\tSH AH V AO1 N\r\n"
        "  # places\nNew   York\nNice\t\tN IY S\nBad\tmuch\n\t3\nC\u0327a\n".encode()
        + b"\xff\xfe\n"
    )
    catalog = Catalog.from_file(path, chars())
    assert texts(catalog) == ["CA", "NEW YORK", "NICE", "SIOBHAN"]
    assert [entry.weight for entry in catalog] == [1, 1, 1, 2.5]
    assert catalog.pronunciations(2) == (("N", "IY", "S"),)
    assert [one.place for one in catalog.unusable] == [
        f"{path}:{number}" for number in (7, 8, 10)
    ]
    assert "not UTF-8 (byte 0xff)" in catalog.unusable[2].reason
    with pytest.raises(CatalogError, match=r"names\.txt:7"):
        Catalog.from_file(path, chars(), strict=True)


def test_file_and_list_make_the_same_catalog(tmp_path, tokenizer):
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in reversed(NAMES)))
    assert Catalog.from_file(path, tokenizer) == Catalog(NAMES, tokenizer)


def test_report_says_what_each_phrase_became(folder):
    catalog = Catalog([("Yórk", 2), "york"], pieces(folder), segmentations=2)
    report = catalog.report()
    assert report.entries[0].places == ("phrase 1", "phrase 2")
    assert report.entries[0].written == ("Yórk", "york")
    assert report.entries[0].entry is catalog.entries[0]
    own, other = catalog.entries[0].segmentations
    line = str(report).splitlines()[1]
    assert line == (
        "phrase 1, phrase 2: 'Yórk' = 'york' -> 'YORK', weight 2: "
        f"{' '.join(own)} | {' '.join(other)}"
    )
    assert report.as_dict()["entries"][0]["entry"]["text"] == "YORK"


def test_catalog_without_token_list_takes_the_one_of_the_model():
    class Letters:
        def text2tokens(self, line):
            return ["<space>" if c == " " else c for c in line]

        def tokens2text(self, tokens):
            return "".join(" " if t == "<space>" else t for t in tokens)

    catalog = Catalog(["O’Brien", "日本"], Letters())
    assert texts(catalog) == ["O'Brien", "日本"] and catalog.token_list is None
    with pytest.raises(ValueError, match="use for_tokens"):
        catalog.token_ids()
    bound = catalog.for_tokens(LOWER)
    assert texts(bound) == ["o'brien"] and len(bound.unusable) == 1
    assert bound.for_tokens(LOWER) is bound is catalog.for_tokens(LOWER)
    assert texts(catalog.for_tokens(UPPER)) == ["O'BRIEN"]
    assert bound.token_ids() == [[[LOWER.index(c) for c in "o'brien"]]]


def test_ids_of_another_model_are_an_error():
    catalog = Catalog(["York"], chars())
    with pytest.raises(ValueError, match=r"'Y' of the catalog is not in the token"):
        catalog.token_ids(LOWER)


def test_fingerprint_tells_catalogs_apart():
    catalogs = [
        Catalog(["York"], chars()),
        Catalog([("York", 2)], chars()),
        Catalog(["Yorke"], chars()),
        Catalog([("York", 1, "Y AO R K")], chars()),
        Catalog(["York"], chars(LOWER)),
        Catalog(["York"], chars(UPPER[::-1])),
        Catalog([], chars()),
    ]
    assert len({catalog.fingerprint for catalog in catalogs}) == len(catalogs)


def test_catalog_survives_pickling(tokenizer):
    catalog = Catalog([*NAMES, "日本"], tokenizer)
    again = pickle.loads(pickle.dumps(catalog))
    assert again == catalog and again.unusable == catalog.unusable
    assert again.for_tokens(UPPER).token_list == tuple(UPPER)


def test_random_unicode_is_used_whole_or_reported(tokenizer):
    rng = random.Random(11)
    ranges = [(32, 126), (160, 591), (768, 879), (0x2000, 0x206F), (0x4E00, 0x4E20)]
    for _ in range(300):
        points = [rng.randint(*rng.choice(ranges)) for _ in range(rng.randint(1, 8))]
        phrase = "".join(map(chr, points))
        catalog = Catalog([phrase], tokenizer, segmentations=3)
        blank = not phrase.strip()
        assert len(catalog) + len(catalog.unusable) == (0 if blank else 1), points
        for entry in catalog:
            assert not any(map(is_special, set(entry.tokens) - {"<space>"}))
            assert tokenizer.tokens2text(entry.tokens) == entry.text
            # Every letter of the phrase has come through, as one or more letters.
            letters = [
                c
                for c in unicodedata.normalize("NFKD", phrase)
                if unicodedata.category(c)[0] == "L" and c not in "ʹʻʼʽˈ"
            ]
            assert sum(c.isalpha() for c in entry.text) >= len(letters)


def test_published_names_load_and_say_what_they_lack(dynlook_data):
    path = dynlook_data / "lists/earnings21_distractor_list.txt"
    catalog = Catalog.from_file(path, chars())
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    used = sum(len(one.places) for one in catalog.report().entries)
    assert used + len(catalog.unusable) == len(lines)
    assert len(catalog) > 1500
    assert all("U+" in one.reason for one in catalog.unusable)


def test_token_types_that_cannot_be_used_are_named(folder):
    with pytest.raises(ValueError, match="token_type=phn: a catalog of names"):
        build_tokenizer(UPPER, "phn")
    with pytest.raises(ValueError, match="give bpemodel"):
        build_tokenizer(UPPER, "bpe")
    with pytest.raises(ValueError, match=r"none\.model is no file"):
        build_tokenizer(UPPER, "bpe", folder / "none.model")


def test_words_are_used_if_they_are_tokens():
    token_list = ["<blank>", "<unk>", "new", "york", "<sos/eos>"]
    catalog = Catalog(["New York", "New Jersey"], build_tokenizer(token_list, "word"))
    assert catalog.entries[0].segmentations == (("new", "york"),)
    assert "no token has 'j'" in catalog.unusable[0].reason
    only = Catalog(["Nerkow"], build_tokenizer(token_list, "word"))
    assert only.unusable[0].reason == "no token is 'nerkow'"


@pytest.mark.host
@pytest.mark.parametrize("token_type", ["char", "bpe", "word"])
def test_tokenizers_of_the_host_make_the_same_catalog(folder, token_type):
    from espnet_dynlook.compat import espnet_imports

    with espnet_imports():
        from espnet2.text.build_tokenizer import build_tokenizer as espnet_tokenizer

    model = pieces(folder)
    token_list = {
        "char": UPPER,
        "bpe": list(model.token_list),
        "word": ["<unk>", "NEW", "YORK", "STEELS"],
    }[token_type]
    bpemodel = model.bpemodel if token_type == "bpe" else None
    host = espnet_tokenizer(token_type, bpemodel=bpemodel)
    ours = build_tokenizer(token_list, token_type, bpemodel)
    expected = Catalog(NAMES, ours)
    assert len(expected) >= 2
    assert Catalog(NAMES, host, token_list).entries == expected.entries
    assert expected == Catalog(NAMES, host, token_list)
    if token_type == "bpe":  # ESPnet's knows its pieces
        assert Catalog(NAMES, host).entries == expected.entries
