"""A branch: what one run of a plan does otherwise than the clean one, as a value.

    clean                   no edit, the plan's own sample and seed; always there
    Branch(name, edits)     the same run with edits
    Branch(name, sample=…)  another question; Branch(name, seed=…) other noise: donors, nulls, controls

{"name": …, "interventions": […], "sample": …, "seed": …} as JSON.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stepscope.denoise import AbstractExchange
from stepscope.errors import BadInputError, PlanError
from stepscope.scope.checks import check_sample, whole_number

__all__ = ["CLEAN", "Branch", "with_clean"]

CLEAN = "clean"
"""Name of the branch without edits."""


@dataclass(frozen=True)
class Branch:
    """One branch of a plan.

    Attributes:
        name: unique in its plan.
        interventions: edits, several, in the order in which they act. Kept as a tuple.
        sample: a sample of its own, of the size of the plan's; None for the plan's.
        seed: a seed of its own; None for the plan's.

    Raises:
        BadInputError: If any of these cannot be used.
    """

    name: str
    interventions: Any = ()
    sample: Any = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise BadInputError("The name of a branch came empty. Its results are found by it. Give it one.")
        if not isinstance(self.interventions, Iterable) or isinstance(self.interventions, str):
            raise BadInputError(
                f"interventions came as {self.interventions!r}. Several are taken, as a list. Put it into [...]."
            )
        if self.sample is not None:
            check_sample(self.sample)
        if self.seed is not None:
            whole_number("seed", self.seed)
        object.__setattr__(self, "interventions", tuple(self.interventions))

    @property
    def donors(self) -> tuple[str, ...]:
        """Names of the branches that its exchanges take from."""
        return tuple(donor for i in self.interventions if isinstance(i, AbstractExchange) for donor in i.donors)


def with_clean(branches: Iterable[Branch]) -> tuple[Branch, ...]:
    """The branches with the clean one first.

    Raises:
        PlanError: If names are not unique, a donor does not exist, or `clean` is not clean.
    """
    given = tuple(branches)
    names = [branch.name for branch in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(f"Branches came twice under the name {', '.join(twice)}. Names are unique. Rename one of them.")
    for branch in given:
        if branch.name == CLEAN and branch != Branch(CLEAN):
            raise PlanError("Branch 'clean' came with edits. It is the run without any. Choose another name.")
        missing = [donor for donor in branch.donors if donor not in (CLEAN, *names)]
        if missing:
            known = ", ".join(dict.fromkeys((CLEAN, *names)))
            raise PlanError(
                f"Branch {branch.name!r} names donor {missing[0]!r}. Branches of this plan: {known}. Add it or choose."
            )
    return (Branch(CLEAN), *(branch for branch in given if branch.name != CLEAN))
