"""What is to be recorded, as a value: a model by reference, samples, seeds, settings.

    unit = one sample x one seed,   key = sha256 of (its description, weights, threads, chunk)

A description holds everything that a unit's bytes depend on.  A sample enters it by content, not by the seed that made
it, so that a task which changes its rules cannot be mistaken for its former self.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stepscope import recorders
from stepscope.denoise import Recorder
from stepscope.errors import BadInputError
from stepscope.scope import Model, load_model
from stepscope.store import digest
from stepscope.tasks import Task

__all__ = ["ModelReference", "Recording", "Settings", "content_digest", "sample_digest"]


@dataclass(frozen=True)
class ModelReference:
    """How to come by a model, anywhere.

    Attributes:
        source: name, folder, hub id, or FILE.py:NAME.
        device: where it computes.
        dtype: its number type; None is the model's own.
        loras: (expert, file) of what is merged into its weights.
        revision: of a hub id.
        offload: what of it waits on the CPU: `none`, `model` or `group`.
    """

    source: str
    device: str = "cpu"
    dtype: str | None = None
    loras: tuple[tuple[str, str], ...] = ()
    revision: str | None = None
    offload: str = "none"

    def load(self) -> Model:
        """The model."""
        options = {name: value for name, value in vars(self).items() if name != "source"}
        return load_model(self.source, **{**options, "loras": dict(self.loras)})


@dataclass(frozen=True)
class Settings:
    """How to denoise; None is the model's own.

    Attributes:
        num_steps: N >= 1.
        guidance: scale of classifier-free guidance; 1 is none.
        solver: `euler`, `heun`, `unipc` or `pipeline`.
        schedule: `paper` or `pipeline`.
        shift: of the `paper` schedule.
        negative_prompt: prompt of the unconditional forward.
        recorders: names, as the command line spells them.
    """

    num_steps: int = 20
    guidance: float | None = None
    solver: str = "euler"
    schedule: str = "paper"
    shift: float | None = None
    negative_prompt: str | None = None
    recorders: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """The keyword arguments of `Model.denoise`, recorders left out."""
        return {name: value for name, value in vars(self).items() if name != "recorders"}

    def fresh_recorders(self) -> list[Recorder]:
        """The recorders themselves."""
        return [recorders.get(name) for name in self.recorders]


@dataclass(frozen=True)
class Recording:
    """A plan: every sample with every seed.

    Attributes:
        model: which model.
        samples: what it is asked; `stepscope.tasks.Sample` or anything with its fields.
        seeds: seeds of the noise.
        settings: how to denoise.
        task: who scores; None for pictures of the user's own.
        asked: how the samples were come by, JSON, for the manifest.
        chunk: rows in a model call, where a plan runs several together.
    """

    model: ModelReference
    samples: Sequence[Any]
    seeds: Sequence[int] = (0,)
    settings: Settings = field(default_factory=Settings)
    task: Task | None = None
    asked: Mapping[str, object] = field(default_factory=dict)
    chunk: int = 1

    def __post_init__(self) -> None:
        if not self.seeds or not self.samples:
            raise BadInputError("A recording came without samples or seeds. It needs one of each. Give --seed 0.")
        if not all(str(getattr(sample, "prompt", "?")).strip() for sample in self.samples):
            raise BadInputError("The prompt came empty. A model is asked in words. Give --prompt some.")


def sample_digest(sample: Any) -> str:
    """A sample's content and seed, everything that is stored of it, as 64 hexadecimal digits."""
    return digest(
        {
            **_asked(sample),
            "masks": {name: _array_digest(mask) for name, mask in getattr(sample, "masks", {}).items()},
            "seed": getattr(sample, "seed", None),
            "solutions": [_array_digest(frames) for frames in getattr(sample, "solutions", ())],
        }
    )


def content_digest(sample: Any) -> str:
    """What makes a puzzle, as 64 hexadecimal digits, equal for one that several seeds make.

    That is the picture, the prompt, the length and the state, in whose place solutions stand where a task has none.
    """
    solutions = () if getattr(sample, "state", None) else getattr(sample, "solutions", ())
    return digest({**_asked(sample), "solutions": [_array_digest(frames) for frames in solutions]})


def _asked(sample: Any) -> dict[str, object]:
    return {
        "first_frame": _array_digest(sample.first_frame),
        "num_frames": sample.num_frames,
        "prompt": sample.prompt,
        "state": getattr(sample, "state", None),
        "task": getattr(sample, "task", None),
    }


def _array_digest(array: np.ndarray) -> list[object]:
    return [hashlib.sha256(array.tobytes()).hexdigest(), str(array.dtype), *array.shape]
