"""A plan as JSON: written down on one machine, run on another, with the same weights only.

    {"version": 1, "weights_hash": …, "samples": […], "branches": […], "seeds": […], "settings": {…}, "chunk": …}

Samples go in whole, pictures compressed, so the file needs no task; they are read back as `stepscope.tasks.Sample`.
Recorders are code and stay outside: give them again when the plan is read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepscope import interventions
from stepscope.errors import PlanError
from stepscope.interventions import JsonForm, Pixels
from stepscope.scope.branch import Branch
from stepscope.scope.model import Model
from stepscope.scope.planning import Plan, plan
from stepscope.tasks import Sample

__all__ = ["plan_from_json", "plan_to_json"]

_VERSION = 1


def plan_to_json(made: Plan) -> dict[str, Any]:
    """The plan as a JSON object.

    Raises:
        PlanError: If an intervention of the user's own has no JSON form.
    """
    return {
        "version": _VERSION,
        "weights_hash": made.model.weights_hash,
        "samples": [_sample_to_json(sample) for sample in made.samples],
        "branches": [_branch_to_json(branch) for branch in made.branches],
        "seeds": list(made.seeds),
        "settings": {name: value if _is_plain(value) else float(value) for name, value in made.settings.items()},
        "chunk": made.chunk,
    }


def plan_from_json(
    data: Mapping[str, Any],
    model: Model,
    *,
    recorders: Sequence[Any] = (),
    paired: Sequence[Any] = (),
    memory: int | None = None,
) -> Plan:
    """The plan that `plan_to_json` wrote.

    Args:
        data: the JSON object.
        model: a model with the weights that the plan was made for.
        recorders: folds over every branch.
        paired: folds over the clean run and every branch.
        memory: budget in bytes.

    Raises:
        PlanError: If the data are no plan, or the plan was made for other weights.
    """
    made_for = data.get("weights_hash")
    if data.get("version") != _VERSION or not isinstance(made_for, str):
        raise PlanError(
            f"A plan came as JSON of version {data.get('version')!r}. This is version {_VERSION}. Write it anew."
        )
    if made_for != model.weights_hash:
        raise PlanError(
            f"The plan was made for weights {made_for[:19]}. These are {model.weights_hash[:19]} ({model.name}). "
            "Load the model that it was made for, or plan anew."
        )
    try:
        samples = [_sample_from_json(sample) for sample in data["samples"]]
        branches = [_branch_from_json(branch) for branch in data["branches"]]
        options = {"seeds": data["seeds"], "chunk": data["chunk"], **data["settings"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"A plan came as damaged JSON ({error!r}). Write it with plan_to_json.") from error
    return plan(model, samples, branches, recorders=recorders, paired=paired, memory=memory, **options)


def _branch_to_json(branch: Branch) -> dict[str, Any]:
    strange = [i for i in branch.interventions if not isinstance(i, JsonForm)]
    if strange:
        raise PlanError(
            f"{type(strange[0]).__name__} of branch {branch.name!r} has no JSON form. Those of stepscope.interventions "
            "have. Derive it from JsonForm, or keep the plan in this process."
        )
    return {
        "name": branch.name,
        "interventions": [interventions.to_json(i) for i in branch.interventions],
        "sample": None if branch.sample is None else _sample_to_json(branch.sample),
        "seed": branch.seed,
    }


def _branch_from_json(data: Mapping[str, Any]) -> Branch:
    edits = [interventions.from_json(edit) for edit in data["interventions"]]
    sample = None if data["sample"] is None else _sample_from_json(data["sample"])
    return Branch(data["name"], edits, sample, data["seed"])


def _sample_to_json(sample: Any) -> dict[str, Any]:
    masks = getattr(sample, "masks", {})
    return {
        "prompt": sample.prompt,
        "first_frame": Pixels(sample.first_frame).to_json(),
        "num_frames": sample.num_frames,
        "task": getattr(sample, "task", None),
        "seed": getattr(sample, "seed", None),
        "solutions": [Pixels(video).to_json() for video in getattr(sample, "solutions", ())],
        "state": getattr(sample, "state", None),
        "masks": {name: Pixels(mask.astype(np.uint8)).to_json() for name, mask in masks.items()},
    }


def _sample_from_json(data: Mapping[str, Any]) -> Sample:
    return Sample(
        prompt=data["prompt"],
        first_frame=_array(data["first_frame"]),
        num_frames=data["num_frames"],
        task=data["task"],
        seed=data["seed"],
        solutions=tuple(_array(video) for video in data["solutions"]),
        state=data["state"],
        masks={name: _array(mask).astype(bool) for name, mask in data["masks"].items()},
    )


def _array(data: dict[str, Any]) -> np.ndarray:
    return Pixels.from_json(data).array.copy()


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
