"""The door: it reads what plain hooks read, writes what it is told, and leaves no trace."""

import pytest
import tiny
import torch
from plain_hooks import ALL_SITES, attached, plainly_hooked

from stepscope.denoise import (
    AbstractIntervention,
    Address,
    Euler,
    Run,
    SiteTap,
    Taps,
    denoise,
    initial_latents,
    steps,
)
from stepscope.errors import PlanError
from stepscope.models import WanDenoiser, attach, pipeline_grid

NUM_STEPS, NUM_LAYERS = 3, 2
ADDRESS = Address(0, 1.0, token_grid=(2, 2, 2))


def inputs(style="wan2.2-a14b", frames=2):
    generator = torch.Generator().manual_seed(1)
    return {
        "hidden_states": torch.randn(1, 4 if style == "wan2.2-ti2v" else 12, frames, 4, 4, generator=generator),
        "timestep": torch.tensor([500.0]),
        "encoder_hidden_states": torch.randn(1, 512, 16, generator=generator),
        "return_dict": False,
    }


def forward(transformer, taps=None, **options):
    with torch.no_grad(), attach(transformer, taps or Taps(), ADDRESS):
        return transformer(**inputs(**options))[0]


@pytest.mark.parametrize("style", tiny.STYLES)
def test_every_site_reads_what_plain_hooks_read(style, tiny_sample):
    pipeline = tiny.pipeline(style)
    denoiser, grid = WanDenoiser(pipeline), pipeline_grid(pipeline.scheduler, NUM_STEPS)
    latents = initial_latents(3, denoiser.latents_shape(tiny_sample))[None]
    seen = {}

    def observe(hidden, address):
        assert address.sigma == grid.sigma(address.step)
        assert address.token_grid == (2, 2, 2)
        seen[address.step, address.cfg_branch, address.expert, address.layer, address.site] = hidden.clone()

    run = Run(denoiser, grid, Euler(), [tiny_sample], [3], 3.0)
    list(steps(run, run.start(latents), [SiteTap(site, observe) for site in ALL_SITES]))
    plain = plainly_hooked(pipeline, tiny_sample, latents, NUM_STEPS)
    assert len(seen) == NUM_STEPS * 2 * NUM_LAYERS * len(ALL_SITES)
    assert seen.keys() == plain.keys()
    assert all(torch.equal(seen[key], plain[key]) for key in seen)


def test_observing_leaves_result_and_model_as_they_were():
    transformer = tiny.transformer("wan2.2-a14b")
    bare, before = forward(transformer), attached(transformer)
    seen = []
    watched = forward(transformer, Taps(tuple(SiteTap(site, lambda h, a: seen.append(a.site)) for site in ALL_SITES)))
    assert seen == list(ALL_SITES) * NUM_LAYERS
    assert torch.equal(watched, bare)
    assert attached(transformer) == before
    assert torch.equal(forward(transformer), bare)


def test_no_trace_after_an_exception():
    transformer = tiny.transformer("wan2.2-a14b")
    before = attached(transformer)

    def fail(hidden, address):
        raise ZeroDivisionError

    masks = (lambda address: torch.eye(2, dtype=torch.bool),)
    for site in ALL_SITES:
        quiet = tuple(SiteTap(each, lambda h, a: None) for each in ALL_SITES if each != site)
        with pytest.raises(ZeroDivisionError):
            forward(transformer, Taps((*quiet, SiteTap(site, fail)), masks))
        assert attached(transformer) == before


@pytest.mark.parametrize("site", ALL_SITES)
def test_an_edit_at_one_layer_and_site_takes_effect_there_only(site):
    transformer = tiny.transformer("wan2.2-a14b")
    before, after = {}, {}

    def into(store):
        return tuple(
            SiteTap(s, lambda h, a: store.update({(a.layer, a.site): h.clone()}))  # observers come after the edit
            for s in ALL_SITES
        )

    forward(transformer, Taps(into(before)))
    forward(transformer, Taps((SiteTap(site, lambda h, a: h * 2 + 1, frozenset({1})), *into(after))))
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    later = ALL_SITES[ALL_SITES.index(site) :]
    assert changed == {(1, s) for s in later}
    assert torch.equal(after[1, site], before[1, site] * 2 + 1)


def test_edits_are_taken_in_order():
    transformer, ramp = tiny.transformer("wan2.2-a14b"), torch.linspace(0, 1, 24)
    empty = SiteTap("block", lambda h, a: h * 0)
    fill = SiteTap("block", lambda h, a: h + ramp)
    assert torch.equal(forward(transformer, Taps((fill, empty))), forward(transformer, Taps((empty,))))
    assert not torch.equal(forward(transformer, Taps((empty, fill))), forward(transformer, Taps((empty,))))


def test_a_mask_hides_frames_from_each_other():
    """With every frame seeing itself only, what frame 0 holds changes nothing in frame 1."""
    transformer = tiny.transformer("wan2.2-a14b")
    seen = {}
    taps = Taps(
        (SiteTap("self_attn", lambda h, a: seen.update({len(seen): h.clone()}), frozenset({0})),),
        (lambda address: torch.eye(2, dtype=torch.bool),),
    )
    for frame_0 in (0.0, 1.0):
        with torch.no_grad(), attach(transformer, taps, ADDRESS):
            given = inputs()
            given["hidden_states"][:, :, 0] += frame_0
            transformer(**given)
    assert torch.equal(seen[0][:, 4:], seen[1][:, 4:])
    assert not torch.equal(seen[0][:, :4], seen[1][:, :4])


def test_masks_are_asked_for_every_layer_and_join():
    transformer = tiny.transformer("wan2.2-a14b")
    asked = []
    causal = torch.ones(2, 2, dtype=torch.bool).tril()

    def first(address):
        asked.append((address.layer, address.site))
        return causal

    both = forward(transformer, Taps((), (first, lambda a: causal.T, lambda a: None)))
    assert asked == [(0, "self_attn"), (1, "self_attn")]
    assert torch.equal(both, forward(transformer, Taps((), (lambda a: causal & causal.T,))))
    assert torch.equal(forward(transformer, Taps((), (lambda a: None,))), forward(transformer))


@pytest.mark.parametrize(
    ("taps", "words"),
    [
        (Taps((SiteTap("mlp", lambda h, a: None, frozenset({2, 7})),)), ["[2, 7]", "0 to 1"]),
        (Taps((SiteTap("mlp", lambda h, a: h[:, :1]),)), ["mlp in layer 0", "[1, 1, 24]", "[1, 8, 24]"]),
        (Taps((), (lambda a: torch.ones(3, 3, dtype=torch.bool),)), ["[3, 3]", "[2, 2]"]),
        (Taps((), (lambda a: torch.zeros(2, 2, dtype=torch.bool),)), ["blinds", "at least itself"]),
    ],
    ids=["layer", "shape", "mask", "blind"],
)
def test_what_cannot_be_attached(taps, words):
    with pytest.raises(PlanError) as caught:
        forward(tiny.transformer("wan2.2-a14b"), taps)
    assert all(word in str(caught.value) for word in words)


def test_a_tuple_of_outputs_keeps_its_tail():
    class Pair(torch.nn.Module):
        def forward(self, hidden):
            return hidden + 1, "tail"

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.ModuleList([Pair()])

        def forward(self, hidden):
            return self.blocks[0](hidden)

    model = Model()
    with attach(model, Taps((SiteTap("block", lambda h, a: h * 10),)), ADDRESS):
        hidden, tail = model(torch.ones(1, 1, 1))
    assert (float(hidden), tail) == (20.0, "tail")


def test_an_intervention_on_a_site_reaches_the_result(tiny_sample):
    """Through the loop: doubling one layer's output at one step moves everything after it, and nothing before."""

    class Double(AbstractIntervention):
        reaches, sites = frozenset({"site"}), ("mlp",)

        def acts_at(self, step, num_steps):
            return step == 1

        def edit_site(self, hidden, address):
            return hidden * 2 if address.layer == 0 else None

    pipeline = tiny.pipeline("wan2.1")
    denoiser, grid = WanDenoiser(pipeline), pipeline_grid(pipeline.scheduler, NUM_STEPS)
    latents = initial_latents(3, denoiser.latents_shape(tiny_sample))[None]

    def events(*interventions):
        run = Run(denoiser, grid, Euler(), [tiny_sample], [3], 1.0, interventions=interventions)
        return denoise(run, run.start(latents))[0]

    same = [torch.equal(a.following, b.following) for a, b in zip(events(), events(Double()), strict=True)]
    assert same == [True, False, False]
