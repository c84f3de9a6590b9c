"""Debiased CKA: how alike two representations of the same n samples are, with the bias of few samples removed.

    CKA(X, Y) = <K~, L~> / (||K~|| ||L~||),     K = X X',  L = Y Y'
    K~_ij = K_ij - sum_j K_ij/(n-2) - sum_i K_ij/(n-2) + sum_ij K_ij/((n-1)(n-2))  off the diagonal, 0 on it

The inner product of U-centred matrices over n(n-3) is the unbiased HSIC, so independent representations score 0 on
average even with more features than samples, where plain CKA tends to 1.  It can be slightly negative.  Cost with p
and q features: n^2 (p + q); with fewer features than samples (tokens as samples, for example) no Gram matrix is made,

    <K~, L~> = ||X'Y||^2 - n/(n-2) k'l + sum(k) sum(l)/((n-1)(n-2)),     k_i = ||x_i||^2, l_i = ||y_i||^2, centred,

which costs n p q.

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
_SAME = "A representation is the same for all samples. CKA compares how samples differ. Use samples that differ."


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
    if max(first.shape[1], second.shape[1]) < len(first):
        return _by_features(_centred(first), _centred(second))
    left, right = _centred_gram(first), _centred_gram(second)
    return float((left * right).sum())


def _by_features(first: Float64[np.ndarray, "n p"], second: Float64[np.ndarray, "n q"]) -> float:
    """CKA of centred features, each scaled to norm 1, from their cross products alone."""
    return _inner(first, second) / float(np.sqrt(_inner(first, first) * _inner(second, second)))


def _inner(first: Float64[np.ndarray, "n p"], second: Float64[np.ndarray, "n q"]) -> float:
    """The inner product of the two U-centred Gram matrices."""
    n = len(first)
    ours, theirs = (np.square(features).sum(axis=1) for features in (first, second))
    cross = np.square(first.T @ second).sum()
    return float(cross - n / (n - 2) * (ours @ theirs) + ours.sum() * theirs.sum() / ((n - 1) * (n - 2)))


def _centred(features: Float64[np.ndarray, "n p"]) -> Float64[np.ndarray, "n p"]:
    """Return the features without their mean, scaled so that the numbers stay near 1."""
    shifted = features - features.mean(axis=0)
    size = np.linalg.norm(shifted)
    if size * size <= _NOTHING * max(np.square(features).sum(), np.finfo(np.float64).tiny):
        raise BadInputError(_SAME)
    return shifted / size


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
        raise BadInputError(_SAME)
    return centred / norm
