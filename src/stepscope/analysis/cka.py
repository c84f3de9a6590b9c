"""Debiased CKA: how alike two representations of the same n samples are, with the bias of few samples removed.

    CKA(X, Y) = <K~, L~> / (||K~|| ||L~||),     K = X X',  L = Y Y'
    K~_ij = K_ij - sum_j K_ij/(n-2) - sum_i K_ij/(n-2) + sum_ij K_ij/((n-1)(n-2))  off the diagonal, 0 on it

The inner product of U-centred matrices over n(n-3) is the unbiased HSIC, so independent representations score 0 on
average even with more features than samples, where plain CKA tends to 1.  It can be slightly negative.  Cost with p
and q features: n^2 (p + q); with fewer features than samples (tokens as samples, for example) no Gram matrix is made,

    <K~, L~> = ||X'Y||^2 - n/(n-2) k'l + sum(k) sum(l)/((n-1)(n-2)),     k_i = ||x_i||^2, l_i = ||y_i||^2, centred,

which costs n p q.  What is compared with many is centred once (`centred`), and steps are compared together.

Sources: Kornblith, Norouzi, Lee, Hinton 2019 (arXiv 1905.00414); Song, Smola, Gretton, Bedo, Borgwardt 2012, *Feature
selection via dependence maximization*, JMLR 13 (unbiased HSIC); Székely, Rizzo 2014 (arXiv 1310.2926, U-centring);
Murphy, Zylberberg, Fyshe 2024 (arXiv 2405.01012, why debiased).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["Centred", "centred", "debiased_cka", "debiased_ckas"]

_FEWEST = 4  # below, U-centring divides by zero or leaves nothing
_NOTHING = 1e-12
"""Norm of a centred Gram matrix, relative to the plain one, that counts as no variation."""


@dataclass(frozen=True, eq=False)
class Centred:
    """B representations of the same n samples, each ready to be compared with many.

    Attributes:
        features: Centred, of norm 1, [B, n, p]; or in their place U-centred Gram matrices of norm 1, [B, n, n].
        lengths: Squared norms of the samples, [B, n]; None for Gram matrices.
        size: Norm of the U-centred Gram matrix of these features, [B]; 1 for Gram matrices.
        flat: Where a representation is the same for all samples, or these are fewer than four, [B].
    """

    features: Float64[np.ndarray, "B n p"]
    lengths: Float64[np.ndarray, "B n"] | None
    size: Float64[np.ndarray, " B"]
    flat: Bool[np.ndarray, " B"]


def debiased_cka(X: Values, Y: Values) -> float:
    """Return the debiased linear CKA, at most 1, about 0 for independent representations.

    Args:
        X: Features [n, p], a row a sample, n >= 4.
        Y: Features [n, q] of the same samples.

    Raises:
        BadInputError: If shapes do not fit, or a representation is the same for all samples.
    """
    first, second = (float64(features) for features in (X, Y))
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second) or len(first) < _FEWEST:
        raise BadInputError(
            f"Features of shapes {first.shape} and {second.shape} came. Allowed are [n, p] and [n, q] with the same "
            "n >= 4. Flatten each sample to one row."
        )
    as_gram = max(first.shape[1], second.shape[1]) >= len(first)
    found = debiased_ckas(*(centred(features[None], as_gram) for features in (first, second)))
    if np.isnan(found[0]):
        raise BadInputError(
            "A representation is the same for all samples. CKA compares how samples differ. Use samples that differ."
        )
    return float(found[0])


def debiased_ckas(first: Centred, second: Centred) -> Float64[np.ndarray, " B"]:
    """Return the CKA of each pair of representations, centred in the same way; NaN where one of them does not vary."""
    found = _inner(first, second) / (first.size * second.size)
    return np.where(first.flat | second.flat, np.nan, found)


def centred(features: Float64[np.ndarray, "B n p"], as_gram: bool) -> Centred:
    """Make representations ready: by Gram matrices, cheaper with as many features as samples, or without them."""
    count, n, _ = features.shape
    if n < _FEWEST:
        return Centred(features, None, np.ones(count), np.ones(count, dtype=bool))
    # A shift of all samples cancels in the centring; taking it out first keeps the digits.
    shifted = features - features.mean(axis=1, keepdims=True)
    plain = np.maximum(np.square(features).sum(axis=(1, 2)), np.finfo(np.float64).tiny)
    return _by_gram(shifted, plain) if as_gram else _by_features(shifted, plain)


def _by_features(shifted: Float64[np.ndarray, "B n p"], plain: Float64[np.ndarray, " B"]) -> Centred:
    """Features of norm 1, so that the numbers stay near it."""
    squared = np.square(shifted).sum(axis=(1, 2))
    flat = squared <= _NOTHING * plain
    scaled = shifted / np.sqrt(np.where(flat, 1.0, squared))[:, None, None]
    made = Centred(scaled, np.square(scaled).sum(axis=2), np.ones(len(scaled)), flat)
    return replace(made, size=np.sqrt(np.where(flat, 1.0, _inner(made, made))))


def _by_gram(shifted: Float64[np.ndarray, "B n p"], plain: Float64[np.ndarray, " B"]) -> Centred:
    """U-centred Gram matrices of norm 1."""
    n = shifted.shape[1]
    gram, diagonal = shifted @ np.swapaxes(shifted, 1, 2), np.arange(n)
    gram[:, diagonal, diagonal] = 0.0  # the bias of plain CKA sits here
    sums = gram.sum(axis=1)
    gram -= (sums[:, :, None] + sums[:, None]) / (n - 2)
    gram += (sums.sum(axis=1) / ((n - 1) * (n - 2)))[:, None, None]
    gram[:, diagonal, diagonal] = 0.0
    norm = np.sqrt(np.square(gram).sum(axis=(1, 2)))
    flat = norm <= _NOTHING * plain
    return Centred(gram / np.where(flat, 1.0, norm)[:, None, None], None, np.ones(len(gram)), flat)


def _inner(first: Centred, second: Centred) -> Float64[np.ndarray, " B"]:
    """The inner product of the U-centred Gram matrices of each pair."""
    if first.lengths is None or second.lengths is None:
        return (first.features * second.features).sum(axis=(1, 2))
    n, (ours, theirs) = first.features.shape[1], (first.lengths, second.lengths)
    cross = np.square(np.swapaxes(first.features, 1, 2) @ second.features).sum(axis=(1, 2))
    level = ours.sum(axis=1) * theirs.sum(axis=1) / ((n - 1) * (n - 2))
    return cross - n / (n - 2) * (ours * theirs).sum(axis=1) + level
