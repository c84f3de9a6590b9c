"""CogVideoX two ways: the pipeline's own call, and our run of the same."""

import tiny
import torch
from PIL import Image

from stepscope.denoise import ALL_FRAMES, SITES, Run, initial_latents, noise_generator
from stepscope.models import CogVideoXDenoiser, solver_named

NUM_STEPS, NUM_LAYERS, SEED = 4, 2, 3
GUIDANCE = {"without guidance": 1.0, "guided": 3.0}
SAMPLE = tiny.TinySample(first_frame=tiny.picture(1, 32, 48), num_frames=9)
GRID = {"1.0": (3, 2, 3), "1.5": (2, 2, 3)}
SITES_HERE = tuple(site for site in SITES if site != "cross_attn")
DEFAULTS = {  # diffusers' own, under which the first step is not pure noise
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
    "rescale_betas_zero_snr": False,
    "snr_shift_scale": 3.0,
}


def run_of(pipeline, guidance, solver="pipeline", num_steps=NUM_STEPS, **options):
    denoiser = CogVideoXDenoiser(pipeline)
    grid = denoiser.pipeline_grid(SAMPLE, num_steps, None)
    solver = solver_named(solver, pipeline.scheduler)
    return Run(denoiser, grid, solver, [SAMPLE], [SEED], guidance, "blurry", **options)


def noise(denoiser, sample=SAMPLE, seed=SEED):
    return initial_latents(seed, denoiser.latents_shape(sample))[None]


def called(pipeline, guidance, latents, num_steps=NUM_STEPS, output_type="latent"):
    """The stock call, its generator seeded 0 for the first frame and anew before every step for the scheduler."""
    generator, forwards = torch.Generator().manual_seed(0), []

    def seed(*_):
        generator.set_state(noise_generator(SEED, len(forwards), ALL_FRAMES).get_state())
        forwards.append(None)

    is_random = type(pipeline.scheduler).__name__ == "CogVideoXDPMScheduler"
    handle = pipeline.transformer.register_forward_pre_hook(seed) if is_random else None
    frames = pipeline(
        image=Image.fromarray(SAMPLE.first_frame),
        prompt=SAMPLE.prompt,
        negative_prompt="blurry",
        height=32,
        width=48,
        num_frames=9,
        num_inference_steps=num_steps,
        guidance_scale=guidance,
        latents=latents.transpose(1, 2),
        generator=generator,
        output_type=output_type,
    ).frames
    if handle is not None:
        handle.remove()
    return frames.transpose(1, 2) if output_type == "latent" else frames
