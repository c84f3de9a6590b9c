"""The latent read-out: which solution a clean estimate shows, without decoding it.

    candidate i   if its hull weight is >= 0.9 and R <= 0.1;   otherwise none

A VAE decode costs several forwards of a small model, so step curves of success are read here; how often it agrees with
decode-and-score is measured for each task family and printed beside the curves.
"""

from stepscope.analysis.values import Values, float64

__all__ = ["read_out"]

_SMALLEST_WEIGHT = 0.9
_LARGEST_DISTANCE = 0.1


def read_out(weights: Values, distance: float) -> int | None:
    """Return the index of the candidate that an estimate shows, None if it shows none.

    Args:
        weights: Hull weights [S], see `candidate_weights`.
        distance: R, see `knowledge`.
    """
    shares = float64(weights)
    best = int(shares.argmax())
    return best if shares[best] >= _SMALLEST_WEIGHT and distance <= _LARGEST_DISTANCE else None
