"""One number a run, a verdict: clusters are puzzles, and what all runs agree on is still uncertain."""

import pytest

from stepscope.errors import BadInputError
from stepscope.experiments.evidence import Evidence, detectable, emit, interval_of


def runs(values, control=0.0):
    return [Evidence(puzzle, value, control) for puzzle, value in enumerate(values)]


def test_a_clear_case_is_supported():
    found = emit("early-commitment", runs([1.0] * 40))
    assert (found.verdict, found.n, found.value) == ("supported", 40, 1.0)


def test_a_control_that_finds_as_much_spoils_the_case():
    assert emit("early-commitment", runs([1.0] * 40, control=1.0)).verdict == "inconclusive"
    assert emit("early-commitment", runs([1.0] * 40, control=None)).control_passed is None


def test_seeds_do_not_count_as_puzzles():
    many = [Evidence(puzzle, 1.0, 0.0) for puzzle in (0, 1) for _ in range(50)]
    found = emit("early-commitment", many)
    assert (found.verdict, found.n) == ("inconclusive", 2)


def test_fewer_than_two_puzzles_test_nothing():
    found = emit("early-commitment", runs([1.0]), "puzzles with several solutions")
    assert (found.verdict, found.value) == ("not-tested", None)
    assert "1 puzzles with several solutions came" in found.why


def test_a_handful_that_says_the_same_is_not_certain():
    found = emit("early-commitment", runs([1.0] * 4))
    assert found.verdict == "inconclusive"
    assert found.ci95 == pytest.approx((0.025**0.25, 1.0))


def test_the_claim_s_own_bounds_hold_where_none_are_given():
    assert emit("self-correction", runs([0.0] * 6)).ci95 == pytest.approx((-0.4593, 0.4593), abs=1e-4)
    assert emit("self-correction", runs([0.0] * 6), bounds=(0.0, 1.0)).ci95 == pytest.approx((0, 0.4593), abs=1e-4)


def test_few_that_differ_a_little_leave_room_too():
    low, high = emit("early-commitment", runs([0.9, 0.9, 0.8, 0.9, 1.0, 1.0])).ci95
    assert low < 0.6
    assert 0.95 < high < 1


def test_without_bounds_alike_says_nothing():
    found = emit("early-layers-global", runs([0.4] * 30))
    assert (found.verdict, found.ci95, found.value) == ("inconclusive", None, pytest.approx(0.4))
    assert emit("early-layers-global", runs([0.4, 0.41] * 15)).verdict == "supported"


def test_a_value_outside_its_bounds_is_refused():
    with pytest.raises(BadInputError, match="bounds 0 to 1"):
        emit("early-commitment", runs([1.0, 2.0]))


def test_the_detectable_effect_needs_two_puzzles():
    assert detectable(runs([1.0])) is None
    assert detectable(runs([0.0, 1.0, 0.0, 1.0])) > 0.5


def test_numbers_have_an_interval_where_there_is_one():
    assert interval_of([(0, None)]) is None
    assert interval_of([(0, 0.5), (0, 1.0), (1, None)]) == {"value": 0.75, "ci95": None, "n": 1}
    assert interval_of([(0, 0.5), (1, 0.5)]) == {"value": 0.5, "ci95": None, "n": 2}
    bounded = interval_of([(0, 0.5), (1, 0.5)], (0.0, 1.0))
    assert bounded["ci95"] == pytest.approx([0.0791, 0.9209], abs=1e-4)
