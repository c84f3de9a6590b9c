"""Every error that stepscope raises on purpose: one tree, one line each.

    StepscopeError
    ├── UserError                 what came, what is allowed, what to do; exit status 2
    │   ├── UnknownNameError      a model, task, experiment or option that does not exist
    │   ├── BadInputError         an image, prompt, number or sample that cannot be used
    │   ├── ModelLoadError        a folder or hub id that is missing, corrupt or not supported
    │   ├── OutputError           an output folder that holds another run, or cannot be written
    │   ├── PlanError             a plan that is too large or names what does not exist
    │   └── RecordError           a stored record that is missing, damaged or of another version
    └── InternalError             a broken promise of ours; exit status 1

A message has one sentence for what came, one for what is allowed and one for what to do, on one line.
"""

__all__ = [
    "BadInputError",
    "InternalError",
    "ModelLoadError",
    "OutputError",
    "PlanError",
    "RecordError",
    "StepscopeError",
    "UnknownNameError",
    "UserError",
]


class StepscopeError(Exception):
    """Root of the tree; `str(error)` is always one line."""

    exit_status = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UserError(StepscopeError):
    """Something that the user can mend."""

    exit_status = 2


class UnknownNameError(UserError):
    """A name that is not registered."""

    @classmethod
    def of(cls, kind: str, name: object, allowed: "list[str] | tuple[str, ...]") -> "UnknownNameError":
        """Build the message from the kind of thing, the name that came and the names that exist."""
        return cls(f"Unknown {kind} {name!r}. Known: {', '.join(sorted(allowed))}. Choose one of these.")


class BadInputError(UserError):
    """A value that cannot be used."""


class ModelLoadError(UserError):
    """A model that cannot be loaded."""


class OutputError(UserError):
    """An output place that cannot be used; nothing was overwritten."""


class PlanError(UserError):
    """A plan that cannot be carried out as asked."""


class RecordError(UserError):
    """A stored record that cannot be read."""


class InternalError(StepscopeError):
    """A bug in stepscope."""
