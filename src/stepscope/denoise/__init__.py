"""The mathematics of denoising: knows no model, no file, no plot.

`schedule` where the steps are, `noise` what they start from, `denoiser` what a model must answer, `solver` how to move,
`state` what is known between steps, `intervention` and `recorder` how to write and read, `loop` all of it at work,
`tree` many runs that share what they have in common, `stride` a step of theirs, `chunks` what they share with other
trees, `rehearsal` all of it without a model.
"""

from stepscope.denoise.denoiser import SITES, AbstractDenoiser, Address, Input, Prediction, SiteTap, Taps
from stepscope.denoise.folds import Folds
from stepscope.denoise.intervention import AbstractExchange, AbstractIntervention, Lent, View
from stepscope.denoise.loop import Run, denoise, denoise_pair, steps
from stepscope.denoise.noise import ALL_FRAMES, INITIAL, initial_latents, latents_noise, noise, noise_generator
from stepscope.denoise.recorder import PairedRecorder, Recorder, RunInfo, SiteEvent, StepEvent
from stepscope.denoise.rehearsal import Rehearsal
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
from stepscope.denoise.stride import Fork
from stepscope.denoise.tree import Leaf, Tree, grow, grow_forest

__all__ = [
    "ALL_FRAMES",
    "INITIAL",
    "SITES",
    "AbstractDenoiser",
    "AbstractExchange",
    "AbstractIntervention",
    "AbstractSolver",
    "Address",
    "DenoisingState",
    "Euler",
    "Folds",
    "Fork",
    "Grid",
    "Heun",
    "Input",
    "Leaf",
    "Lent",
    "PairedRecorder",
    "Prediction",
    "Recorder",
    "Rehearsal",
    "Run",
    "RunInfo",
    "SiteEvent",
    "SiteTap",
    "StepEvent",
    "Taps",
    "Tree",
    "View",
    "clean_from_velocity",
    "denoise",
    "denoise_pair",
    "grow",
    "grow_forest",
    "initial_latents",
    "interpolate",
    "latents_noise",
    "lever_arm",
    "noise",
    "noise_generator",
    "paper_grid",
    "steps",
    "velocity_from_clean",
]
