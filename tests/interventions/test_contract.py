"""What every intervention promises: a value, written and read back, with a zero, refused in one line."""

import json
import math
import re
from dataclasses import FrozenInstanceError, dataclass, replace

import numpy as np
import pytest
import torch

from closed_form import Layered, Puzzle, make_run
from stepscope import interventions
from stepscope.denoise import Address, Euler, View, denoise, initial_latents, latents_noise
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions import (
    AddNoise,
    BlockFrames,
    HoldFrames,
    Jump,
    MergeEstimates,
    MergeLatents,
    MergeLayers,
    Pixels,
    ScaleLayer,
    SkipLayer,
    Swap,
    SwitchCondition,
    SwitchPrompt,
    WrongPlan,
)

PICTURE = np.full((8, 8, 3), 7, np.uint8)
VIDEO = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)
EVERY = [
    AddNoise("vp", [3, 1], 1, 0.5, 2),
    BlockFrames(2, "past", queries=[1], keys=[0], layers=[1]),
    HoldFrames([0, 1], 1, strength=0.5),
    HoldFrames(None, None, VIDEO),
    Jump(3),
    MergeEstimates(["a", "b"], [1, 2], "clean-estimate", matched=True),
    MergeLatents("other", [0, 2], strength=0.5),
    MergeLayers(["a", "b"], 3, "mlp", (0.25, 1), scatter=4),
    MergeLayers("a", None, layers=[0, 1], pooled=True),
    ScaleLayer(1, 0, 0.5, "mlp"),
    SkipLayer(None, [0, 1], 0.5),
    Swap("other", [0], 2, "delta", tokens=[0, 3]),
    SwitchCondition(2, PICTURE),
    SwitchPrompt([2, 3], "something else"),
    WrongPlan(3, "other-valid", 0.5, 4),
    WrongPlan(3, "corrupted", share=0.1),
    WrongPlan([1, 2], 1),
    WrongPlan(3, VIDEO),
]
ZEROS = [
    *(AddNoise(mode, None, strength=0) for mode in ("replace", "add", "vp", "renoise")),
    BlockFrames(None, queries=[]),
    BlockFrames(None, keys=[]),
    HoldFrames(None, None, strength=0),
    MergeEstimates(),
    MergeLatents("other", strength=0),
    MergeLayers((), None),
    ScaleLayer(None, None, 1),
    SkipLayer(None, None, strength=0),
    SwitchCondition(None),
    SwitchPrompt(None),
    WrongPlan(None, "other-valid", strength=0),
]
X = latents_noise(1, 0, (3, 2, 2, 2))[None]


@dataclass(frozen=True, eq=False)
class Solved(Puzzle):
    solutions: tuple = ()


def address(frames):
    return Address(0, 1.0, layer=0, site="self_attn", token_grid=(frames, 2, 2))


def named(intervention):
    return type(intervention).__name__


def view(sample=None, encode=lambda frames: torch.full((3, 2, 2, 2), float(frames.mean())), sigma=0.6, step=3):
    return View(step, 6, sigma, (sample or Puzzle(),), (5,), lambda: torch.zeros(1, 3, 2, 2, 2), encode)


@pytest.mark.parametrize("intervention", EVERY, ids=named)
def test_json_and_back(intervention):
    text = json.dumps(interventions.to_json(intervention))
    again = interventions.from_json(json.loads(text))
    assert again == intervention
    assert hash(again) == hash(intervention)
    assert json.dumps(interventions.to_json(again)) == text


@pytest.mark.parametrize("intervention", EVERY, ids=named)
def test_it_is_frozen_printable_and_acts_at_its_steps_alone(intervention):
    with pytest.raises(FrozenInstanceError):
        intervention.steps = 0
    assert repr(intervention).startswith(f"{named(intervention)}(")
    assert len(repr(intervention)) < 250
    steps = range(6) if intervention.steps is None else intervention.steps
    assert [step for step in range(6) if intervention.acts_at(step, 6)] == list(steps)


@pytest.mark.parametrize("intervention", [i for i in EVERY if i.steps is not None], ids=named)
def test_a_run_too_short_is_refused(intervention):
    with pytest.raises(
        BadInputError, match=f"{named(intervention)} has steps up to {max(intervention.steps)}. This run"
    ):
        intervention.acts_at(0, 1)


@pytest.mark.parametrize("zero", ZEROS, ids=named)
def test_zero_is_the_identity_and_costs_nothing(zero):
    assert zero.is_zero
    run, start = make_run(Layered(), Euler())
    plain, end, _ = denoise(run, start)
    same, same_end, _ = denoise(replace(run, interventions=[zero]), start)
    assert torch.equal(end.latents, same_end.latents)
    assert [event.model_calls for event in plain] == [event.model_calls for event in same]


def test_no_edit_of_some_size_is_a_zero():
    assert [named(i) for i in EVERY if i.is_zero] == []


def test_one_spelling_of_the_same_edit():
    assert WrongPlan(range(2), 1) == WrongPlan([1, 0], 1)
    assert ScaleLayer([1], 0, 2) == ScaleLayer(1, [0], 2.0)
    assert WrongPlan(0, VIDEO) == WrongPlan(0, VIDEO.copy()) != WrongPlan(0, VIDEO + 1)


def test_wrong_plan_by_its_formula():
    x, sigma = latents_noise(1, 0, (3, 2, 2, 2))[None], 0.6
    e = latents_noise(4, 3, (3, 2, 2, 2))[None]
    expected = 0.7 * x + 0.3 * ((1 - sigma) * VIDEO.mean() + sigma * e)
    edited = WrongPlan(3, VIDEO, 0.3, 4).edit_latents(x, view())
    torch.testing.assert_close(edited, expected.float(), rtol=0, atol=1e-5)


def test_other_valid_is_the_solution_that_the_latents_speak_against():
    dark, light = np.zeros((5, 8, 8, 3), np.uint8), np.full((5, 8, 8, 3), 100, np.uint8)
    sample = Solved(solutions=(light, dark))
    for towards, other in ((100.0, 0.0), (0.0, 100.0)):
        x = torch.full((1, 3, 2, 2, 2), 0.4 * towards)
        edited = WrongPlan(3, "other-valid").edit_latents(x, view(sample))
        e = latents_noise(0, 3, (3, 2, 2, 2))[None]
        torch.testing.assert_close(edited, 0.4 * other + 0.6 * e, rtol=0, atol=1e-5)


def test_held_frames_walk_from_their_own_noise_to_the_still_video():
    x = latents_noise(1, 0, (3, 2, 2, 2))[None]
    edited = HoldFrames(None, 1, strength=0.5).edit_latents(x, view())
    line = 0.4 * 128 + 0.6 * initial_latents(5, (3, 2, 2, 2))[None]
    assert torch.equal(edited[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(edited[:, :, 1], (0.5 * x + 0.5 * line)[:, :, 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("hidden", "options", "blocked"),
    [
        ("future", {}, {(0, 1), (0, 2), (1, 2)}),
        ("past", {}, {(1, 0), (2, 0), (2, 1)}),
        ("both", {"queries": 0}, {(0, 1), (0, 2)}),
        ("past", {"keys": [0]}, {(1, 0), (2, 0)}),
    ],
)
def test_who_may_not_look_at_whom(hidden, options, blocked):
    mask = BlockFrames(0, hidden, **options).attention_mask(address(frames=3))
    assert {(q, k) for q in range(3) for k in range(3) if not mask[q, k]} == blocked


def test_layers_that_are_not_named_see_all():
    assert BlockFrames(0, layers=1).attention_mask(address(frames=3)) is None


def test_pixels_are_a_value():
    frames = VIDEO.copy()
    pixels = Pixels(frames)
    frames[:] = 0
    assert np.array_equal(pixels.array, VIDEO)
    assert not pixels.array.flags.writeable
    assert repr(pixels).startswith("Pixels(5x8x8x3, ")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ScaleLayer(0, 0, 1, "head"), UnknownNameError, "Unknown site 'head'. Known: block, cross_attn"),
        (lambda: ScaleLayer(0, -1, 1), BadInputError, "layers came as -1."),
        (lambda: ScaleLayer(0, 0, math.nan), BadInputError, "scale came as nan."),
        (lambda: SkipLayer(0, 0, 2), BadInputError, "strength came as 2. Allowed is 0 to 1."),
        (lambda: BlockFrames(0, "sideways"), UnknownNameError, "Unknown direction of BlockFrames 'sideways'."),
        (lambda: BlockFrames(0, queries=[-1]), BadInputError, "queries came as (-1,)."),
        (lambda: WrongPlan(0, "foreign"), BadInputError, "solution came as 'foreign'. Allowed are 'other-valid'"),
        (lambda: WrongPlan(0, -1), BadInputError, "solution came as -1."),
        (lambda: WrongPlan(0, VIDEO.astype(float)), BadInputError, "Pixels came as float64 [5, 8, 8, 3]."),
        (lambda: WrongPlan(0, 0, share=0), BadInputError, "share came as 0."),
        (lambda: HoldFrames(0, 0, "moving"), BadInputError, "video came as 'moving'. Allowed are 'still'"),
        (lambda: SwitchPrompt(0, " "), BadInputError, "The prompt of SwitchPrompt came empty."),
        (lambda: Swap("b", [], 0), BadInputError, "layers came as []."),
        (lambda: Swap("b", 0, 0, "all"), UnknownNameError, "Unknown mode of Swap 'all'."),
        (lambda: Pixels.from_json({"pixels": [1], "zlib": "!"}), BadInputError, "Pixels came as damaged JSON"),
        (lambda: WrongPlan(3, 2).edit_latents(X, view()), PlanError, "Donor 2 was asked for. This sample has 0 known"),
        (
            lambda: WrongPlan(3, "other-valid").edit_latents(X, view(Solved(solutions=(VIDEO,)))),
            PlanError,
            "Donor 'other-valid' was asked for. This sample has 1 known solutions and needs 2.",
        ),
        (
            lambda: WrongPlan(3, VIDEO[:4]).edit_latents(X, view()),
            PlanError,
            "A donor video came as [4, 8, 8, 3]. This sample takes [5, 8, 8, 3].",
        ),
        (
            lambda: HoldFrames(3, 2).edit_latents(X, view()),
            BadInputError,
            "latent_frames up to 2. This run has 0 to 1.",
        ),
        (
            lambda: SwitchCondition(0, PICTURE[:4]).edit_sample(Puzzle(), 0),
            BadInputError,
            "SwitchCondition shows [4, 8, 3]. The sample's first frame is [8, 8, 3].",
        ),
        (
            lambda: BlockFrames(0, keys=3).attention_mask(address(frames=3)),
            BadInputError,
            "BlockFrames has keys up to 3. This run has 0 to 2.",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(make, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        make()
    assert "\n" not in str(caught.value)
