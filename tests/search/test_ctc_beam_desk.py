"""The arrays that searches share are theirs for one step, and grow with what they need.

Every search of a thread works in the same ones, if they have its sizes.
"""

import threading

import pytest
from ctc_beam_cases import (
    LETTERS,
    SMALL,
    all_of,
    names,
    random_rows,
    seeded,
    write_arpa,
)

from espnet_dynlook.search import ctc_beam_desk, ctc_beam_state
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ctc_beam_desk import Desk
from espnet_dynlook.search.ctc_beam_room import room_for
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


def test_little_room_changes_nothing(searches, monkeypatch):
    """Lattice, open entries and those of a frame: each is made larger on the way."""
    wholes = [all_of(search(rows, catalog)) for search, catalog, rows in searches]
    grown = {"widen_lattice": 0, "widen_room": 0}

    def small(settings, labels):
        desk = Desk.of(settings, labels)
        desk.lattice = widened(empty_lattice(), desk.beam, desk.beam, 1)
        desk.room = room_for(desk.beam, len(desk.frame.tokens), labels, 1)
        return desk

    def counted(name):
        real = getattr(ctc_beam_desk.Desk, name)

        def run(self):
            grown[name] += 1
            real(self)

        monkeypatch.setattr(ctc_beam_desk.Desk, name, run)

    monkeypatch.setattr(ctc_beam_state, "desk_for", small)
    for name in grown:
        counted(name)
    for (search, catalog, rows), whole in zip(searches, wholes, strict=True):
        assert all_of(search(rows, catalog)) == whole
        state = search.begin(catalog)
        for at in range(0, len(rows), 7):
            state = state.step(rows[at : at + 7])
        assert all_of(search.results(state)) == whole
    assert min(grown.values()) > 5, grown
