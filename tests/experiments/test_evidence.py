"""One number a run, a verdict: clusters are puzzles, and what all runs agree on is still uncertain."""

import pytest

from stepscope.experiments.evidence import Evidence, detectable, emit


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
    found = emit("early-commitment", many, bounds=(0.0, 1.0))
    assert (found.verdict, found.n) == ("inconclusive", 2)


def test_fewer_than_two_puzzles_test_nothing():
    found = emit("early-commitment", runs([1.0]), "puzzles with several solutions")
    assert (found.verdict, found.value) == ("not-tested", None)
    assert "1 puzzles with several solutions came" in found.why


@pytest.mark.parametrize(
    ("value", "bounds", "interval"),
    [
        (0.0, (-1.0, 1.0), (-0.4593, 0.4593)),
        (1.0, (-1.0, 1.0), (0.0815, 1.0)),
        (0.0, (0.0, 1.0), (0.0, 0.4593)),
        (0.5, (0.0, 1.0), (0.2704, 0.7296)),
    ],
)
def test_six_puzzles_alike_leave_room_for_others(value, bounds, interval):
    assert emit("self-correction", runs([value] * 6), bounds=bounds).ci95 == pytest.approx(interval, abs=1e-4)


def test_the_detectable_effect_needs_two_puzzles():
    assert detectable(runs([1.0])) is None
    assert detectable(runs([0.0, 1.0, 0.0, 1.0])) > 0.5
