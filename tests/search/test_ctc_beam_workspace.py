"""The arrays that searches share are theirs for one step, and grow with what they need.

Every search of a thread works in the same ones, if they have its sizes.
"""

import threading

import pytest
from ctc_beam_cases import (
    LETTERS,
    SMALL,
    Asked,
    all_of,
    names,
    random_rows,
    seeded,
    write_arpa,
)

from espnet_dynlook.search import ctc_beam_state, ctc_beam_workspace
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ctc_beam_scratch import scratch_for
from espnet_dynlook.search.ctc_beam_workspace import Workspace
from espnet_dynlook.search.lattice import empty_lattice, widened
from espnet_dynlook.search.ngram import NgramLM

PHRASES = ["ann", "annabel", "ann lee", "lee", ("bob", 2.0)]
BOOSTING = Boosting(confidence=0.0)


def rows_of(seed, token_list, frames=40):
    rows = random_rows(seeded(seed), frames, len(token_list), 3.0)
    for letter in ("a", "n", "b", "l", "e", "o", "<space>"):
        if letter in token_list:
            rows[:, token_list.index(letter)] += 2.5
    return rows.log_softmax(1)


@pytest.fixture
def searches(tmp_path):
    """Return (search, catalog, posteriors): of one size, and of several."""
    model = write_arpa(tmp_path / "lm.arpa", LETTERS[2:], seeded(0), 2)
    tokens = NgramLM(model, 0.3, 0.5, -1.0, "token")
    sizes = [(8, LETTERS, None), (8, LETTERS, None), (8, LETTERS, tokens)]
    sizes += [(12, LETTERS, None), (8, SMALL["char"], None), (8, SMALL["word"], None)]
    found = []
    for number, (beam, token_list, lm) in enumerate(sizes):
        search = CTCBeamSearch(token_list, beam, lm, boosting=BOOSTING)
        catalog = names(PHRASES) if token_list is LETTERS and number else None
        found.append((search, catalog, rows_of(number, list(token_list))))
    return found


def test_searches_that_take_turns_are_each_as_alone(searches):
    wholes = [all_of(search(rows, catalog)) for search, catalog, rows in searches]
    assert len({repr(whole) for whole in wholes}) == len(searches)
    draw = seeded(1)
    states = [search.begin(catalog) for search, catalog, _ in searches]
    frames = len(searches[0][2])
    while any(state.frames < frames for state in states):
        one = draw.randrange(len(states))
        at = states[one].frames
        states[one] = states[one].step(searches[one][2][at : at + draw.randint(0, 9)])
    for state, (search, _, _), whole in zip(states, searches, wholes, strict=True):
        assert all_of(search.results(state)) == whole


def test_searches_of_threads_are_each_as_alone(searches):
    wholes = [all_of(search(rows, catalog)) for search, catalog, rows in searches]
    found = [[] for _ in searches]
    start = threading.Barrier(len(searches))

    def go_on(one):
        search, catalog, rows = searches[one]
        start.wait()
        for _ in range(20):
            state = search.begin(catalog)
            for row in rows:
                state = state.step(row[None])
            found[one].append(all_of(search.results(state)))

    threads = [threading.Thread(target=go_on, args=(n,)) for n in range(len(searches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for whole, results in zip(wholes, found, strict=True):
        assert results == [whole] * 20


class Searching:
    """A language model that asks another search, of the same sizes."""

    def __init__(self, model, search, rows):
        self.begin, self.knows = model.begin, model.knows
        self.model, self.search, self.rows = model, search, rows

    def score(self, state, word):
        self.search(self.rows)
        return self.model.score(state, word)


def test_a_language_model_may_search_itself(tmp_path):
    model = write_arpa(tmp_path / "lm.arpa", ["ann", "lee", "a", "b"], seeded(0), 2)
    inner = CTCBeamSearch(LETTERS, 8, boosting=BOOSTING)
    asking = Searching(model, inner, rows_of(1, LETTERS, 5))
    rows = rows_of(2, LETTERS, 12)
    found = [
        all_of(
            CTCBeamSearch(LETTERS, 8, NgramLM(one, 0.3, 0.5, -1.0), boosting=BOOSTING)(
                rows, names(PHRASES)
            )
        )
        for one in (Asked(model), asking)
    ]
    assert found[0] == found[1]


def test_little_room_changes_nothing(searches, monkeypatch):
    """Lattice, open entries and those of a frame: each is made larger on the way."""
    wholes = [all_of(search(rows, catalog)) for search, catalog, rows in searches]
    grown = {"widen_lattice": 0, "widen_scratch": 0}

    def small(settings, labels):
        workspace = Workspace.of(settings, labels)
        workspace.lattice = widened(empty_lattice(), workspace.beam, workspace.beam, 1)
        workspace.scratch = scratch_for(
            workspace.beam, len(workspace.frame.tokens), labels, 1
        )
        return workspace

    def counted(name):
        real = getattr(ctc_beam_workspace.Workspace, name)

        def run(self):
            grown[name] += 1
            real(self)

        monkeypatch.setattr(ctc_beam_workspace.Workspace, name, run)

    monkeypatch.setattr(ctc_beam_state, "take_workspace", small)
    for name in grown:
        counted(name)
    for (search, catalog, rows), whole in zip(searches, wholes, strict=True):
        assert all_of(search(rows, catalog)) == whole
        state = search.begin(catalog)
        for at in range(0, len(rows), 7):
            state = state.step(rows[at : at + 7])
        assert all_of(search.results(state)) == whole
    assert min(grown.values()) > 5, grown
