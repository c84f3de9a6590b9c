"""Models: the only room that knows diffusers, transformers and the hub.

`loading` from a name to a model, `cards` what is known before that, `weights` what a finding is pinned to; `wan`,
`ltx` and `cogvideox` the families, each with its codec, `live` a user's own denoiser, `scheduler` solvers and the
`pipeline` grid, `cogvideox_scheduler` those of another path, `attach` the one door to a transformer's insides, `inputs`
what every family refuses, `sizes` what it takes, `images` a user's own picture.  diffusers is imported when a model is
loaded.
"""

from stepscope.models.attach import Layout, attach
from stepscope.models.cards import Card, model_card, model_names
from stepscope.models.cogvideox import CogVideoXDenoiser
from stepscope.models.images import FittedImage, fit_image, read_image
from stepscope.models.live import LiveDenoiser
from stepscope.models.loading import LoadedModel, Reference, load
from stepscope.models.ltx import LTXDenoiser
from stepscope.models.preview import kept_matrix, preview
from stepscope.models.scheduler import SOLVERS, SchedulerSolver, pipeline_grid, solver_named
from stepscope.models.user_file import object_of_file
from stepscope.models.wan import WanCondition, WanDenoiser
from stepscope.models.wan_codec import WanCodec

__all__ = [
    "SOLVERS",
    "Card",
    "CogVideoXDenoiser",
    "FittedImage",
    "LTXDenoiser",
    "Layout",
    "LiveDenoiser",
    "LoadedModel",
    "Reference",
    "SchedulerSolver",
    "WanCodec",
    "WanCondition",
    "WanDenoiser",
    "attach",
    "fit_image",
    "kept_matrix",
    "load",
    "model_card",
    "model_names",
    "object_of_file",
    "pipeline_grid",
    "preview",
    "read_image",
    "solver_named",
]
