"""Edits of what the model is given besides latents: another prompt, another first frame, at some steps.

    SwitchPrompt      words        None leaves them: the identity
    SwitchCondition   first frame  None leaves it: the identity

The latents are not touched, so the solver is told of no jump.  Cost: one more encoding of prompt and first frame.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, ClassVar, cast

from stepscope.denoise import AbstractIntervention
from stepscope.errors import BadInputError
from stepscope.interventions.indices import Indices, acts, settled, sorted_indices
from stepscope.interventions.json_form import JsonForm
from stepscope.interventions.pixels import Pixels

__all__ = ["SwitchCondition", "SwitchPrompt"]


@dataclass(frozen=True)
class SwitchPrompt(JsonForm, AbstractIntervention):
    """Ask in other words at some steps.

    Attributes:
        steps: step indices, an int or several; None for all.
        prompt: the other prompt, not empty; None is the identity.

    Raises:
        BadInputError: If an index or the prompt cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"prompt"})

    steps: int | Iterable[int] | None
    prompt: str | None = None

    def __post_init__(self) -> None:
        if self.prompt is not None and not self.prompt.strip():
            raise BadInputError("The prompt of SwitchPrompt came empty. A model is asked in words. Give some, or None.")
        settled(self, steps=sorted_indices("steps", self.steps))

    @property
    def is_zero(self) -> bool:
        """Whether there is no other prompt."""
        return self.prompt is None

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def edit_sample(self, sample: Any, step: int) -> Any:
        """The sample with the other prompt."""
        return _with(sample, prompt=self.prompt)


@dataclass(frozen=True)
class SwitchCondition(JsonForm, AbstractIntervention):
    """Show another first frame at some steps.

    Attributes:
        steps: step indices, an int or several; None for all.
        first_frame: uint8 [Y, X, 3] of the sample's size, kept as `Pixels`; None is the identity.

    Raises:
        BadInputError: If an index or the picture cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"condition"})

    steps: int | Iterable[int] | None
    first_frame: Any = None

    def __post_init__(self) -> None:
        frame = self.first_frame
        settled(self, first_frame=frame if frame is None or isinstance(frame, Pixels) else Pixels(frame))
        settled(self, steps=sorted_indices("steps", self.steps))

    @property
    def is_zero(self) -> bool:
        """Whether there is no other first frame."""
        return self.first_frame is None

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def edit_sample(self, sample: Any, step: int) -> Any:
        """The sample with the other first frame.

        Raises:
            BadInputError: If it has another size.
        """
        shape = sample.first_frame.shape
        if self.first_frame.array.shape != shape:
            raise BadInputError(
                f"SwitchCondition shows {list(self.first_frame.array.shape)}. The sample's first frame is "
                f"{list(shape)}. Give a picture of that size."
            )
        return _with(sample, first_frame=self.first_frame.array.copy())


def _with(sample: Any, **shown: Any) -> Any:
    """The sample with another face; whatever else it holds stays."""
    if is_dataclass(sample) and not isinstance(sample, type):
        return replace(sample, **shown)
    other = copy.copy(sample)
    for name, value in shown.items():
        setattr(other, name, value)
    return other
