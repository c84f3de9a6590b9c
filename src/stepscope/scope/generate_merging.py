"""What an ensemble merges: a word, or an intervention in full.

"block" (or another site)    `MergeLayers` of that site, third quarter of the depth
"velocity", "clean-estimate" `MergeEstimates`
"latents"                    `MergeLatents`, at step 0 the noise
MergeLayers(…), …            as it stands; who merges with whom is filled in
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from stepscope.denoise import SITES
from stepscope.errors import UnknownNameError
from stepscope.interventions import AbstractMerge, MergeEstimates, MergeLatents, MergeLayers
from stepscope.interventions.merge_states import ESTIMATES

__all__ = ["MERGES", "merge_of"]

MERGES = (*SITES, *ESTIMATES, "latents")
"""What can be merged, by word."""


def merge_of(merge: str | AbstractMerge, steps: int | Iterable[int] | None, donors: Sequence[str] = ()) -> Any:
    """The intervention that merges a run with its donors.

    Args:
        merge: one of `MERGES`, or an intervention.
        steps: at which steps; None for those of the intervention, or the first one.
        donors: names of the branches to merge with.

    Raises:
        UnknownNameError: If there is no such thing to merge.
        BadInputError: If a step is none.
    """
    if isinstance(merge, AbstractMerge):
        return replace(merge, donors=tuple(donors), **({} if steps is None else {"steps": steps}))  # type: ignore
    at = 0 if steps is None else steps
    if merge in SITES:
        return MergeLayers(donors, at, merge)
    if merge in ESTIMATES:
        return MergeEstimates(donors, at, merge)
    if merge == "latents":
        return MergeLatents(donors, at)
    raise UnknownNameError.of("merge", merge, MERGES)
