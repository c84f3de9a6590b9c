"""Interventions: edits of a run, as frozen values that can be written down and read back.

`AddNoise` puts noise into the latents.  To write one of your own, subclass `denoise.AbstractIntervention` as a frozen
dataclass and pass it to `model.denoise(..., interventions=[...])`; nothing has to be registered.
"""

from typing import Any

from stepscope.denoise import AbstractIntervention, View
from stepscope.errors import UnknownNameError
from stepscope.interventions.add_noise import AddNoise
from stepscope.interventions.json_form import JsonForm

__all__ = ["AbstractIntervention", "AddNoise", "JsonForm", "View", "from_json", "to_json"]

_KINDS: dict[str, type[JsonForm]] = {"AddNoise": AddNoise}


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
