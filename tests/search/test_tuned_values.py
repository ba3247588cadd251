"""What the tuner of techniques takes: values of its grid, and lists."""

import pytest

from espnet_dynlook.biasing.lists import BiasingList
from espnet_dynlook.config import ConfigError
from espnet_dynlook.search.techniques import Techniques


def test_values_of_a_grid_are_what_the_key_wants():
    from espnet_dynlook.recipe.held_out import techniques_of
    from espnet_dynlook.recipe.tune_names import grid_of

    class Plain:
        adapted, model = None, None

    for value in ("2.5", "inf", "nan"):
        with pytest.raises(ConfigError, match=rf"--grid variants=2,{value}: "):
            grid_of([f"variants=2,{value}"], Plain, None)
    assert grid_of(["variants=2,4"], Plain, None)["variants"] == [2, 4]
    assert grid_of(["boosting=2.5"], Plain, None)["boosting"] == [2.5]
    # Weights are tuned in the order given.
    assert list(grid_of(["variants=2"], Plain, None)) == ["variants", "boosting"]
    assert techniques_of({"variants": 2.0}, Techniques()).variants.number == 2
    with pytest.raises(ValueError, match=r"variants=2.5: number of variants is a who"):
        techniques_of({"variants": 2.5}, Techniques())


def test_a_technique_may_have_two_numbers_that_are_tuned():
    from espnet_dynlook.recipe.held_out import techniques_of
    from espnet_dynlook.search.pronunciation_lookup import PronunciationLookup

    start = Techniques(lookup=PronunciationLookup(span=2))
    found = techniques_of({"lookup": 2.0, "distance": 0.5}, start)
    assert found.lookup == PronunciationLookup(weight=2.0, span=2, distance=0.5)
    assert techniques_of({"lookup": 2.0}, start).lookup.distance == 0
    assert techniques_of({"lookup": 0.0, "distance": 0.5}, start).lookup is None


def test_lists_have_something_that_is_said(monkeypatch):
    from espnet_dynlook.recipe import tune_names

    class Trained:
        def read(self, data):
            return {"u": None}

    def read(true):
        one = BiasingList("call bob", true, ("bob", "ann"))
        nothing = BiasingList("call bob", (), ("ann",))
        return lambda *args: {"with.tsv": {"u": one}, "without.tsv": {"u": nothing}}

    monkeypatch.setattr(tune_names, "load_model", lambda args: (Trained(), None))
    monkeypatch.setattr(tune_names, "HeldOut", lambda *given: given)
    options = "--data d --lists with.tsv --without without.tsv --output o".split()
    options += "--asr_train_config c --asr_model_file m".split()
    args = tune_names.get_parser().parse_args(options)
    monkeypatch.setattr(tune_names, "read_model_lists", read(("bob",)))
    assert tune_names.read_held_out(args)[2]["u"].true == ("bob",)
    monkeypatch.setattr(tune_names, "read_model_lists", read(()))
    message = r"--lists with.tsv: no list has anything that is said"
    with pytest.raises(ConfigError, match=message):
        tune_names.read_held_out(args)
