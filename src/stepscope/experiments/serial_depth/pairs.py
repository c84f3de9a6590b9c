"""A flight that bounces, and one as long that does not: the pair that tells depth from length.

    depth   walls met before the target, each of which must be known before the next
    twin    a puzzle of the same family, number of targets and frames, whose ball flies straight, as far to `NEAR` px

A twin depends on its puzzle alone.  The straightest flights end at 85 px, so that a few of the longest have no twin.
"""

import hashlib
from typing import Any

from stepscope.errors import BadInputError
from stepscope.tasks.bounce import Bounce, contacts, first_hit
from stepscope.tasks.sample import canonical

__all__ = ["NEAR", "depth", "length", "twin"]

NEAR = (2, 4, 6)
"""By how many px lengths may differ; the first that can be had."""


def depth(sample: Any) -> int:
    """Bounces before the target.

    Raises:
        BadInputError: If the sample is no flight.
    """
    return sum(flown < length(sample) for flown, *_ in contacts(_state(sample)))


def length(sample: Any) -> float:
    """Px flown to the target.

    Raises:
        BadInputError: If the sample is no flight.
    """
    return first_hit(_state(sample))[0]


def twin(sample: Any) -> Any | None:
    """A flight as long without a bounce; None if there is none.

    Raises:
        BadInputError: If the sample is no flight.
    """
    far, state = length(sample), _state(sample)
    seed = int.from_bytes(hashlib.sha256(canonical(state).encode()).digest()[:4])
    for near in NEAR:
        reach = (max(round(far) - near, 16), min(round(far) + near, 96))
        try:
            return Bounce().sample(
                seed, bounces=0, length=reach, count=len(state["targets"]), num_frames=sample.num_frames
            )
        except BadInputError:
            continue
    return None


def _state(sample: Any) -> Any:
    if getattr(sample, "task", None) != Bounce.name or sample.state is None:
        raise BadInputError(
            f"A sample of task {getattr(sample, 'task', None)!r} came. Serial depth is counted in walls that a ball "
            "meets on its way. Give samples of task 'bounce'."
        )
    return sample.state
