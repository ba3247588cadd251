"""The decoder with all techniques: what it does to names, and to everything else."""

from ctc_beam_cases import LETTERS, names, nearly, random_rows, seeded

from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.techniques import Techniques


def test_techniques_of_the_beam_are_those_of_the_search():
    rows = nearly("call kathleen", "call cathleen")
    decoder = BiasedDecoder(LETTERS, 20)
    assert not decoder.needs_phones
    assert decoder(rows, nbest=1)[0].text == "call cathleen"
    assert decoder(rows, names(["kathleen"]), nbest=1)[0].text == "call kathleen"
    off = BiasedDecoder(LETTERS, 20, techniques=Techniques(boosting=None))
    assert off(rows, names(["kathleen"]), nbest=1)[0].text == "call cathleen"
    state = decoder.begin(names(["kathleen"])).step(rows)
    assert decoder.search.results(state, 1)[0].text == "call kathleen"


def test_an_empty_catalog_is_no_catalog():
    decoder = BiasedDecoder(LETTERS, 10)
    for seed in range(5):
        rows = random_rows(seeded(seed), 30, len(LETTERS), 3.0)
        plain = CTCBeamSearch(LETTERS, 10)(rows)
        assert [one.text for one in decoder(rows)] == [one.text for one in plain]
        assert decoder(rows, names([])) == decoder(rows)
