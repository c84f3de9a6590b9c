"""stepscope: a microscope for the denoising steps of video diffusion models.

    model = stepscope.load_model("embedded")                  # or a folder, a hub id, FILE.py:NAME, a live object
    sample = stepscope.tasks.get("maze").sample(3, size=7)
    trace = model.denoise(sample, num_steps=20, seed=1)
    trace.scores[4]                                           # of what the model believed at step 4

Names are loaded when they are first used: importing the package costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepscope import analysis, errors, interventions, recorders, tasks
    from stepscope.denoise import noise
    from stepscope.experiments import run
    from stepscope.models import model_card
    from stepscope.scope import Branch, Model, Trace, generate, load_model, plan
    from stepscope.store import open_record as open

__version__ = "0.1.0"

__all__ = [
    "Branch",
    "Model",
    "Trace",
    "__version__",
    "analysis",
    "errors",
    "generate",
    "interventions",
    "load_model",
    "model_card",
    "noise",
    "open",
    "plan",
    "recorders",
    "run",
    "tasks",
]

_ORIGINS = {
    "Branch": ("scope", "Branch"),
    "Model": ("scope", "Model"),
    "Trace": ("scope", "Trace"),
    "generate": ("scope", "generate"),
    "load_model": ("scope", "load_model"),
    "model_card": ("models", "model_card"),
    "noise": ("denoise", "noise"),
    "open": ("store", "open_record"),
    "plan": ("scope", "plan"),
    "run": ("experiments", "run"),
}
_ROOMS = ("analysis", "errors", "interventions", "recorders", "tasks")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"stepscope.{name}")
    if name not in _ORIGINS:
        raise AttributeError(f"module 'stepscope' has no attribute {name!r}")
    room, attribute = _ORIGINS[name]
    return getattr(import_module(f"stepscope.{room}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
