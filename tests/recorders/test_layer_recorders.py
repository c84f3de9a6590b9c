"""Recorders of layers against plain arithmetic on the raw states, in float64, and however a stream is cut."""

from functools import partial

import numpy as np
import pytest
import torch

from closed_form import Gaussian, Layered, make_run
from stepscope import recorders
from stepscope.analysis import debiased_cka
from stepscope.denoise import Address, Euler, RunInfo, SiteEvent, denoise, paper_grid
from stepscope.errors import BadInputError, InternalError, PlanError
from stepscope.recorders import (
    ComponentBasis,
    CrossFrameAttention,
    Gram,
    Moments,
    Raw,
    SeedVariance,
    TokenComponents,
    seed_parts,
)

STEPS, LAYERS, GRID, WIDTH = 3, 2, (2, 2, 3), 7
TOKENS = int(np.prod(GRID))
INFO = RunInfo(paper_grid(STEPS, 3.0), (None,), (0,), LAYERS, ("cond", "uncond"))
PLACES = [(step, branch, layer) for step in range(STEPS) for branch in ("cond", "uncond") for layer in range(LAYERS)]
BASIS = {"basis": np.eye(2, WIDTH), "mean": np.arange(WIDTH), "scale": 2.0}
EVERY = {
    "moments": Moments,
    "component_basis": ComponentBasis,
    "token_components": partial(TokenComponents, BASIS),
    "gram": Gram,
    "seed_variance": partial(SeedVariance, tokens=5),
    "raw_block": Raw,
}


def hidden(place, seed=0, rows=1):
    step, branch, layer = place
    generator = torch.Generator().manual_seed(1000 * seed + 100 * step + 10 * layer + (branch == "cond"))
    drawn = torch.randn(rows, TOKENS, WIDTH, generator=generator, dtype=torch.float64)
    return drawn * torch.linspace(1, 3, WIDTH) + 5 + layer


def event(place, **options):
    step, branch, layer = place
    return SiteEvent(Address(step, 1.0, None, branch, layer, "block", GRID), hidden(place, **options))


def fold(recorder, events):
    state = recorder.init(INFO)
    for each in events:
        state = recorder.update(state, each)
    return state


def record(recorder, **options):
    return recorder.finish(fold(recorder, [event(place, **options) for place in PLACES]))


def flat(result):
    return result if isinstance(result, dict) else {"": result}


@pytest.mark.parametrize("name", EVERY)
def test_a_stream_may_be_cut_anywhere(name):
    recorder, events = EVERY[name](), [event(place) for place in PLACES]
    whole = flat(recorder.finish(fold(recorder, events)))
    for cut in range(1, len(events)):
        first, second = fold(recorder, events[:cut]), fold(recorder, events[cut:])
        for merged in (recorder.merge(first, second), recorder.merge(second, first)):
            for key, value in flat(recorder.finish(merged)).items():
                np.testing.assert_allclose(value, whole[key], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["moments", "component_basis"])
def test_tokens_of_two_runs_are_pooled(name):
    recorder = EVERY[name]()
    first, second = (fold(recorder, [event(place, seed=seed) for place in PLACES]) for seed in (1, 2))
    both = [SiteEvent(event(p).address, torch.cat([hidden(p, seed=1), hidden(p, seed=2)])) for p in PLACES]
    whole = recorder.finish(fold(recorder, both))
    for key, value in recorder.finish(recorder.merge(first, second)).items():
        np.testing.assert_allclose(value, whole[key], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_recording_changes_nothing(name):
    basis = {"basis": np.eye(2, 3), "mean": np.zeros(3), "scale": 1.0}
    recorder = TokenComponents(basis) if name == "token_components" else EVERY[name]()
    run, start = make_run(Layered(), Euler(), num_steps=3, guidance=2.0)
    watched, plain = denoise(run, start, [recorder]), denoise(run, start)
    assert torch.equal(watched[1].latents, plain[1].latents)
    assert name in watched[2]


@pytest.mark.parametrize("name", EVERY)
def test_a_model_without_layers_is_refused(name):
    run, _ = make_run(Gaussian(), Euler())
    with pytest.raises(BadInputError, match=f"Recorder {name} came for a model without layers"):
        EVERY[name]().init(run.info)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("layers", [(2,), (), (0, 0)])
def test_layers_that_are_not_there_are_refused(name, layers):
    with pytest.raises(PlanError, match=f"Recorder {name} came with layers"):
        EVERY[name](layers=layers).init(INFO)


@pytest.mark.parametrize("name", EVERY)
def test_only_the_layers_that_were_asked_for(name):
    whole, some = record(EVERY[name]()), record(EVERY[name](layers=(1,)))
    axis = {"raw_block": 1, "token_components": 2, "moments": 2, "seed_variance": 1}.get(name)
    if axis is not None:
        for key, value in flat(some).items():
            np.testing.assert_array_equal(value, np.take(flat(whole)[key], [1], axis))
    else:
        assert name in ("gram", "component_basis")


def test_a_tap_without_address_is_our_bug():
    with pytest.raises(InternalError):
        Moments().update(Moments().init(INFO), SiteEvent(Address(0, 1.0), torch.zeros(1, 8, 3)))


def test_moments_of_every_channel():
    moments = record(Moments())
    assert moments["mean"].shape == (STEPS, 2, LAYERS, WIDTH)
    for place in PLACES:
        tokens, at = hidden(place)[0].numpy(), (place[0], ("cond", "uncond").index(place[1]), place[2])
        np.testing.assert_allclose(moments["mean"][at], tokens.mean(0), rtol=1e-10)
        np.testing.assert_allclose(moments["variance"][at], tokens.var(0), rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_moments_of_small_number_types_are_exact(dtype):
    tokens = (torch.randn(1, 5000, 1024, generator=torch.Generator().manual_seed(0)) * 40).to(dtype)  # in two parts
    info = RunInfo(paper_grid(1, 3.0), (None,), (0,), 1, ("cond",))
    seen = SiteEvent(Address(0, 1.0, None, "cond", 0, "block", (1, 50, 100)), tokens)
    moments = Moments().finish(Moments().update(Moments().init(info), seen))
    expected = tokens[0].double().numpy()
    np.testing.assert_allclose(moments["variance"][0, 0, 0], expected.var(0), rtol=1e-10)
    np.testing.assert_allclose(moments["mean"][0, 0, 0], expected.mean(0), rtol=1e-10, atol=1e-10)


def test_the_basis_is_that_of_all_tokens_at_once():
    tokens = torch.cat([hidden(place)[0] for place in PLACES if place[1] == "cond"]).numpy()
    basis = record(ComponentBasis(count=2))
    values, vectors = np.linalg.eigh(np.cov(tokens.T, bias=True))
    np.testing.assert_allclose(np.abs((basis["basis"] * vectors[:, :-3:-1].T).sum(1)), 1, rtol=1e-10)
    np.testing.assert_allclose(basis["mean"], tokens.mean(0), rtol=1e-10)
    np.testing.assert_allclose(basis["scale"] ** 2, values[-1], rtol=1e-10)
    np.testing.assert_allclose(basis["explained"], values[:-3:-1] / values.sum(), rtol=1e-10)
    assert (np.take_along_axis(basis["basis"], np.abs(basis["basis"]).argmax(1)[:, None], 1) > 0).all()


def test_the_basis_of_small_number_types_spans_the_same_space():
    generator = torch.Generator().manual_seed(0)
    tokens = (
        torch.randn(1, 900, 64, generator=generator, dtype=torch.float64)
        @ torch.diag(0.8 ** torch.arange(64.0)).double()
    )
    info = RunInfo(paper_grid(1, 3.0), (None,), (0,), 1, ("cond",))
    found = []
    for dtype in (torch.float64, torch.bfloat16):
        seen = SiteEvent(Address(0, 1.0, None, "cond", 0, "block", (1, 30, 30)), tokens.to(dtype))
        recorder = ComponentBasis()
        found.append(recorder.finish(recorder.update(recorder.init(info), seen))["basis"])
    assert np.linalg.svd(found[0] @ found[1].T, compute_uv=False).min() > 0.95


def test_components_are_coordinates_on_one_scale():
    basis = record(ComponentBasis())
    components = record(TokenComponents(basis))
    assert (components.shape, components.dtype) == ((STEPS, 2, LAYERS, 3, *GRID), np.float32)
    expected = (hidden((1, "uncond", 1))[0].numpy() - basis["mean"]) @ basis["basis"].T / basis["scale"]
    np.testing.assert_allclose(components[1, 1, 1], expected.T.reshape(3, *GRID), rtol=1e-5)
    cond = components[:, 0, :, 0]
    np.testing.assert_allclose([cond.mean(), cond.std()], [0, 1], atol=1e-5)  # of the calibrating tokens themselves


@pytest.mark.parametrize("basis", [{}, {"basis": 1}, None, {"basis": np.eye(2), "mean": np.ones(3), "scale": 1.0}])
def test_what_is_no_basis_is_refused(basis):
    with pytest.raises(BadInputError, match="It is the record of a ComponentBasis"):
        TokenComponents(basis)


def test_the_basis_of_another_model_is_refused():
    with pytest.raises(BadInputError, match="A basis of 5 channels came for hidden states of 7"):
        record(TokenComponents({"basis": np.eye(2, 5), "mean": np.zeros(5), "scale": 1.0}))


def test_cka_of_layers_and_of_steps():
    gram = record(Gram())
    assert (gram["layers"].shape, gram["steps"].shape) == ((STEPS, 2, LAYERS, LAYERS), (2, LAYERS, STEPS, STEPS))
    layers, steps = [(1, "uncond", 0), (1, "uncond", 1)], [(0, "cond", 1), (2, "cond", 1)]
    np.testing.assert_allclose(gram["layers"][1, 1, 0, 1], debiased_cka(*(hidden(p)[0] for p in layers)), rtol=1e-10)
    np.testing.assert_allclose(gram["steps"][0, 1, 0, 2], debiased_cka(*(hidden(p)[0] for p in steps)), rtol=1e-10)
    np.testing.assert_allclose(np.diagonal(gram["layers"], axis1=2, axis2=3), 1, rtol=1e-10)


def test_cka_of_some_tokens_is_near_that_of_all():
    place, width, tokens = Address(0, 1.0, None, "cond", 0, "block", (4, 25, 40)), 64, 4000
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(tokens, 6, generator=generator) @ torch.randn(6, width, generator=generator)
    second = first + torch.randn(tokens, width, generator=generator)
    info, recorder = RunInfo(paper_grid(1, 3.0), (None,), (0,), 2, ("cond",)), Gram(tokens=512)
    state = recorder.update(recorder.init(info), SiteEvent(place, first[None]))
    state = recorder.update(state, SiteEvent(Address(0, 1.0, None, "cond", 1, "block", (4, 25, 40)), second[None]))
    assert abs(recorder.finish(state)["layers"][0, 0, 0, 1] - debiased_cka(first, second)) < 0.02


@pytest.mark.parametrize(
    ("recorder", "shape"), [(Gram, (2, STEPS, 2, LAYERS, LAYERS)), (Raw, (2, STEPS, LAYERS, TOKENS, WIDTH))]
)
def test_a_batch_comes_first(recorder, shape):
    result = record(recorder(), rows=2)
    result = result["layers"] if isinstance(result, dict) else result
    assert result.shape == shape


def test_steps_before_a_fork_are_missing():
    late = [event(place) for place in PLACES if place[0] > 0]
    for name in ("raw_block", "gram", "moments", "token_components", "seed_variance"):
        for value in flat(EVERY[name]().finish(fold(EVERY[name](), late))).values():
            assert np.isnan(value).any()
            assert np.isfinite(value).any()


@pytest.mark.parametrize("tokens", [3, 0])
def test_too_few_tokens_for_cka_are_refused(tokens):
    with pytest.raises(BadInputError, match="CKA compares at least 4"):
        Gram(tokens=tokens)


def test_seeds_are_split_into_what_they_share():
    scene = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    recorder, records, drawn = SeedVariance(tokens=TOKENS), [], []
    for seed in range(3):
        own = 0.5 * torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        drawn.append((scene + own - (scene + own).mean(0)).numpy().ravel())
        seen = SiteEvent(Address(0, 1.0, None, "cond", 0, "block", GRID), (scene + own)[None])
        records.append(recorder.finish(fold(recorder, [seen])))
    shared, specific = seed_parts(records)
    pairs = [drawn[a] @ drawn[b] for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(shared[0, 0], np.mean(pairs), rtol=1e-10)
    np.testing.assert_allclose((shared + specific)[0, 0], np.mean([d @ d for d in drawn]), rtol=1e-10)
    assert np.isnan(shared[1:]).all()


def test_rows_of_a_batch_are_seeds():
    recorder = SeedVariance(tokens=5)
    apart = seed_parts([record(SeedVariance(tokens=5), seed=1), record(SeedVariance(tokens=5), seed=2)])
    both = [SiteEvent(event(p).address, torch.cat([hidden(p, seed=1), hidden(p, seed=2)])) for p in PLACES]
    np.testing.assert_allclose(seed_parts([recorder.finish(fold(recorder, both))]), apart, rtol=1e-10)


@pytest.mark.parametrize("count", [0, 1])
def test_one_seed_shares_nothing(count):
    with pytest.raises(BadInputError, match="fewer than two seeds"):
        seed_parts([record(SeedVariance())] * count)


def test_raw_keeps_what_was_asked_for():
    raw = record(Raw(layers=(1, 0), steps=(2,)))
    assert (raw.shape, raw.dtype) == ((1, 2, TOKENS, WIDTH), np.float32)
    np.testing.assert_array_equal(raw[0, 0], hidden((2, "cond", 1))[0].float().numpy())


def test_raw_of_some_tokens_is_one_draw_at_every_place():
    whole, some = record(Raw()), record(Raw(tokens=5))
    rows = [np.flatnonzero((whole[0, 0] == row).all(1)).item() for row in some[0, 0]]
    assert len(set(rows)) == 5
    np.testing.assert_array_equal(some, whole[:, :, rows])
    np.testing.assert_array_equal(record(Raw(tokens=TOKENS + 1)), whole)
    needed = STEPS * LAYERS * 5 * WIDTH * 4
    assert record(Raw(tokens=5, budget=needed)).nbytes == needed


def test_raw_keeps_a_copy():
    recorder, tokens = Raw(), hidden(PLACES[0]).float()
    state = recorder.update(recorder.init(INFO), SiteEvent(event(PLACES[0]).address, tokens))
    kept = tokens.clone()
    tokens.zero_()
    np.testing.assert_array_equal(recorder.finish(state)[0, 0], kept[0].numpy())


def test_raw_refuses_to_go_over_its_budget():
    needed = STEPS * LAYERS * TOKENS * WIDTH * 4
    assert record(Raw(budget=needed)).nbytes == needed
    with pytest.raises(PlanError, match=rf"raw_block would keep {needed:,} bytes .* The budget is {needed - 1:,}\."):
        record(Raw(budget=needed - 1))


@pytest.mark.parametrize(("count", "steps"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (9, [0, 1, 2])])
def test_raw_of_so_many_steps(count, steps):
    np.testing.assert_array_equal(record(Raw(steps=count)), record(Raw())[steps])


@pytest.mark.parametrize("steps", [(3,), (), (0, 0), 0])
def test_raw_refuses_steps_that_are_not_there(steps):
    with pytest.raises(PlanError, match="raw_block came with steps"):
        Raw(steps=steps).init(INFO)


def test_raw_of_another_site():
    run, start = make_run(Layered(), Euler(), num_steps=2)
    before = denoise(run, start, [Raw("resid_pre", layers=(1,)), Raw(layers=(0,))])[2]
    np.testing.assert_array_equal(before["raw_resid_pre"], before["raw_block"])


@pytest.mark.parametrize("name", recorders.names())
def test_every_named_recorder_can_be_made(name):
    assert recorders.get(name).name == name.replace("-", "_")


def query_keys(place):
    generator = torch.Generator().manual_seed(10 * place[0] + place[2])
    states = torch.randn(1, 2, 3, TOKENS, 4, generator=generator, dtype=torch.float64)
    step, branch, layer = place
    return SiteEvent(Address(step, 1.0, None, branch, layer, "self_attn_qk", GRID), states)


def test_attention_between_frames_however_the_stream_is_cut():
    recorder, events = CrossFrameAttention(queries=2), [query_keys(place) for place in PLACES]
    whole = recorder.finish(fold(recorder, events))
    assert (whole.shape, whole.dtype) == ((STEPS, 2, LAYERS, GRID[0], GRID[0]), np.float32)
    np.testing.assert_allclose(whole.sum(-1), 1, rtol=1e-6)
    for cut in range(1, len(events)):
        merged = recorder.merge(fold(recorder, events[:cut]), fold(recorder, events[cut:]))
        np.testing.assert_array_equal(recorder.finish(merged), whole)


def test_attention_that_stays_in_its_frame():
    states = torch.zeros(1, 2, 1, TOKENS, GRID[0])
    states[..., : TOKENS // 2, 0] = states[..., TOKENS // 2 :, 1] = 20.0
    seen = SiteEvent(Address(0, 1.0, None, "cond", 0, "self_attn_qk", GRID), states)
    mass = CrossFrameAttention().finish(fold(CrossFrameAttention(), [seen]))
    np.testing.assert_allclose(mass[0, 0, 0], np.eye(2), atol=1e-6)


def test_text_takes_its_part_of_the_mass():
    states = torch.zeros(1, 2, 1, 2 * TOKENS, 4)  # as much text as video, and every token alike
    seen = SiteEvent(Address(0, 1.0, None, "cond", 0, "self_attn_qk", GRID), states)
    mass = CrossFrameAttention().finish(fold(CrossFrameAttention(), [seen]))
    np.testing.assert_allclose(mass[0, 0, 0], np.full((2, 2), 0.25))


def test_no_query_is_refused():
    with pytest.raises(BadInputError, match="Allowed is 1 or more a frame"):
        CrossFrameAttention(queries=0)
