"""Interventions as JSON: the class name and the fields, and back to an equal value.

{"intervention": "AddNoise", "mode": "renoise", "steps": [3], …}
"""

from dataclasses import MISSING, Field, fields
from typing import Any

from stepscope.errors import BadInputError
from stepscope.interventions.pixels import Pixels

__all__ = ["JsonForm"]

_KEY = "intervention"


class JsonForm:
    """What a frozen dataclass of JSON values and `Pixels` needs in order to be written down and read back."""

    def to_json(self) -> dict[str, Any]:
        """The class name under `intervention`, and every field by name."""
        return {_KEY: type(self).__name__} | {f.name: _plain(getattr(self, f.name)) for f in _fields(type(self))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Any:
        """The intervention that `to_json` wrote.

        Raises:
            BadInputError: If a field is missing or unknown, or the data are of another intervention.
        """
        name, given = data.get(_KEY), {key: value for key, value in data.items() if key != _KEY}
        known = {field.name for field in _fields(cls)}
        needed = {field.name for field in _fields(cls) if field.default is MISSING}
        if name != cls.__name__ or not needed <= set(given) <= known:
            raise BadInputError(
                f"JSON of an intervention came as {name!r} with fields {', '.join(sorted(given)) or 'none'}. "
                f"{cls.__name__} has {', '.join(sorted(known))}. Write it with to_json."
            )
        return cls(**{key: _value(value) for key, value in given.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Pixels):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    return Pixels.from_json(value) if isinstance(value, dict) else value


def _fields(cls: Any) -> tuple[Field, ...]:
    return fields(cls)
