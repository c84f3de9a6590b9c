"""What a run refuses before it starts: one line each, and nothing is corrected silently."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stepscope.denoise import AbstractIntervention, Recorder
from stepscope.errors import BadInputError, PlanError

__all__ = ["check_attached", "check_finite", "check_latents", "check_sample", "whole_number"]


def check_sample(sample: Any) -> None:
    """Refuse what is no sample."""
    lacking = [name for name in ("prompt", "first_frame", "num_frames") if not hasattr(sample, name)]
    if lacking:
        raise BadInputError(
            f"The sample came as {type(sample).__name__} without {', '.join(lacking)}. A sample has a prompt, a first "
            "frame and a number of frames. Take one from a task, or build a stepscope.tasks.Sample."
        )
    frame = sample.first_frame
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        came = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise BadInputError(
            f"The first frame came as {came}. It must be uint8 [height, width, 3]. Convert it to 8-bit RGB."
        )
    if not isinstance(sample.prompt, str):
        raise BadInputError(f"The prompt came as {type(sample.prompt).__name__}. It must be text. Give words.")
    whole_number("num_frames", sample.num_frames, 1)


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """The value as an int, refused if it is none or too small."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        allowed = "whole numbers" if least is None else f"whole numbers from {least} up"
        raise BadInputError(f"{name} came as {value!r}. Allowed are {allowed}. Give one of these.")
    return number


def check_finite(name: str, value: Any) -> None:
    """Refuse a number that is NaN or infinite."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInputError(f"{name} came as {value!r}. It must be a finite number. Leave it out for the model's own.")


def check_latents(latents: Any, shape: tuple[int, int, int, int]) -> None:
    """Refuse latents from which a run of this shape cannot start."""
    if not isinstance(latents, torch.Tensor) or tuple(latents.shape) != shape or not latents.is_floating_point():
        is_tensor = isinstance(latents, torch.Tensor)
        came = f"{latents.dtype} {list(latents.shape)}" if is_tensor else type(latents).__name__
        raise BadInputError(
            f"The latents came as {came}. For this sample they are a floating-point tensor {list(shape)} "
            "[C, F, H, W]. Leave them out to start from the seed's noise."
        )
    if not bool(torch.isfinite(latents).all()):
        raise BadInputError("The latents came with NaN or infinity. They must be finite. Look at what made them.")


def check_attached(recorders: Sequence[Any], interventions: Sequence[Any], num_layers: int) -> None:
    """Refuse recorders and interventions that are none, share a name, or need layers that the model lacks."""
    for recorder in recorders:
        if isinstance(recorder, type) or not isinstance(recorder, Recorder):
            raise BadInputError(
                f"{recorder!r} came as a recorder. A recorder has name, init, update, merge and finish. "
                "Pass an object such as stepscope.recorders.TokenEnergy()."
            )
    names = [recorder.name for recorder in recorders]
    if len(set(names)) < len(names):
        raise BadInputError(f"Recorders came with the names {', '.join(names)}. Names are unique. Rename one of them.")
    for intervention in interventions:
        if not isinstance(intervention, AbstractIntervention):
            raise BadInputError(
                f"{intervention!r} came as an intervention. One is needed such as stepscope.interventions.AddNoise, "
                "or a subclass of AbstractIntervention. Pass one of these."
            )
    inside = [recorder.name for recorder in recorders if getattr(recorder, "sites", ())]
    inside += [type(each).__name__ for each in interventions if each.reaches & {"site", "attention"}]
    if inside and num_layers == 0:
        raise PlanError(
            f"{', '.join(inside)} came for a model without layers. They need a transformer. Leave them out."
        )
