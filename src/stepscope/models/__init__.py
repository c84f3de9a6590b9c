"""Models: the only room that knows diffusers, transformers and the hub.

`loading` from a name to a model, `cards` what is known before that, `weights` what a finding is pinned to; `wan` and
`wan_codec` the Wan family, `live` a user's own denoiser, `scheduler` solvers and the `pipeline` grid, `attach` the one
door to a transformer's insides, `images` a user's own picture.  diffusers is imported when a model is loaded.
"""

from stepscope.models.attach import attach
from stepscope.models.cards import Card, model_card, model_names
from stepscope.models.images import FittedImage, fit_image, read_image
from stepscope.models.live import LiveDenoiser
from stepscope.models.loading import LoadedModel, Reference, load
from stepscope.models.scheduler import SOLVERS, SchedulerSolver, pipeline_grid, solver_named
from stepscope.models.wan import WanCondition, WanDenoiser
from stepscope.models.wan_codec import WanCodec

__all__ = [
    "SOLVERS",
    "Card",
    "FittedImage",
    "LiveDenoiser",
    "LoadedModel",
    "Reference",
    "SchedulerSolver",
    "WanCodec",
    "WanCondition",
    "WanDenoiser",
    "attach",
    "fit_image",
    "load",
    "model_card",
    "model_names",
    "pipeline_grid",
    "read_image",
    "solver_named",
]
