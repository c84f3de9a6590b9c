"""What a run refuses before it starts: one line each, and nothing is corrected silently."""

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from stepscope.denoise import AbstractExchange, AbstractIntervention, Recorder
from stepscope.errors import BadInputError, PlanError

__all__ = [
    "check_alone",
    "check_attached",
    "check_frames",
    "check_latents",
    "check_sample",
    "check_text",
    "check_video_latents",
    "finite_number",
    "whole_number",
]


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
        raise BadInputError(
            f"The first frame came as {_came(frame)}. It must be uint8 [height, width, 3]. Convert it to 8-bit RGB."
        )
    check_text("The prompt", sample.prompt)
    whole_number("num_frames", sample.num_frames, 1)


def check_text(name: str, value: Any) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str):
        raise BadInputError(f"{name} came as {type(value).__name__}. It must be text. Give words.")


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


def finite_number(name: str, value: Any) -> float:
    """The value as a float, refused if it is no number, NaN or infinite."""
    if not isinstance(value, Real) or not math.isfinite(value):
        raise BadInputError(f"{name} came as {value!r}. It must be a finite number. Leave it out for the model's own.")
    return float(value)


def check_frames(frames: Any) -> None:
    """Refuse what is no video in pixels."""
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise BadInputError(
            f"The frames came as {_came(frames)}. They must be uint8 [T, height, width, 3]. Convert them to 8-bit RGB."
        )


def check_video_latents(latents: Any) -> None:
    """Refuse what is no video in latents."""
    if not isinstance(latents, torch.Tensor) or latents.ndim != 4 or not latents.is_floating_point():
        raise BadInputError(
            f"The latents came as {_came(latents)}. Allowed is a floating-point tensor [C, F, H, W], without a batch. "
            "Take one of a trace, such as trace.latents[-1]."
        )


def check_latents(latents: Any, shape: tuple[int, int, int, int]) -> None:
    """Refuse latents from which a run of this shape cannot start."""
    if not isinstance(latents, torch.Tensor) or tuple(latents.shape) != shape or not latents.is_floating_point():
        raise BadInputError(
            f"The latents came as {_came(latents)}. For this sample they are a floating-point tensor {list(shape)} "
            "[C, F, H, W]. Leave them out to start from the seed's noise."
        )
    if not bool(torch.isfinite(latents).all()):
        raise BadInputError("The latents came with NaN or infinity. They must be finite. Look at what made them.")


def check_attached(recorders: Any, interventions: Any, num_layers: int) -> None:
    """Refuse recorders and interventions that are none, share a name, or need layers that the model lacks."""
    _check_several("recorders", recorders)
    _check_several("interventions", interventions)
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
    for intervention in interventions:
        _check_layers(intervention, num_layers)


def check_alone(interventions: Sequence[Any]) -> None:
    """Refuse, for a run on its own, interventions that take from another branch; those of size zero take nothing."""
    for intervention in interventions:
        if isinstance(intervention, AbstractExchange) and not intervention.is_zero:
            raise PlanError(
                f"{type(intervention).__name__} names branch {', '.join(intervention.donors)!r}. A run on its own has "
                "no branches. Put it into a Branch of stepscope.plan."
            )


def _check_layers(intervention: Any, num_layers: int) -> None:
    layers = getattr(intervention, "layers", None)
    if isinstance(layers, tuple) and max(layers, default=0) >= num_layers:
        raise PlanError(
            f"{type(intervention).__name__} has layers up to {max(layers)}. This model has layers 0 to "
            f"{num_layers - 1}. Choose among these."
        )


def _check_several(name: str, value: Any) -> None:
    if not isinstance(value, Sequence):
        raise BadInputError(f"{name} came as {value!r}. Several are taken, as a list. Write {name}=[...].")


def _came(value: Any) -> str:
    """What something is, in a few words."""
    kind = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"{kind} {value.dtype} {list(value.shape)}"
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else kind
