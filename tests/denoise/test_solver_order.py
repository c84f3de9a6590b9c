"""Solvers against a Gaussian, whose flow is known."""

import pytest
import torch

from closed_form import Gaussian, make_run, slope
from stepscope.denoise import Euler, Heun, denoise

COUNTS = (16, 32, 64, 128)


def error(solver, num_steps, shift):
    model = Gaussian()
    run, state = make_run(model, solver, num_steps=num_steps, shift=shift)
    start = state.latents.double()
    _, end, _ = denoise(run, run.start(start))
    return float((end.latents - model.solution(start)).abs().max())


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1), (Heun(), 2)])
def test_error_falls_with_the_order_of_the_solver(solver, order, shift):
    errors = [error(solver, count, shift) for count in COUNTS]
    assert slope(COUNTS, errors) == pytest.approx(order, abs=0.15)


def end(shift, num_steps):
    run, state = make_run(Gaussian(), Heun(), num_steps=num_steps, shift=shift)
    return denoise(run, run.start(state.latents.double()))[1].latents


@pytest.mark.parametrize("shift", [3.0, 5.0])
def test_equivalent_schedules_lead_to_the_same_result(shift):
    apart = [float((end(shift, count) - end(1.0, count)).abs().max()) for count in COUNTS]
    assert slope(COUNTS, apart) == pytest.approx(2, abs=0.3)
    assert apart[-1] < 0.005


def test_batch_rows_do_not_meet():
    model = Gaussian()
    run, state = make_run(model, Heun(), seeds=(3, 8))
    alone, alone_state = make_run(model, Heun(), seeds=(8,))
    assert torch.equal(denoise(run, state)[1].latents[1:], denoise(alone, alone_state)[1].latents)
