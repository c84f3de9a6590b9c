"""Maps have bands that hold the whole and leave room for what was not seen."""

import numpy as np
import pytest

from stepscope.analysis import mean_band, proportion
from stepscope.experiments.layer_maps import map_of


def test_cells_in_which_all_agree_are_as_open_as_clopper_and_pearson_say():
    found = map_of([(puzzle, [[0.0, 1.0]]) for puzzle in range(6)])
    assert found["mean"] == [[0.0, 1.0]]
    assert found["high"][0][0] == pytest.approx(proportion(0, 6)[2], abs=1e-6)
    assert found["low"][0][1] == pytest.approx(proportion(6, 6)[1], abs=1e-6)
    assert (found["low"][0][0], found["high"][0][1]) == (0, 1)


def test_the_band_holds_the_simultaneous_one():
    draw = np.random.default_rng(0)
    values = draw.random((20, 2, 3))
    found, band = map_of(list(enumerate(values))), mean_band(values.reshape(20, 6), 0, list(range(20)))
    assert (np.ravel(found["low"]) <= band.low).all()
    assert (np.ravel(found["high"]) >= band.high).all()
    np.testing.assert_allclose(np.ravel(found["mean"]), values.reshape(20, 6).mean(0))


def test_seeds_of_a_puzzle_are_no_puzzles_of_their_own():
    one, many = ([(puzzle, [1.0]) for puzzle in range(3) for _ in range(count)] for count in (1, 30))
    assert map_of(one)["low"] == pytest.approx(map_of(many)["low"], abs=1e-6)


def test_one_puzzle_has_no_band_and_none_no_map():
    assert map_of([(0, [0.5])]) == {"mean": [0.5], "low": None, "high": None}
    assert map_of([]) is None
