"""Interventions: edits of a run, as frozen values that can be written down and read back.

latents     `AddNoise`, `WrongPlan`, `HoldFrames`, `Jump`
inputs      `SwitchPrompt`, `SwitchCondition`
layers      `ScaleLayer`, `SkipLayer`, `Swap` (from another branch of a plan)
seeds       `MergeLayers`, `MergeEstimates`, `MergeLatents` (with other branches of a plan)
attention   `BlockFrames`
experts     `MoveBoundary`

To write one of your own, subclass `denoise.AbstractIntervention` as a frozen dataclass and pass it to
`model.denoise(..., interventions=[...])` or to a `Branch`; nothing has to be registered.
"""

from typing import Any

from stepscope.denoise import AbstractIntervention, View
from stepscope.errors import UnknownNameError
from stepscope.interventions.add_noise import AddNoise
from stepscope.interventions.block_frames import BlockFrames
from stepscope.interventions.donors import Corrupted, corrupt
from stepscope.interventions.hold_frames import HoldFrames
from stepscope.interventions.json_form import JsonForm
from stepscope.interventions.jump import Jump
from stepscope.interventions.layers import ScaleLayer, SkipLayer
from stepscope.interventions.merge import AbstractMerge
from stepscope.interventions.merge_layers import MergeLayers
from stepscope.interventions.merge_states import MergeEstimates, MergeLatents
from stepscope.interventions.move_boundary import MoveBoundary
from stepscope.interventions.pixels import Pixels
from stepscope.interventions.swap import Swap
from stepscope.interventions.switches import SwitchCondition, SwitchPrompt
from stepscope.interventions.wrong_plan import WrongPlan

__all__ = [
    "AbstractIntervention",
    "AbstractMerge",
    "AddNoise",
    "BlockFrames",
    "Corrupted",
    "HoldFrames",
    "JsonForm",
    "Jump",
    "MergeEstimates",
    "MergeLatents",
    "MergeLayers",
    "MoveBoundary",
    "Pixels",
    "ScaleLayer",
    "SkipLayer",
    "Swap",
    "SwitchCondition",
    "SwitchPrompt",
    "View",
    "WrongPlan",
    "corrupt",
    "from_json",
    "to_json",
]

_KINDS: dict[str, type[JsonForm]] = {
    kind.__name__: kind
    for kind in (
        AddNoise,
        BlockFrames,
        HoldFrames,
        Jump,
        MergeEstimates,
        MergeLatents,
        MergeLayers,
        MoveBoundary,
        ScaleLayer,
        SkipLayer,
        Swap,
        SwitchCondition,
        SwitchPrompt,
        WrongPlan,
    )
}


def to_json(intervention: JsonForm) -> dict[str, Any]:
    """The intervention as a JSON object; `from_json` reads it back to an equal value."""
    return intervention.to_json()


def from_json(data: dict[str, Any]) -> Any:
    """The intervention that `to_json` wrote.

    Raises:
        UnknownNameError: If stepscope has no intervention of that name.
        BadInputError: If a field is missing or unknown.
    """
    name = data.get("intervention")
    if name not in _KINDS:
        raise UnknownNameError.of("intervention", name, tuple(_KINDS))
    return _KINDS[name].from_json(data)
