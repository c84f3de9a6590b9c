"""Several answers at once: is it search, or what anyone would see through this much noise?

    superposed    multiplicity >= 1.5 and R <= 0.5: several candidates are visible, and they are the right ones
    excess        share of all steps at which the model's multiplicity is >= 1.5 while the observer's is <= 1.1

At high noise the posterior mean overlays every solution, so ghosts are no evidence of search by themselves; the excess
counts only the steps at which the ideal observer, shown the same latents, has already chosen.  Limits: hull weights of
an estimate that knows nothing (R near 1) may lie anywhere, so read the excess beside R; a puzzle with one solution has
multiplicity 1 always and belongs in neither mean.
"""

import numpy as np
from jaxtyping import Bool

from stepscope.analysis.values import Values, float64

__all__ = ["excess_multiplicity", "superposed"]

_SEVERAL = 1.5
_ONE = 1.1
_VISIBLE = 0.5


def superposed(multiplicities: Values, distances: Values) -> Bool[np.ndarray, "*N"]:
    """Say at which steps several candidates are visible.

    Args:
        multiplicities: Of each step [N], see `multiplicity`.
        distances: R of each step [N], see `knowledge`.
    """
    return np.asarray((float64(multiplicities) >= _SEVERAL) & (float64(distances) <= _VISIBLE))


def excess_multiplicity(model: Values, observer: Values) -> float:
    """Return the share of all steps at which the model keeps several candidates and the observer keeps one.

    Args:
        model: Multiplicity of the model's clean estimates [N].
        observer: That of the state-matched observer [N].
    """
    return float(np.mean((float64(model) >= _SEVERAL) & (float64(observer) <= _ONE)))
