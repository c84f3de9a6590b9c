"""What is asked of a model: a puzzle of a task, or a picture and a prompt of the user's own.

--task NAME | FILE.py:NAME   --sample N   --dial KEY=VALUE   ->  a sample that can be scored
--image F   --prompt P   --frames T                          ->  a sample that cannot
"""

import hashlib
import inspect
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepscope import tasks
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.tasks import Sample, Task

__all__ = ["Puzzle", "check_dials", "from_picture", "from_task", "load_task", "read_picture"]

SPLIT = "test"


@dataclass(frozen=True)
class Puzzle:
    """One question, and where it comes from.

    Attributes:
        sample: the question.
        task: who scores the answer; None for a picture of the user's own.
        asked: how it was come by, JSON, for the manifest.
        said: what the user must know about it.
    """

    sample: Sample
    task: Task | None
    asked: Mapping[str, Any]
    said: tuple[str, ...] = ()


def from_task(options: Namespace) -> Puzzle:
    """The puzzle that --task, --sample, --split and the dials name."""
    task = load_task(options.task)
    seed, split = options.sample or 0, options.split or SPLIT
    dials = dict(options.dial or ())
    dials |= {} if options.size is None else {"size": options.size}
    dials |= {} if options.frames is None else {"num_frames": options.frames}
    check_dials(task, dials)
    asked = {"split": split, "dials": dials, "sample_seeds": [seed]}
    from stepscope.executors import draw_sample

    return Puzzle(draw_sample(task, seed, split, dials), task, asked)


def read_picture(options: Namespace) -> Any:
    """The user's own picture [Y, X, 3], read before a model is: a wrong path should not cost its loading.

    Raises:
        BadInputError: if the picture cannot be read.
    """
    from stepscope.models import read_image

    return read_image(options.image)


def from_picture(options: Namespace, pixels: Any, model: Any) -> Puzzle:
    """The user's own picture, brought to a size that the model takes, and what is asked of it."""
    from stepscope.models import fit_image

    said: tuple[str, ...] = ()
    codec = getattr(model.loaded.denoiser, "codec", None)
    if codec is not None:
        fitted = fit_image(pixels, codec.sizes, model.card.height * model.card.width)
        pixels, said = fitted.pixels, (fitted.said,)
    num_frames = model.card.num_frames if options.frames is None else options.frames
    asked = {"image": hashlib.sha256(pixels.tobytes()).hexdigest(), "prompt": options.prompt, "num_frames": num_frames}
    return Puzzle(Sample(options.prompt, pixels, num_frames), None, asked, said)


def load_task(name: str) -> Task:
    """The task of a name, or of FILE.py:NAME: the object, or what it returns if it is a callable without arguments.

    Raises:
        UnknownNameError: if no task has the name.
        ModelLoadError: if the file or the name in it does not exist, or cannot be run.
        BadInputError: if it is no task.
    """
    if ".py:" not in name:
        return tasks.get(name)
    from stepscope.models import object_of_file

    found = object_of_file(name)
    if not isinstance(found, Task):
        raise BadInputError(
            f"{name} is a {type(found).__name__}, no task. A task has name, version, palette, sample and score. "
            "Name an object or a class that has them."
        )
    return found


def check_dials(task: Task, dials: Mapping[str, Any]) -> None:
    """Refuse a dial that a task's `sample` does not take.

    Raises:
        UnknownNameError: If it has no such dial.
    """
    given = inspect.signature(task.sample).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in given):
        return
    known = [p.name for p in given if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name != "split"]
    for name in dials:
        if name not in known:
            raise UnknownNameError.of("dial", name, known)
