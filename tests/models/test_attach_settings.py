"""The door under what people do to large models: bfloat16, weights that are offloaded, blocks that are compiled.

Every site is read and edited in both experts and CFG branches, and read as plain hooks read it under the same setting.
"""

import copy

import pytest
import tiny
import torch
from diffusers.hooks import apply_group_offloading
from plain_hooks import ALL_SITES, attached, plainly_hooked, strangers_hooks

from stepscope.denoise import Address, Euler, Run, SiteTap, Taps, initial_latents, steps
from stepscope.errors import PlanError
from stepscope.models import WanDenoiser, attach, load, pipeline_grid
from stepscope.models.offload import settle

NUM_STEPS, NUM_LAYERS = 3, 2
CPU = torch.device("cpu")


def small(tmp_path):
    """Loaded as bfloat16: some modules stay in float32."""
    tiny.pipeline("wan2.2-a14b").save_pretrained(tmp_path)
    return load(tmp_path, dtype="bfloat16").pipeline


def offloaded(kind, **options):
    def make(tmp_path):
        made = tiny.pipeline("wan2.2-a14b")
        for expert in (made.transformer, made.transformer_2):
            apply_group_offloading(expert, onload_device=CPU, offload_device=CPU, offload_type=kind, **options)
        return made

    return make


SETTINGS = {
    "bfloat16": small,
    "experts taking turns": lambda tmp_path: settle(tiny.pipeline("wan2.2-a14b"), CPU, "model"),
    "offloaded leaf by leaf": offloaded("leaf_level"),
    "offloaded block by block": offloaded("block_level", num_blocks_per_group=1),
}


@pytest.fixture(scope="module", params=SETTINGS)
def pipeline(request, tmp_path_factory):
    return SETTINGS[request.param](tmp_path_factory.mktemp("pipeline"))


def run_of(pipeline, sample, **options):
    denoiser, grid = WanDenoiser(pipeline), pipeline_grid(pipeline.scheduler, NUM_STEPS)
    latents = initial_latents(3, denoiser.latents_shape(sample))[None]
    run = Run(denoiser, grid, Euler(), [sample], [3], 3.0, **options)
    return run, run.start(latents)


def test_every_site_reads_what_plain_hooks_read(pipeline, tiny_sample):
    seen = {}

    def observe(hidden, address):
        seen[address.step, address.cfg_branch, address.expert, address.layer, address.site] = hidden.clone()

    run, start = run_of(pipeline, tiny_sample)
    before = [attached(expert) for expert in (pipeline.transformer, pipeline.transformer_2)]
    watched = list(steps(run, start, [SiteTap(site, observe) for site in ALL_SITES]))
    assert [attached(expert) for expert in (pipeline.transformer, pipeline.transformer_2)] == before
    with strangers_hooks(pipeline) as plain:
        bare = list(steps(run, start))
    assert len(seen) == NUM_STEPS * 2 * NUM_LAYERS * len(ALL_SITES)
    assert {key[2] for key in seen} == {"high_noise", "low_noise"}
    assert seen.keys() == plain.keys()
    assert all(torch.equal(seen[key], plain[key]) for key in seen)
    assert all(torch.equal(a[1].latents, b[1].latents) for a, b in zip(watched, bare, strict=True))
    stock = plainly_hooked(pipeline, tiny_sample, start.latents, NUM_STEPS)  # after a step it may round its latents
    assert all(torch.equal(seen[key], stock[key]) for key in seen if key[0] == 0)


@pytest.mark.parametrize("site", ALL_SITES)
@pytest.mark.parametrize("branch", ["cond", "uncond"])
def test_an_edit_reaches_one_branch_of_every_expert(pipeline, tiny_sample, site, branch):
    heard = set()

    def edit(hidden, address):
        heard.add((address.expert, address.cfg_branch))
        return hidden.float() * 1.5 if address.cfg_branch == branch else None

    run, start = run_of(pipeline, tiny_sample)
    taps = [SiteTap(site, edit, frozenset({1}))]
    denoiser, condition = run.denoiser, run.denoiser.condition(run.samples, 3.0, None)
    for step in (0, NUM_STEPS - 1):
        plain, edited = (
            denoiser.predict(start.latents, step, run.grid, condition, 3.0, Taps(tuple(each))) for each in ([], taps)
        )
        assert torch.equal(edited.cond, plain.cond) == (branch == "uncond")
        assert not torch.equal(edited.velocity, plain.velocity)
    assert heard == {(expert, each) for expert in ("high_noise", "low_noise") for each in ("cond", "uncond")}


ADDRESS = Address(0, 1.0, token_grid=(2, 2, 2))
EAGER = tiny.transformer("wan2.2-a14b")
"""Its copies are compiled, with a backend that keeps the graph as it is: what is at stake is who sees hooks."""


def in_place(transformer):
    for block in transformer.blocks:
        block.compile(backend="eager")
    return transformer


def wrapped(transformer):
    for index, block in enumerate(transformer.blocks):
        transformer.blocks[index] = torch.compile(block, backend="eager")
    return transformer


def as_a_whole(transformer):
    transformer.compile(backend="eager")
    return transformer


WHOLE = {"wrapped": lambda transformer: torch.compile(transformer, backend="eager"), "in place": as_a_whole}
BLOCKS = {"in place": in_place, "wrapped": wrapped}


def forward(transformer, taps=None):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad(), attach(transformer, taps or Taps(), ADDRESS):
        return transformer(
            hidden_states=torch.randn(1, 12, 2, 4, 4, generator=generator),
            timestep=torch.tensor([500.0]),
            encoder_hidden_states=torch.randn(1, 512, 16, generator=generator),
            return_dict=False,
        )[0]


def reading(sites, into):
    return Taps(tuple(SiteTap(s, lambda h, a: into.update({(a.layer, a.site): h.clone()})) for s in sites))


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_that_are_compiled_are_tapped_from_outside(kind):
    compiled, sites = BLOCKS[kind](copy.deepcopy(EAGER)), ("resid_pre", "block")
    before, plain, seen, expected = attached(compiled), forward(compiled), {}, {}
    for _ in range(10):  # taps are new at every forward, and nothing is compiled anew for them
        assert torch.equal(forward(compiled, reading(sites, seen)), plain)
    forward(EAGER, reading(sites, expected))
    assert seen.keys() == expected.keys()
    for place, hidden in seen.items():
        torch.testing.assert_close(hidden, expected[place], rtol=1e-4, atol=1e-4)
    double = Taps((SiteTap("block", lambda h, a: h * 2, frozenset({0})),))
    torch.testing.assert_close(forward(compiled, double), forward(EAGER, double), rtol=1e-4, atol=1e-4)
    assert attached(compiled) == before


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("site", ["self_attn", "cross_attn", "mlp", "self_attn_qk"])
def test_the_inside_of_a_compiled_block_is_refused(kind, site):
    compiled = BLOCKS[kind](copy.deepcopy(EAGER))
    before = attached(compiled)
    with pytest.raises(PlanError, match=rf"Layer 1 is compiled and came to be tapped inside \({site}\)"):
        forward(compiled, Taps((SiteTap(site, lambda h, a: None, frozenset({1})),)))
    with pytest.raises(PlanError, match=r"Layer 0 .* \(attention masks\)"):
        forward(compiled, Taps((), (lambda address: torch.eye(2, dtype=torch.bool),)))
    assert attached(compiled) == before


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("site", ["block", "mlp"])
def test_a_transformer_that_is_compiled_as_a_whole_is_refused(kind, site):
    compiled = WHOLE[kind](copy.deepcopy(EAGER))
    with pytest.raises(PlanError, match="compiled as a whole") as caught:
        forward(compiled, Taps((SiteTap(site, lambda h, a: None),)))
    assert "\n" not in str(caught.value)
    torch.testing.assert_close(forward(compiled), forward(EAGER), rtol=1e-4, atol=1e-4)


def test_an_attention_that_is_compiled_by_itself_is_open_outside():
    compiled, seen = copy.deepcopy(EAGER), {}
    compiled.blocks[0].attn1.compile(backend="eager")
    forward(compiled, reading(("self_attn", "mlp"), seen))
    assert len(seen) == 2 * NUM_LAYERS
    with pytest.raises(PlanError, match=r"Layer 0 is compiled and came to be tapped inside \(self_attn_qk\)"):
        forward(compiled, reading(("self_attn_qk",), seen))
