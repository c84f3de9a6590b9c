"""Verifiers: which of several estimates is most promising; each is named, knows what its name says, and no more.

    oracle         the task's own score of the decoded frames: success, then progress. An upper bound, no method
    rule           the task's rule without the solution (`Task.rule`), on the decoded frames: is it one legal path?
    multiplicity   the model alone: minus (sum e)² / sum e², e_p = |x0_hat - x0_still| at place p: a mixture of plans is
                   fainter and spread over more places than one plan
    agreement      the model alone: minus the mean squared distance to the estimates of the other seeds. A mixture of
                   all plans is near to all of them: good against outliers, bad where some have not chosen
    f(frames, sample) -> float     the user's own, on the decoded frames

Larger is better, and the first of equals wins.  The two that know the model alone work in the latents and decode
nothing; all others cost a decoding of every estimate.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from stepscope import tasks
from stepscope.errors import BadInputError, PlanError, StepscopeError, UnknownNameError
from stepscope.scope.model import Model
from stepscope.scope.scoring import scored
from stepscope.shapes import Frames, Latents
from stepscope.tasks import Task

__all__ = ["OWN", "VERIFIERS", "Judge", "judge_named"]

Judge = Callable[[Sequence[Latents]], list[float]]
"""From the estimates of several seeds to a value each."""

VERIFIERS = ("agreement", "multiplicity", "oracle", "rule")
"""The verifiers that have a name."""

OWN = "own"
"""What a verifier of the user's own is called."""


def judge_named(verifier: Any, model: Model, sample: Any, task: Task | str | None) -> tuple[str, Judge]:
    """The name of a verifier, and what it does.

    Args:
        verifier: one of `VERIFIERS`, a function f(frames, sample) -> float, or None for `multiplicity`.
        model: whose codec is used.
        sample: the question.
        task: who scores, or its name; None for the task that the sample names. Only `oracle` and `rule` look at it.

    Raises:
        UnknownNameError: If there is no such verifier, or task.
        PlanError: If the verifier needs a task, or a rule, that there is not.
    """
    if callable(verifier):
        return OWN, _on_frames(model, lambda frames: _asked(verifier, frames, sample))
    match verifier:
        case None | "multiplicity":
            return "multiplicity", lambda estimates: _multiplicity(estimates, _still(model, sample))
        case "agreement":
            return verifier, _agreement
        case "oracle":
            judge = _task_of(sample, task)
            return verifier, _on_frames(model, lambda frames: _worth(frames, sample, judge))
        case "rule":
            rule = _rule_of(_task_of(sample, task))
            return verifier, _on_frames(model, lambda frames: _asked(rule, frames, sample))
    raise UnknownNameError.of("verifier", verifier, VERIFIERS)


def _agreement(estimates: Sequence[Latents]) -> list[float]:
    flat = torch.stack([each.double().flatten() for each in estimates])
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square().sum(1)
    return (-distances / (max(len(flat) - 1, 1) * flat.shape[1])).tolist()


def _multiplicity(estimates: Sequence[Latents], still: Latents) -> list[float]:
    drawn = torch.stack([(each.double() - still.to(each)).norm(dim=0).flatten() for each in estimates])
    spread = drawn.sum(1).square() / drawn.square().sum(1).clamp_min(torch.finfo(torch.float64).tiny)
    return (-spread).tolist()


def _still(model: Model, sample: Any) -> Latents:
    return model.encode(np.repeat(sample.first_frame[None], sample.num_frames, axis=0))


def _on_frames(model: Model, value: Callable[[Frames], float]) -> Judge:
    return lambda estimates: [value(model.decode(each)) for each in estimates]


def _worth(frames: Frames, sample: Any, task: Task) -> float:
    score = scored(frames, sample, task)
    return -1.0 if score.success is None else float(score.success) + score.progress


def _task_of(sample: Any, task: Task | str | None) -> Task:
    name = getattr(sample, "task", None)
    if task is None and name not in tasks.names():
        raise PlanError(
            "Verifiers 'oracle' and 'rule' ask a task, and the sample names none that is known. Pass the task, or "
            "choose 'agreement', 'multiplicity' or a function of your own."
        )
    return tasks.get(name if task is None else task)


def _rule_of(task: Task) -> Callable[..., Any]:
    rule = getattr(task, "rule", None)
    if not callable(rule):
        raise PlanError(
            f"Verifier 'rule' was asked for. Task {task.name!r} has no rule(frames, sample) that does without the "
            "solution. Choose 'agreement', 'multiplicity' or a function of your own."
        )
    return rule


def _asked(function: Callable[[Frames, Any], Any], frames: Frames, sample: Any) -> float:
    """What a function says of frames; what it raises is told in one line."""
    try:
        value = function(frames, sample)
    except StepscopeError:
        raise
    except Exception as error:
        raise BadInputError(
            f"The verifier failed ({type(error).__name__}: {error}). It is called with frames uint8 [T, H, W, 3] and "
            "the sample. Mend the function."
        ) from error
    try:
        finite = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        finite = False
    if not finite:
        raise BadInputError(
            f"The verifier gave {value!r}. It must give a finite number, larger for better. Mend the function."
        )
    return float(value)
