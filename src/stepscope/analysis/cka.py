"""Debiased CKA: how alike two representations of the same n samples are, with the bias of few samples removed.

    CKA(X, Y) = <K~, L~> / (||K~|| ||L~||),     K = X X',  L = Y Y'
    K~_ij = K_ij - sum_j K_ij/(n-2) - sum_i K_ij/(n-2) + sum_ij K_ij/((n-1)(n-2))  off the diagonal, 0 on it

The inner product of U-centred matrices over n(n-3) is the unbiased HSIC, so independent representations score 0 on
average even with more features than samples, where plain CKA tends to 1.  It can be slightly negative.  Cost: n^2 times
the number of features.

Sources: Kornblith, Norouzi, Lee, Hinton 2019 (arXiv 1905.00414); Song, Smola, Gretton, Bedo, Borgwardt 2012, *Feature
selection via dependence maximization*, JMLR 13 (unbiased HSIC); Székely, Rizzo 2014 (arXiv 1310.2926, U-centring);
Murphy, Zylberberg, Fyshe 2024 (arXiv 2405.01012, why debiased).
"""

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["debiased_cka"]

_NOTHING = 1e-12
"""Norm of a centred Gram matrix, relative to the plain one, that counts as no variation."""


def debiased_cka(X: Values, Y: Values) -> float:
    """Return the debiased linear CKA, at most 1, about 0 for independent representations.

    Args:
        X: Features [n, p], a row a sample, n >= 4.
        Y: Features [n, q] of the same samples.

    Raises:
        BadInputError: If shapes do not fit, or a representation is the same for all samples.
    """
    first, second = (float64(features) for features in (X, Y))
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second) or len(first) < 4:
        raise BadInputError(
            f"Features of shapes {first.shape} and {second.shape} came. Allowed are [n, p] and [n, q] with the same "
            "n >= 4. Flatten each sample to one row."
        )
    left, right = _centred_gram(first), _centred_gram(second)
    return float((left * right).sum())


def _centred_gram(features: Float64[np.ndarray, "n p"]) -> Float64[np.ndarray, "n n"]:
    """Return the U-centred Gram matrix, scaled to norm 1."""
    n = len(features)
    # A shift of all samples cancels in the centring; taking it out first keeps the digits.
    shifted = features - features.mean(axis=0)
    gram = shifted @ shifted.T
    np.fill_diagonal(gram, 0.0)  # the bias of plain CKA sits here
    sums = gram.sum(axis=0)
    centred = gram - (sums[:, None] + sums) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    norm = np.linalg.norm(centred)
    if norm <= _NOTHING * max(np.square(features).sum(), np.finfo(np.float64).tiny):
        raise BadInputError(
            "A representation is the same for all samples. CKA compares how samples differ. Use samples that differ."
        )
    return centred / norm
