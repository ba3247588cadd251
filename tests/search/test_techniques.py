"""Techniques from a YAML file."""

import pytest

from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.unigram_boost import UnigramBoost


def test_what_is_not_said_is_as_by_default():
    for keys in (None, {}):
        assert Techniques.from_mapping(keys) == Techniques()


def test_a_technique_is_off_on_or_has_keys():
    for off in (None, False):
        assert Techniques.from_mapping({"boosting": off}).boosting is None
    for on in ({}, True):
        assert Techniques.from_mapping({"unigram": on}).unigram == UnigramBoost()
    found = Techniques.from_mapping({"boosting": {"weight": 2.0, "top": 3}})
    assert found.boosting == Boosting(weight=2.0, top=3)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bosting": {}}, "bosting; there are boosting, unigram"),
        ({"boosting": {"wieght": 1}}, "boosting has no key wieght; it has weight"),
        ({"boosting": {"weight": -1}}, "weight=-1"),
        ({"boosting": {"weight": "much"}}, "boosting: {'weight': 'much'}"),
        ({"boosting": 2.0}, "boosting=2.0: write null"),
        (["boosting"], "is no mapping"),
    ],
)
def test_what_is_wrong_is_named(keys, message):
    with pytest.raises(ValueError, match=message):
        Techniques.from_mapping(keys)
