"""Plans of several samples where calls have several rows: the same results, fuller calls, a bounded company."""

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Puzzle, Ring
from every_edit import every_edit, every_exchange
from models.tiny import picture, pipeline
from stepscope import Branch, plan
from stepscope.interventions import AddNoise
from stepscope.models.live import LiveDenoiser
from stepscope.recorders import Difference, TokenEnergy
from stepscope.scope import Model, grown_together, rows_in_a_call
from stepscope.scope.forest import puzzles_at_once

N, AT, CHUNK = 2, 1, 4
EVERY = every_edit(AT, np.stack([picture(seed) for seed in range(9)]), picture(5)) | every_exchange(AT)
BRANCHES = [*(Branch(name, edits) for name, edits in EVERY.items()), Branch("donor", seed=9)]


@dataclass(frozen=True, eq=False)
class Scene:
    seed: int
    prompt: str = "a red ball rolls"
    first_frame: np.ndarray = field(default_factory=lambda: picture(0))
    num_frames: int = 9


@dataclass(frozen=True, eq=False)
class Seeded(Puzzle):
    seed: int = 0


SCENES = [Scene(1), Scene(2, "a ball", picture(1))]


@pytest.mark.parametrize(
    ("style", "solver", "guidance", "seeds"),
    [("wan2.2-a14b", "euler", 3.0, (0, 4)), ("wan2.1", "unipc", 1.0, (0,)), ("wan2.2-ti2v", "unipc", 3.0, (0,))],
)
def test_results_on_stock_pipelines_stay_within_the_tolerance(style, solver, guidance, seeds):
    """1e-5 of what is estimated, for two steps: random weights blow up what they are given."""
    model = stepscope.load_model(pipeline(style))
    options = {"num_steps": N, "solver": solver, "guidance": guidance, "seeds": seeds}
    recorders = {"recorders": [TokenEnergy()], "paired": [Difference()]}
    alone = plan(model, SCENES, BRANCHES, **options, **recorders)
    together = plan(model, SCENES, BRANCHES, chunk=CHUNK, **options, **recorders)
    assert together.model_calls() == alone.model_calls()
    expected = alone.run()
    for key, trace in together.run().items():
        other = expected[key]
        assert trace.model_calls == other.model_calls
        assert torch.equal(trace.latents[0], other.latents[0]), key
        for name in ("clean_estimates", "cond_estimates"):
            values, others = getattr(trace, name), getattr(other, name)
            assert (values - others).abs().max() <= 1e-5 * (1 + others.abs().max()), (key, name)
        np.testing.assert_allclose(trace.records["token_energy"], other.records["token_energy"], rtol=1e-3)


@pytest.mark.parametrize("chunk", [1, CHUNK])
def test_a_forest_makes_the_calls_of_its_trees(chunk):
    ring = Ring()
    model, samples = stepscope.load_model(ring), [Seeded(prompt, seed=len(prompt)) for prompt in ("a", "bb", "ccc")]
    sweep = [Branch(f"{step}", [AddNoise("renoise", step)]) for step in range(N)]
    made = plan(model, samples, sweep, num_steps=N, chunk=chunk)
    counts = [calls for _, calls in grown_together([(made, sample) for sample in samples])]
    assert counts == [N + N * (N + 1) // 2] * 3 == [cost for cost, _ in made.costs]
    assert {rows for rows, _, _ in ring.asked} == {chunk}
    full = sum(counts) / chunk
    assert full <= len(ring.asked) <= full + 2 * N * (chunk > 1)


def test_a_live_denoiser_is_shown_the_sample_of_every_row():
    seen = []

    class Reads(Ring):
        def velocity(self, latents, sigma, samples):
            seen.append([sample.prompt for sample in samples])
            return (latents - torch.tensor([float(len(s.prompt)) for s in samples]).view(-1, 1, 1, 1, 1)) / sigma

    samples = [Seeded(prompt, seed=len(prompt)) for prompt in ("a", "bb", "ccc")]
    results = plan(stepscope.load_model(Reads()), samples, [], num_steps=2, chunk=CHUNK).run()
    assert seen == [["a", "bb", "ccc", "ccc"]] * 2
    for (seed, _, _), trace in results.items():
        torch.testing.assert_close(trace.latents[-1], torch.full_like(trace.latents[-1], seed))


def test_what_is_there_is_left_out_of_the_forest():
    ring = Ring()
    samples = [Seeded("x" * seed, seed=seed) for seed in (1, 2, 3)]
    made = plan(stepscope.load_model(ring), samples, [], num_steps=2, chunk=CHUNK)
    done = made.parts(3)[1].run()
    ring.asked.clear()
    assert [key[0] for key, _ in made.results(done)] == [1, 3]
    assert len(ring.asked) == 2


def test_what_edits_ask_of_edited_latents_is_asked_together():
    """Noise that keeps the estimate, in every step: from its second on, a branch asks for an estimate of its own."""
    branches = [Branch(f"from {first}", [AddNoise("renoise", range(first, 4), seed=first)]) for first in range(3)]
    puzzles, alone, asked = [Seeded(seed=1), Seeded(seed=2)], Ring(), Ring()
    expected = plan(stepscope.load_model(alone), puzzles, branches, num_steps=4).run()
    made = plan(stepscope.load_model(asked), puzzles, branches, num_steps=4, chunk=8)
    found = made.run()
    assert len(alone.asked) == made.model_calls(), "each question once"
    assert len(asked.asked) == 4 + 4 + 3, "a step: the trunks, what edits ask but at the first step, the branches"
    for key, trace in found.items():
        assert trace.model_calls == expected[key].model_calls
        torch.testing.assert_close(trace.latents, expected[key].latents)


def test_the_seconds_of_a_plan_count_calls_that_are_not_full():
    class Slow(Ring):
        def velocity(self, latents, sigma, samples):
            time.sleep(0.01)
            return super().velocity(latents, sigma, samples)

    model, samples = stepscope.load_model(Slow()), [Seeded(seed=seed) for seed in range(9)]
    assert plan(model, samples[:1], [], num_steps=8, chunk=64).seconds() >= 8 * 0.01
    assert plan(model, samples, [], num_steps=8, chunk=2).seconds() >= 8 * 9 / 2 * 0.01


@pytest.mark.parametrize(
    ("chunk", "trunks", "size", "expected"),
    [(1, 1, 1, 1), (8, 1, 1 << 20, 32), (8, 3, 1 << 20, 11), (64, 1, 1 << 28, 4)],
)
def test_how_many_puzzles_stand_in_a_forest(chunk, trunks, size, expected):
    model = stepscope.load_model(Ring())
    assert puzzles_at_once(model, chunk, trunks, size) == expected
    assert puzzles_at_once(model, chunk, trunks, 1 << 60) == 1


def test_a_plan_of_large_traces_takes_one_sample_at_a_time():
    class Large(Ring):
        latents_shape = (2, 64, 256, 256)

    model = stepscope.load_model(Large())
    made = replace(plan(model, [Seeded()], [], num_steps=1, chunk=CHUNK), settings={"num_steps": 20})
    assert made.at_once() == 1


class Sized(Ring):
    def __init__(self, shape):
        super().__init__()
        self.latents_shape = shape


@pytest.mark.parametrize(("gains", "rows"), [(1e9, 64), (65, 64), (63, 32), (5, 4), (1.5, 1), (0.01, 1)])
def test_rows_in_a_call_where_a_device_is_better_used_by_more(gains, rows):
    """`gains` rows are 2e12 operations, two for every weight and latent position."""
    tiny = stepscope.load_model(pipeline("wan2.2-a14b"))
    weights = sum(weight.numel() for weight in tiny.pipeline.transformer.parameters())
    on_device = LiveDenoiser(Sized((4, 1, 1, max(1, round(1e12 / weights / gains)))), "meta")
    assert rows_in_a_call(Model(replace(tiny.loaded, denoiser=on_device)), SCENES[0]) == rows
    assert rows_in_a_call(tiny, SCENES[0]) == 1
    assert rows_in_a_call(stepscope.load_model(Ring(), device="meta"), SCENES[0]) == 64
