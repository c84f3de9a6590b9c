"""One denoising run as it lies on disk, and as it is read back.

`StoredTrace` is plain arrays and JSON, so that reading it needs no model and no task:

    sigmas           [N+1]            noise levels, 1 first
    latents          [N+1, C, F, H, W]  what entered the model at each step; [N] is the result
    clean_estimates  [N, C, F, H, W]    what the model believed at each step
    images           {step or None: uint8 [T, Y, X, 3]}  decoded clean estimates, None the result; lossless
    scores           [N]                the verdict on each clean estimate; `score` is that on the result
    sample           the puzzle: the fields of a sample by name, arrays included
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from stepscope.errors import RecordError
from stepscope.shapes import Frames, Sigmas, Trajectory
from stepscope.store.tensors import Unit

__all__ = ["Fields", "StoredTrace", "trace_from_unit", "trace_to_unit"]

_KIND = "trace"
_FINAL = "final"
_SAMPLE_ARRAYS = ("first_frame", "solutions", "masks")


class Fields(dict[str, Any]):
    """Fields by name, read as items or as attributes: what is written for a live trace reads a stored one."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"There is no field {name!r}. There are: {', '.join(self)}.") from None


@dataclass(frozen=True)
class StoredTrace:
    """A denoising run without its model.

    Attributes:
        sigmas: Noise levels [N+1] in [0, 1], falling.
        latents: [N+1, C, F, H, W], standardised; `latents[k]` enters the model at step k, `latents[N]` is the result.
        clean_estimates: [N, C, F, H, W], standardised.
        images: Decoded frames by step; None is the final video.
        scores: The score of each step's clean estimate as JSON, None where it was not scored.
        model_calls: Transformer forwards that the run took.
        sample: The fields of the sample by name: prompt, task, seed, state, num_frames as JSON; first_frame uint8
            [Y, X, 3]; solutions, a tuple of uint8 [T, Y, X, 3]; masks, bool [T, Y, X] by name; delta where the
            solutions are known, the scale of the SNR clock.
        seed: Seed of the noise.
        branch: Branch of the tree of forks; "clean" without interventions.
        records: What the recorders made of the run, by name.
        score: The score of the result as JSON, None where it was not scored.
    """

    sigmas: Sigmas
    latents: Trajectory
    clean_estimates: Float[torch.Tensor, "N C F H W"]
    images: Mapping[int | None, Frames]
    scores: tuple[Mapping[str, object] | None, ...]
    model_calls: int
    sample: Mapping[str, object]
    seed: int
    branch: str = "clean"
    records: Mapping[str, np.ndarray] = field(default_factory=dict)
    score: Mapping[str, object] | None = None

    def frames(self, step: int | None = None) -> Frames:
        """Return the decoded clean estimate of a step, or the final video: uint8 [T, Y, X, 3].

        Raises:
            RecordError: If the frames of this step were not stored.
        """
        if step not in self.images:
            held = ", ".join("final" if name is None else str(name) for name in self.images) or "none"
            raise RecordError(
                f"Frames of step {'final' if step is None else step} are not in the record. Stored: {held}. "
                "Choose one of these; `record` keeps every step."
            )
        return self.images[step]


def trace_to_unit(trace: StoredTrace, key: str, weights_hash: str) -> Unit:
    """Lay a trace out as one unit."""
    tensors = {"sigmas": trace.sigmas, "latents": trace.latents, "clean_estimates": trace.clean_estimates}
    tensors |= {f"frames/{_FINAL if step is None else f'{step:04d}'}": image for step, image in trace.images.items()}
    tensors |= {f"records/{name}": record for name, record in trace.records.items()}
    facts = {
        "branch": trace.branch,
        "model_calls": trace.model_calls,
        "sample": {name: value for name, value in trace.sample.items() if name not in _SAMPLE_ARRAYS},
        "score": trace.score,
        "scores": trace.scores,
        "seed": trace.seed,
    }
    return Unit(key, weights_hash, _KIND, facts, tensors | _sample_arrays(trace.sample))


def trace_from_unit(unit: Unit) -> StoredTrace:
    """Read a trace back from its unit.

    Raises:
        RecordError: If the unit holds something else.
    """
    if unit.kind != _KIND:
        raise RecordError(f"Unit {unit.key} holds a {unit.kind!r}. Expected a {_KIND!r}. Choose another unit.")
    try:
        return _trace(unit)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"The trace in unit {unit.key} is incomplete ({error!r}). Expected a trace written by stepscope. "
            "Delete the unit and run the same command again: only this unit is computed anew."
        ) from error


def _trace(unit: Unit) -> StoredTrace:
    facts: Any = unit.facts
    frames = _arrays_under(unit, "frames/")
    return StoredTrace(
        sigmas=torch.as_tensor(unit.tensors["sigmas"]),
        latents=torch.as_tensor(unit.tensors["latents"]),
        clean_estimates=torch.as_tensor(unit.tensors["clean_estimates"]),
        images={None if name == _FINAL else int(name): image for name, image in frames.items()},
        scores=tuple(map(_fields, facts["scores"])),
        model_calls=facts["model_calls"],
        sample=Fields(facts["sample"], **_sample_from_arrays(unit)),
        seed=facts["seed"],
        branch=facts["branch"],
        records=_arrays_under(unit, "records/"),
        score=_fields(facts["score"]),
    )


def _fields(score: Mapping[str, Any] | None) -> Fields | None:
    return None if score is None else Fields(score)


def _sample_arrays(sample: Mapping[str, Any]) -> dict[str, np.ndarray]:
    solutions = {f"sample/solutions/{index:04d}": frames for index, frames in enumerate(sample.get("solutions", ()))}
    masks = {f"sample/masks/{name}": mask for name, mask in sample.get("masks", {}).items()}
    return {"sample/first_frame": sample["first_frame"], **solutions, **masks}


def _sample_from_arrays(unit: Unit) -> dict[str, object]:
    return {
        "first_frame": np.asarray(unit.tensors["sample/first_frame"]),
        "solutions": tuple(_arrays_under(unit, "sample/solutions/").values()),
        "masks": _arrays_under(unit, "sample/masks/"),
    }


def _arrays_under(unit: Unit, prefix: str) -> dict[str, np.ndarray]:
    names = sorted(name for name in unit.tensors if name.startswith(prefix))
    return {name.removeprefix(prefix): np.asarray(unit.tensors[name]) for name in names}
