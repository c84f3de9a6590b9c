"""Live denoisers: a closed form goes through every door, and a wrong answer is said in one line."""

from dataclasses import dataclass

import numpy as np
import pytest
import tiny
import torch

from stepscope.denoise import Euler, Run, SiteTap, Taps, denoise, initial_latents, paper_grid
from stepscope.errors import BadInputError, ModelLoadError, PlanError
from stepscope.models import LiveDenoiser, load, solver_named

SHAPE = (3, 5, 8, 8)


@dataclass
class Still:
    """Believes in one video, whatever it is shown: v = (x - x_0) / s."""

    latents_shape: tuple = SHAPE
    value: float = 0.5

    def velocity(self, latents, sigma, samples):
        assert isinstance(sigma, float)
        assert len(samples) == len(latents)
        return (latents - self.value) / sigma


class Answering(Still):
    def __init__(self, answer, shape=SHAPE):
        super().__init__(shape)
        self.answer = answer

    def velocity(self, latents, sigma, samples):
        return self.answer(latents)


def run_of(live, guidance=1.0, solver="euler"):
    sample = tiny.TinySample()
    return Run(live, paper_grid(6, 3.0), solver_named(solver), [sample, sample], [0, 1], guidance)


def start(run):
    return run.start(torch.stack([initial_latents(seed, SHAPE) for seed in run.seeds]))


@pytest.mark.parametrize(("solver", "calls"), [("euler", [2] * 6), ("heun", [4] * 5 + [2]), ("unipc", [2] * 6)])
def test_a_closed_form_is_reached(solver, calls):
    run = run_of(LiveDenoiser(Still()), solver=solver)
    events, end, _ = denoise(run, start(run))
    torch.testing.assert_close(end.latents, torch.full((2, *SHAPE), 0.5), rtol=0, atol=1e-5)
    torch.testing.assert_close(events[0].clean, end.latents, rtol=0, atol=1e-5)
    assert torch.equal(events[0].cond, events[0].clean)
    assert [event.model_calls for event in events] == calls


def test_what_is_known_of_a_live_denoiser():
    loaded = load(Still())
    assert (loaded.name, loaded.pipeline, loaded.reference) == ("Still", None, None)
    assert loaded.denoiser.num_layers == 0
    assert loaded.denoiser.latents_shape(tiny.TinySample()) == SHAPE
    assert (loaded.card.guidance, loaded.card.shift, loaded.card.num_frames) == (1.0, 5.0, 5)
    assert loaded.weights_hash == load(Still(value=1.0)).weights_hash  # the source, not the instance
    assert loaded.weights_hash.startswith("source:")


def test_a_live_model_stays_as_it_is():
    assert load(Still(), dtype="float32").name == load(Still(), dtype=torch.float32).name == "Still"
    with pytest.raises(BadInputError, match=r"'bfloat16' came for Still, which computes in torch\.float32"):
        load(Still(), dtype="bfloat16")
    with pytest.raises(BadInputError, match="Revision 'main' came for Still"):
        load(Still(), revision="main")
    with pytest.raises(ModelLoadError, match=r"The class Still came as a model. .* Give Still\(\) instead"):
        load(Still)


def test_the_default_codec_is_the_identity_on_pixels():
    live = LiveDenoiser(Still())
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    latents = live.encode(frames)
    assert latents.shape == SHAPE
    assert -1 <= float(latents.min()) < float(latents.max()) <= 1
    assert np.array_equal(live.decode(latents), frames)
    assert live.decode(torch.full(SHAPE, 7.0)).max() == 255


def test_a_codec_of_its_own_is_used():
    class Coded(Still):
        def encode(self, frames):
            return torch.full(SHAPE, float(frames.mean()))

        def decode(self, latents):
            return np.full((5, 2, 2, 3), int(latents.mean()), np.uint8)

    live = LiveDenoiser(Coded())
    assert float(live.encode(np.full((5, 2, 2, 3), 9, np.uint8)).mean()) == 9
    assert live.decode(torch.full(SHAPE, 4.0)).tolist() == np.full((5, 2, 2, 3), 4).tolist()


def test_a_velocity_in_double_precision_is_welcome():
    run = run_of(LiveDenoiser(Answering(lambda x: x.double())))
    assert denoise(run, start(run))[1].latents.dtype == torch.float32


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x[:1], ["[1, 3, 5, 8, 8]", "[2, 3, 5, 8, 8]", "one velocity a sample"]),
        (lambda x: x.long(), ["int64", "float tensor"]),
        (lambda x: x.numpy(), ["ndarray", "float tensor"]),
        (lambda x: None, ["NoneType"]),
        (lambda x: x / 0, ["1920 values not finite", "sigma"]),
    ],
    ids=["shape", "type", "array", "none", "infinite"],
)
def test_wrong_answers(answer, words):
    run = run_of(LiveDenoiser(Answering(answer)))
    with pytest.raises(BadInputError) as caught:
        denoise(run, start(run))
    assert all(word in str(caught.value) for word in words)


class Failing(Still):
    def velocity(self, latents, sigma, samples):
        raise KeyError("no such video\nat all")

    encode = decode = lambda self, given: 1 / 0


def test_what_a_function_of_the_users_raises_is_told_in_one_line():
    live = LiveDenoiser(Failing())
    run = run_of(live)
    with pytest.raises(BadInputError, match=r"Failing.velocity\(...\) failed \(KeyError: .*no such video") as caught:
        denoise(run, start(run))
    assert isinstance(caught.value.__cause__, KeyError)
    for function, given in ((live.encode, np.zeros((5, 8, 8, 3), np.uint8)), (live.decode, torch.zeros(SHAPE))):
        with pytest.raises(BadInputError, match="failed \\(ZeroDivisionError"):
            function(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros(SHAPE, np.float32), "gave a ndarray"),
        (torch.zeros(SHAPE, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, *SHAPE), r"\[1, 3, 5, 8, 8\]"),
        (torch.full(SHAPE, torch.inf), "all finite"),
    ],
    ids=["array", "type", "batch", "infinite"],
)
def test_wrong_latents_of_an_encode(given, words):
    class Coded(Still):
        def encode(self, frames):
            return given

    with pytest.raises(BadInputError, match=words):
        LiveDenoiser(Coded()).encode(np.zeros((5, 8, 8, 3), np.uint8))


def test_what_a_live_denoiser_cannot_do():
    run = run_of(LiveDenoiser(Still()), guidance=3.0)
    with pytest.raises(PlanError, match="no unconditional branch"):
        denoise(run, start(run))
    run = run_of(LiveDenoiser(Still()))
    with pytest.raises(PlanError, match="no layers"):
        run.denoiser.predict(
            start(run).latents, 0, run.grid, tuple(run.samples), 1.0, Taps((SiteTap("mlp", lambda h, a: None),))
        )
    assert isinstance(run.solver, Euler)


@pytest.mark.parametrize("shape", [(3, 5, 8), (3, 0, 8, 8), 3, ("a", 1, 1, 1)], ids=str)
def test_shapes_that_are_none(shape):
    with pytest.raises(BadInputError, match="latents_shape came as"):
        LiveDenoiser(Still(shape))


def test_latents_that_cannot_be_shown():
    with pytest.raises(BadInputError, match="4 channels"):
        LiveDenoiser(Still((4, 5, 8, 8))).decode(torch.zeros(4, 5, 8, 8))

    class Wrong(Still):
        def decode(self, latents):
            return np.zeros((5, 8, 8, 3))

    with pytest.raises(BadInputError, match="float64"):
        LiveDenoiser(Wrong()).decode(torch.zeros(SHAPE))
