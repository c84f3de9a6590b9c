"""Memory of an estimate: what is counted on the meta device is what an allocator gives out for the same work."""

import pytest
import tiny
import torch
from allocated import allocated
from torch.utils._pytree import tree_leaves

from stepscope.denoise import Taps, paper_grid
from stepscope.models.cards import Card
from stepscope.models.estimate import estimate
from stepscope.models.loading import of_family
from stepscope.models.meta_memory import with_peak_bytes
from stepscope.models.meta_pipeline import networks, weights_of
from stepscope.models.meta_run import Blank, MetaRun
from stepscope.models.offload import tiling

FAMILIES = {
    "wan2.1": lambda: tiny.pipeline("wan2.1"),
    "wan2.2-ti2v": lambda: tiny.pipeline("wan2.2-ti2v"),
    "ltx": tiny.ltx_pipeline,
    "ltx-conditioned": lambda: tiny.ltx_pipeline(conditioned=True, noisy_decoder=True),
    "cogvideox": tiny.cogvideox_pipeline,
    "cogvideox-1.5": lambda: tiny.cogvideox_pipeline("1.5"),
}
SAMPLE = Blank.of(9, 32, 32)


def in_small_tiles(pipeline):
    """The pipeline, with tiles so small that a small video has four."""
    strides = {"tile_sample_stride_height": 16, "tile_sample_stride_width": 16}
    told = {} if isinstance(pipeline.transformer.config.get("patch_bias"), bool) else strides  # CogVideoX has a share
    pipeline.vae.enable_tiling(tile_sample_min_height=24, tile_sample_min_width=24, **told)
    pipeline.vae.disable_tiling()
    return pipeline


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_are_what_the_allocator_gives_out(family):
    """Every stage, computed on the CPU; what the engine hands over (condition, latents) is there besides."""
    pipeline = in_small_tiles(FAMILIES[family]())
    denoiser = of_family(pipeline, Card())
    latents, grid = torch.zeros(1, *denoiser.latents_shape(SAMPLE)), paper_grid(1, 1.0)
    condition = denoiser.wordless(SAMPLE, 3.0)
    held = sum(leaf.nbytes for leaf in tree_leaves(vars(condition)) if torch.is_tensor(leaf))

    def decode():
        video = denoiser.codec.video(latents[0])
        return pipeline.video_processor.postprocess(video[0].transpose(0, 1), output_type="pt")

    measured = {
        "encode": allocated(lambda: denoiser.wordless(SAMPLE, 3.0)),
        "denoise": held
        + latents.nbytes
        + allocated(lambda: denoiser.predict(latents, 0, grid, condition, 3.0, Taps())),
        "decode": latents.nbytes + allocated(decode),
    }
    with tiling(pipeline.vae):
        measured["decode_in_tiles"] = latents.nbytes + allocated(decode)
    counted = MetaRun(of_family(pipeline.to("meta"), Card()), SAMPLE, 3.0).stages()[1]
    assert counted == pytest.approx(measured, rel=0.02)
    assert counted["decode_in_tiles"] != counted["decode"]


def test_the_worst_of_two_experts_counts():
    """Experts of different width: each is asked."""
    narrow, wide = tiny.pipeline("wan2.2-a14b"), tiny.pipeline("wan2.2-a14b")
    wide.transformer_2 = type(wide.transformer)(**dict(wide.transformer.config) | {"ffn_dim": 4096})
    runs = [MetaRun(of_family(each.to("meta"), Card()), SAMPLE, 1.0) for each in (narrow, wide)]
    few, many = (run.denoise(run.encode()[0])[1] for run in runs)
    assert many - few > 0.9 * 4 * 12 * (4096 - 32)  # a token's channels within the wide feed-forward


def test_offload_counts_who_is_there_together(tmp_path):
    """With offload the VAE stays, beside one network: an encoder while a frame is encoded, an expert afterwards."""
    pipeline = tiny.pipeline("wan2.2-a14b")
    pipeline.save_pretrained(tmp_path)
    found = estimate(str(tmp_path), num_steps=10, num_frames=9, height=32, width=32, dtype="float32", guidance=3)
    held = {name: sum(weight.nbytes for weight in weights_of(part)) for name, part in networks(pipeline).items()}
    used = found.activation_bytes
    run = MetaRun(of_family(pipeline.to("meta"), Card()), SAMPLE, 3.0)
    assert used["denoise"] == run.stages()[1]["denoise"] + 3 * 10 * 4 * 4 * 3 * 4 * 4  # 3 latents of each step are kept
    assert found.peak_bytes["none"] == sum(held.values()) + max(used["denoise"], used["encode"], used["decode"])
    later = held["transformer"] + max(used["denoise"], used["decode_in_tiles"])
    assert found.peak_bytes["model"] == held["vae"] + max(held["text_encoder"] + used["encode"], later)


def test_two_blocks_are_there_under_group_offload(tmp_path):
    pipeline = tiny.ltx_pipeline()
    pipeline.transformer = type(pipeline.transformer)(**dict(pipeline.transformer.config) | {"num_layers": 5})
    pipeline.save_pretrained(tmp_path)
    peaks = estimate(str(tmp_path), num_frames=9, height=32, width=32, dtype="float32").peak_bytes
    block = sum(weight.nbytes for weight in weights_of(pipeline.transformer.transformer_blocks[0]))
    assert peaks["model"] - peaks["group"] == 3 * block


def test_a_large_video_is_decoded_in_tiles():
    """Above the size of a tile, a decoding beside an expert takes far less than a whole one."""
    run = MetaRun(of_family(tiny.pipeline("wan2.1").to("meta"), Card()), Blank.of(1, 512, 512), 1.0)
    whole = run.decode()
    with tiling(run.denoiser.pipeline.vae):
        assert run.decode() < 0.7 * whole


def test_live_bytes_are_counted_exactly():
    def compute():
        first = torch.empty(1000)
        second = first + 1  # 4000 + 4000
        del first
        third = second.view(10, 100) * 2  # a view is no new storage
        return third.to(torch.float64).sum()  # 4000 + 4000 + 8000

    total, peak = with_peak_bytes(compute)
    assert total.dtype == torch.float64
    assert peak == pytest.approx(16_000, abs=8)
    weight = torch.empty(500, 500, device="meta")
    assert with_peak_bytes(lambda: torch.empty(1, 500) @ weight.t(), [weight])[1] == 4000
    assert with_peak_bytes(lambda: torch.empty(500, device="cpu"))[1] == 0


class Remembers(torch.nn.Module):
    """Keeps something of what it is given in a list, as the caches of Wan's VAE; counts how often it really runs."""

    def __init__(self):
        super().__init__()
        self.runs = 0

    def forward(self, x, cache):
        self.runs += 1
        wide = torch.cat([x, x, x])
        cache[0] = wide[: len(x)].clone()
        return wide[1:2]


def test_what_is_recalled_counts_as_if_it_had_run():
    def compute(module):
        cache, kept = [None], []
        for _ in range(4):
            kept.append(module(torch.empty(100), cache))
        return kept

    plain, repeated = Remembers(), Remembers()
    outputs, peak = with_peak_bytes(lambda: compute(plain))
    recalled, peak_recalled = with_peak_bytes(lambda: compute(repeated), (), [repeated])
    assert peak_recalled == peak == 4 * 1200 + 400 + 2 * 400  # views that are kept, an input, an old and a new cache
    assert [each.shape for each in recalled] == [each.shape for each in outputs]
    assert (plain.runs, repeated.runs) == (4, 2)  # once without a cache, once with one
    assert "forward" not in vars(repeated)


def test_attention_is_not_quadratic():
    def compute():
        query = torch.empty(1, 2, 5000, 8)
        return torch.nn.functional.scaled_dot_product_attention(query, query, query)

    assert with_peak_bytes(compute)[1] == 2 * 2 * 5000 * 8 * 4
