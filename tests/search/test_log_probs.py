"""What no log-probabilities are is refused by every search, in a line."""

import math

import pytest
import torch
from ctc_beam_cases import LETTERS, all_of, names, nearly, random_rows, search, seeded

from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.incremental import GreedyCTC, checked_log_probs
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.prefix_beam import PrefixBeam
from espnet_dynlook.search.techniques import Techniques

SEARCHES = {
    "greedy": GreedyCTC(0).step,
    "prefix": PrefixBeam.begin(4, 10, 0).step,
    "beam": search(4),
    "stream": search(4).begin().step,
    "names": lambda rows: BiasedDecoder(LETTERS, 4)(rows, names(["ann"])),
}


def broken(kind):
    rows = random_rows(seeded(0), 5, len(LETTERS), 2.0)
    if kind == "logits":
        return 4.0 + rows
    if kind == "a little too much":
        rows[3] += 0.2
    elif kind == "nothing":
        rows[3] = -math.inf
    elif kind == "inf":
        rows[3, 1] = math.inf
    elif kind == "nan":
        rows[3, 1] = math.nan
    return rows


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("logits", r"log_probs: probabilities of frame 0 sum to 54.* log_softmax"),
        ("a little too much", r"frame 3 sum to 1.22.* at most 1.1 .* not logits"),
        ("inf", r"frame 3 sum to inf .* largest is inf"),
        ("nothing", r"frame 3 sum to 0: every label is -inf; leave one possible"),
        ("nan", "log_probs has NaN"),
    ],
)
def test_what_is_wrong_is_named(name, kind, message):
    with pytest.raises(ValueError, match=message):
        SEARCHES[name](broken(kind))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_floating_type_is_searched_as_float64(dtype):
    rows = nearly("call ann", "call enn", sure=0.5, second=0.3).to(dtype)
    assert BiasedDecoder(LETTERS)(rows, names(["ann"]), nbest=1)[0].text == "call ann"
    for name in ("greedy", "prefix"):
        assert SEARCHES[name](rows).score == SEARCHES[name](rows.double()).score
    assert all_of(search()(rows)) == all_of(search()(rows.double()))
    # Rounding alone is no fault, even over a large vocabulary.
    even = torch.full((3, 5000), -math.log(5000), dtype=torch.double).to(dtype)
    for one in (even, even.float()):
        assert checked_log_probs(one).dtype == torch.double
    with pytest.raises(ValueError, match="sum to"):
        checked_log_probs(even + 1)


def test_less_than_everything_is_allowed():
    rows = random_rows(seeded(0), 5, len(LETTERS), 2.0)
    rows[:, 4] = -math.inf
    assert math.isfinite(search()(rows)[0].score)
    assert search()(torch.zeros(0, len(LETTERS)))[0].text == ""
    with pytest.raises(ValueError, match=r"numbers of torch.int64"):
        search()(torch.zeros(3, len(LETTERS), dtype=torch.long))


def test_posteriors_of_phones_are_named():
    one = BiasedDecoder(
        LETTERS,
        techniques=Techniques(rescoring=PhoneticRescoring()),
        phone_list=LETTERS,
    )
    rows = nearly("ann", "enn")
    with pytest.raises(ValueError, match="phone_log_probs: probabilities of frame 0"):
        one(rows, names(["ann"]), 9 + rows)
