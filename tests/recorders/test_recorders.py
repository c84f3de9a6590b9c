"""What the recorders measure, and that a stream may be cut anywhere."""

import numpy as np
import pytest
import torch

from closed_form import Gaussian, Layered, make_run
from stepscope import recorders
from stepscope.denoise import Address, Euler, Heun, RunInfo, SiteEvent, denoise, denoise_pair, paper_grid, steps
from stepscope.errors import InternalError, UnknownNameError
from stepscope.recorders import Difference, TokenEnergy


class Tape:
    """Keeps what another recorder would be given."""

    name = "tape"
    sites = ("block",)

    def init(self, run):
        return []

    def update(self, state, event):
        return [*state, event]

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return state


def fold(recorder, run, events):
    state = recorder.init(run)
    for event in events:
        state = recorder.update(state, *event if isinstance(event, tuple) else (event,))
    return state


@pytest.fixture
def stream():
    tape = Tape()
    run, start = make_run(Layered(), Euler(), num_steps=3, guidance=2.0)
    return run.info, denoise(run, start, [tape])[2]["tape"]


def test_energy_is_the_norm_over_channels(stream):
    info, events = stream
    energy = TokenEnergy().finish(fold(TokenEnergy(), info, events))
    assert (energy.shape, energy.dtype) == ((3, 2, 2, 2, 2, 2), np.float32)
    for event in events:
        if isinstance(event, SiteEvent):
            at, hidden = event.address, event.hidden[0].numpy()
            expected = np.sqrt((hidden**2).sum(-1)).reshape(2, 2, 2)
            branch = ("cond", "uncond").index(at.cfg_branch)
            np.testing.assert_allclose(energy[at.step, branch, at.layer], expected, rtol=1e-6)


def test_without_guidance_there_is_one_branch():
    run, start = make_run(Layered(), Heun(), num_steps=3)
    energy = denoise(run, start, [TokenEnergy()])[2]["token_energy"]
    assert energy.shape == (3, 1, 2, 2, 2, 2)
    assert np.isfinite(energy).all()


def test_a_batch_comes_first():
    both, start = make_run(Layered(), Euler(), seeds=(0, 5), num_steps=3)
    alone, alone_start = make_run(Layered(), Euler(), seeds=(5,), num_steps=3)
    energy = denoise(both, start, [TokenEnergy()])[2]["token_energy"]
    np.testing.assert_allclose(energy[1], denoise(alone, alone_start, [TokenEnergy()])[2]["token_energy"], rtol=1e-5)


def test_steps_before_a_fork_are_missing():
    run, start = make_run(Layered(), Euler(), num_steps=3)
    _, after_one = next(iter(steps(run, start)))
    energy = denoise(run, after_one, [TokenEnergy()])[2]["token_energy"]
    assert np.isnan(energy).all(axis=(1, 2, 3, 4, 5)).tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_energy_is_accumulated_in_float32(dtype):
    hidden = torch.full((1, 4, 4096), 60.0, dtype=dtype)  # the sum of squares overflows float16
    info = RunInfo(paper_grid(1, 3.0), (None,), (0,), 1, ("cond",))
    event = SiteEvent(Address(0, 1.0, None, "cond", 0, "block", (1, 2, 2)), hidden)
    energy = TokenEnergy().finish(fold(TokenEnergy(), info, [event]))
    np.testing.assert_allclose(energy, 60 * 64, rtol=1e-6)


def test_a_tap_without_address_is_our_bug(stream):
    info, _ = stream
    with pytest.raises(InternalError):
        TokenEnergy().update(TokenEnergy().init(info), SiteEvent(Address(0, 1.0), torch.zeros(1, 8, 3)))


def test_energy_however_the_stream_is_cut(stream):
    info, events = stream
    recorder = TokenEnergy()
    whole = recorder.finish(fold(recorder, info, events))
    for cut in range(len(events) + 1):
        first, second = fold(recorder, info, events[:cut]), fold(recorder, info, events[cut:])
        np.testing.assert_array_equal(recorder.finish(recorder.merge(first, second)), whole)
        np.testing.assert_array_equal(recorder.finish(recorder.merge(second, first)), whole)


def test_folding_leaves_the_state_before_as_it_was(stream):
    info, events = stream
    empty = TokenEnergy().init(info)
    TokenEnergy().update(empty, events[0])
    assert empty.values == {}


def pairs(seeds=((0,), (1,))):
    runs = [make_run(Gaussian(), Euler(), seeds=seed) for seed in seeds]
    events = [[event for event, _ in steps(*run)] for run in runs]
    return runs, list(zip(*events, strict=True))


def test_difference_is_relative_to_the_first_run():
    runs, events = pairs()
    difference = denoise_pair(*runs, [Difference()])["difference"]
    expected = [(a.clean - b.clean).norm() / a.clean.norm() for a, b in events]
    np.testing.assert_allclose(difference, expected, rtol=1e-6)
    assert (difference.shape, difference.dtype) == ((6,), np.float32)


def test_difference_of_a_batch():
    runs, _ = pairs(((0, 2), (1, 2)))
    difference = denoise_pair(*runs, [Difference()])["difference"]
    assert difference.shape == (2, 6)
    assert (difference[0] > 0).all()
    assert (difference[1] == 0).all()


def test_difference_however_the_stream_is_cut():
    runs, events = pairs()
    recorder, info = Difference(), runs[0][0].info
    whole = recorder.finish(fold(recorder, info, events))
    for cut in range(len(events) + 1):
        merged = recorder.merge(fold(recorder, info, events[:cut]), fold(recorder, info, events[cut:]))
        np.testing.assert_array_equal(recorder.finish(merged), whole)


@pytest.mark.parametrize("name", ["token-energy", "token_energy"])
def test_recorders_by_name(name):
    assert recorders.get(name).name == "token_energy"
    assert name.replace("_", "-") in recorders.names()


def test_an_unknown_recorder_is_refused():
    with pytest.raises(UnknownNameError, match="Unknown recorder 'cka'"):
        recorders.get("cka")
