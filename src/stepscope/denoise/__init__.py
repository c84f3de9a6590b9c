"""The mathematics of denoising: knows no model, no file, no plot.

`schedule` where the steps are, `noise` what they start from, `denoiser` what a model must answer, `solver` how to move,
`state` what is known between steps, `intervention` and `recorder` how to write and read, `loop` all of it at work.
"""

from stepscope.denoise.denoiser import SITES, AbstractDenoiser, Address, Input, Prediction, SiteTap, Taps
from stepscope.denoise.intervention import AbstractIntervention, View
from stepscope.denoise.loop import Run, denoise, denoise_pair, steps
from stepscope.denoise.noise import INITIAL, initial_latents, latents_noise, noise
from stepscope.denoise.recorder import PairedRecorder, Recorder, RunInfo, SiteEvent, StepEvent
from stepscope.denoise.schedule import (
    Grid,
    clean_from_velocity,
    interpolate,
    lever_arm,
    paper_grid,
    velocity_from_clean,
)
from stepscope.denoise.solver import AbstractSolver, Euler, Heun
from stepscope.denoise.state import DenoisingState

__all__ = [
    "INITIAL",
    "SITES",
    "AbstractDenoiser",
    "AbstractIntervention",
    "AbstractSolver",
    "Address",
    "DenoisingState",
    "Euler",
    "Grid",
    "Heun",
    "Input",
    "PairedRecorder",
    "Prediction",
    "Recorder",
    "Run",
    "RunInfo",
    "SiteEvent",
    "SiteTap",
    "StepEvent",
    "Taps",
    "View",
    "clean_from_velocity",
    "denoise",
    "denoise_pair",
    "initial_latents",
    "interpolate",
    "latents_noise",
    "lever_arm",
    "noise",
    "paper_grid",
    "steps",
    "velocity_from_clean",
]
