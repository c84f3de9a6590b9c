"""From maps over tokens to one number."""

import numpy as np
import pytest

from stepscope.analysis import localisation


def test_localisation_of_a_lit_object():
    shares = np.zeros((2, 3, 3))
    shares[0, 1, 1], shares[0, 1, 2] = 1.0, 0.5
    energy = np.full((4, 2, 3, 3), 2.0)
    energy[1, 0, 1, 1] = 6.0
    energy[2] *= 7
    energy[3, 0, 1, 2] = 1e6  # half inside: does not enter the outside
    np.testing.assert_allclose(localisation(energy, shares)[:3], [1, (6 + 0.5 * 2) / 1.5 / 2, 1])
    assert localisation(energy, shares)[3] > 1e5


@pytest.mark.parametrize("shares", [np.zeros((1, 2, 2)), np.ones((1, 2, 2))])
def test_without_an_inside_or_outside_there_is_none(shares):
    assert np.isnan(localisation(np.ones((5, 1, 2, 2)), shares)).all()


def test_without_energy_outside_there_is_none():
    shares = np.array([[[1.0, 0.0]]])
    assert np.isnan(localisation(np.array([[[1.0, 0.0]]]), shares))
