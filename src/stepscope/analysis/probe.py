"""A probe: a linear readout trained on some puzzles and tested on others, beside the same with shuffled labels.

    Z = (X - mean) / spread          over the training rows
    W = Z' (Z Z' / D + ridge I)^-1 Y / D    Y one column a class, +1 and -1, minus its mean
    guess(x) = argmax_c  z(x) W + mean(Y)

Ridge regression on class indicators, in closed form, dual where there are fewer rows than channels: 5120 channels and
60 puzzles are no trouble.  The unit is the group: all rows of a puzzle are trained on together or tested together,
five folds.  The control trains and tests on labels that were shuffled over all rows; what it reaches is chance, unequal
classes included.  A probe that beats it says that something *can* be read there, not that the model uses it: compare
with what can be read from the input.  Cost: one system of min(n, D) unknowns a fold.

Sources: Alain, Bengio 2016, *Understanding intermediate layers using linear classifier probes*, arXiv 1610.01644;
Hewitt, Liang 2019, *Designing and interpreting probes with control tasks*, arXiv 1909.03368.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["probe", "probe_hits"]

_FOLDS = 5
_RIDGE = 0.1  # in units of a row's mean squared, standardised entry
_SHUFFLES = 4


def probe(X: Values, y: Any, groups: Any, seed: int) -> dict[str, float]:
    """Train a linear readout on some groups, test it on the others.

    Args:
        X: Features [n, D], finite.
        y: Labels [n], of two classes or more: numbers or strings.
        groups: Label of each row's puzzle [n]; at least two.
        seed: Seed of the folds and of the shuffling.

    Returns:
        {"accuracy": share of the rows read rightly while their group was held out, "control": the same with shuffled
        labels}, both 0 to 1.

    Raises:
        BadInputError: If the shapes do not fit, a feature is not finite, or there are too few classes or groups.
    """
    hits, chance = probe_hits(X, y, groups, seed)
    return {"accuracy": float(hits.mean()), "control": float(chance.mean())}


def probe_hits(X: Values, y: Any, groups: Any, seed: int) -> tuple[Bool[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return what `probe` averages: for each row whether it was read rightly, and how often with shuffled labels.

    Args:
        X: As for `probe`.
        y: As for `probe`.
        groups: As for `probe`.
        seed: As for `probe`.
    """
    rows, classes, puzzles = _checked(X, y, groups)
    draw = np.random.default_rng(seed)
    folds = draw.permutation(puzzles.max() + 1)[puzzles] % _FOLDS
    shuffled = np.stack([draw.permutation(classes) for _ in range(_SHUFFLES)])
    labels = np.vstack([classes[None], shuffled])
    hits = _guesses(rows, labels, folds) == labels
    return hits[0], hits[1:].mean(axis=0)


def _guesses(
    rows: Float64[np.ndarray, "n D"], labels: Int[np.ndarray, "K n"], folds: Int[np.ndarray, " n"]
) -> Int[np.ndarray, "K n"]:
    """Each row's class under each labelling, by a readout that has not seen its fold."""
    guesses = np.zeros_like(labels)
    for fold in np.unique(folds):
        held = folds == fold
        guesses[:, held] = _trained(rows[~held], labels[:, ~held], rows[held], int(labels.max()) + 1)
    return guesses


def _trained(
    seen: Float64[np.ndarray, "m D"],
    labels: Int[np.ndarray, "K m"],
    unseen: Float64[np.ndarray, "q D"],
    num_classes: int,
) -> Int[np.ndarray, "K q"]:
    """The classes of unseen rows; all labellings share one system."""
    spread = seen.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0) / np.sqrt(seen.shape[1])
    inside, outside = (seen - seen.mean(axis=0)) * scale, (unseen - seen.mean(axis=0)) * scale
    targets = 2.0 * (labels[..., None] == np.arange(num_classes)) - 1  # [K, m, classes]
    level = targets.mean(axis=1, keepdims=True)
    columns = np.moveaxis(targets - level, 0, 1).reshape(len(seen), -1)
    scores = (outside @ _ridge(inside, columns)).reshape(len(unseen), len(labels), num_classes)
    return (np.moveaxis(scores, 1, 0) + level).argmax(axis=-1)


def _ridge(rows: Float64[np.ndarray, "m D"], targets: Float64[np.ndarray, "m T"]) -> Float64[np.ndarray, "D T"]:
    """The weights, by whichever form has fewer unknowns."""
    if len(rows) > rows.shape[1]:
        return np.linalg.solve(rows.T @ rows + _RIDGE * np.eye(rows.shape[1]), rows.T @ targets)
    return rows.T @ np.linalg.solve(rows @ rows.T + _RIDGE * np.eye(len(rows)), targets)


def _checked(
    X: Values, y: Any, groups: Any
) -> tuple[Float64[np.ndarray, "n D"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    rows, labels, puzzles = float64(X), np.asarray(y), np.asarray(groups)
    fits = rows.ndim == 2 and rows.size > 0 and labels.shape == puzzles.shape == (len(rows),)
    if not fits or not np.isfinite(rows).all():
        raise BadInputError(
            f"Features {list(rows.shape)} came with labels {list(labels.shape)} and groups {list(puzzles.shape)}. "
            "A probe takes finite features [n, D], and a label and a group for each row. Lay them out so."
        )
    classes, coded = np.unique(labels, return_inverse=True)
    names, puzzle = np.unique(puzzles, return_inverse=True)
    if len(classes) < 2 or len(names) < 2:
        raise BadInputError(
            f"{len(classes)} classes in {len(names)} groups came. A probe tells classes apart on puzzles that it has "
            "not seen. Give at least two of both."
        )
    return rows, coded, puzzle
