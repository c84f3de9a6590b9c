"""The path and the paper's grid."""

import pytest
import torch

from closed_form import Gaussian, falling
from stepscope.denoise import (
    Taps,
    clean_from_velocity,
    interpolate,
    lever_arm,
    paper_grid,
    velocity_from_clean,
)
from stepscope.errors import BadInputError


@pytest.mark.parametrize(
    ("num_steps", "shift", "step", "sigma"),
    [(50, 5.0, 21, 0.8735), (50, 5.0, 0, 1.0), (50, 5.0, 50, 0.0), (20, 3.0, 10, 0.75), (4, 1.0, 1, 0.75)],
)
def test_golden_sigmas(num_steps, shift, step, sigma):
    assert paper_grid(num_steps, shift).sigma(step) == pytest.approx(sigma, abs=5e-5)


def test_expert_switch_of_the_paper_is_at_step_21():
    sigmas = paper_grid(50, 5.0).sigmas
    assert int((sigmas >= 0.875).sum()) == 21


@pytest.mark.parametrize(("num_steps", "shift", "arm"), [(20, 3.0, 0.017), (50, 5.0, 0.0041)])
def test_golden_lever_arm_of_the_first_step(num_steps, shift, arm):
    assert lever_arm(paper_grid(num_steps, shift), 0) == pytest.approx(arm, rel=0.03)


def test_lever_arm_of_the_last_step_is_whole():
    assert lever_arm(paper_grid(7, 3.0), 6) == 1


@pytest.mark.parametrize("num_steps", [1, 2, 20])
def test_grid_falls_from_one_to_zero(num_steps):
    grid = paper_grid(num_steps, 3.0)
    assert (grid.num_steps, grid.sigma(0), grid.sigma(num_steps)) == (num_steps, 1.0, 0.0)
    assert falling(grid.sigmas.tolist())
    torch.testing.assert_close(grid.timesteps, 1000 * grid.sigmas[:-1])


def test_shifts_compose():
    u = paper_grid(12, 2.0).sigmas.double()
    torch.testing.assert_close((3 * u / (1 + 2 * u)).float(), paper_grid(12, 6.0).sigmas)


@pytest.mark.parametrize(("num_steps", "shift"), [(0, 3.0), (-4, 3.0), (5, 0.0), (5, -1.0), (5, float("nan"))])
def test_impossible_grids_are_refused(num_steps, shift):
    with pytest.raises(BadInputError, match="came as"):
        paper_grid(num_steps, shift)


def test_velocity_and_clean_estimate_are_one_fact():
    clean, noise = torch.randn(2, 1, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    latents = interpolate(clean, noise, 0.3)
    torch.testing.assert_close(clean_from_velocity(latents, noise - clean, 0.3), clean)
    torch.testing.assert_close(velocity_from_clean(latents, clean, 0.3), noise - clean)


def test_equivalent_schedules_give_the_same_clean_estimate():
    fine, coarse, model = paper_grid(20, 3.0), paper_grid(10, 3.0), Gaussian()
    latents = torch.randn(1, *model.shape, generator=torch.Generator().manual_seed(0))
    for step in range(10):
        one = model.predict(latents, step, coarse, None, 1.0, Taps()).clean
        torch.testing.assert_close(model.predict(latents, 2 * step, fine, None, 1.0, Taps()).clean, one)
