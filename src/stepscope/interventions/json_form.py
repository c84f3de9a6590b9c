"""Interventions as JSON: the class name and the fields, and back to an equal value.

{"intervention": "AddNoise", "mode": "renoise", "steps": [3], …}
"""

from dataclasses import MISSING, Field, fields
from typing import Any

from stepscope.errors import BadInputError

__all__ = ["JsonForm"]

_KEY = "intervention"


class JsonForm:
    """What a frozen dataclass of JSON values needs in order to be written down and read back."""

    def to_json(self) -> dict[str, Any]:
        """The class name under `intervention`, and every field by name."""
        values = {field.name: getattr(self, field.name) for field in _fields(type(self))}
        return {_KEY: type(self).__name__} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

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
        return cls(**given)


def _fields(cls: Any) -> tuple[Field, ...]:
    return fields(cls)
