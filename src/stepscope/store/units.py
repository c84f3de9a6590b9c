"""The name of a piece of work: equal work has an equal key, so nothing is computed twice.

    key = sha256(canonical JSON of {unit, weights_hash, schema_version, threads, chunk})

*Canonical JSON* has sorted keys, no spaces, ASCII only and finite numbers only: one value, one text.  The number of
threads and the chunk size are part of the key because they change the last bits of what a model computes.
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from stepscope.errors import BadInputError

__all__ = ["SCHEMA_VERSION", "canonical_json", "digest", "unit_key"]

SCHEMA_VERSION = 1
"""Version of everything that this room writes; it grows when an old record can no longer be read as a new one."""


def canonical_json(value: object) -> str:
    """Write a JSON value in the one way that all equal values share.

    Args:
        value: Nested mappings with string keys, lists, tuples, strings, finite numbers, booleans and None; NumPy's
            numbers and arrays are written as the numbers and lists that they equal.

    Raises:
        BadInputError: If the value holds something else, NaN and infinity included.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"A value cannot be written as JSON ({error}). Allowed are texts, finite numbers, booleans, null, lists "
            "and mappings with text keys. Convert it first."
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def digest(value: object) -> str:
    """Return the sha256 of the canonical JSON of `value`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def unit_key(
    unit: Mapping[str, object],
    weights_hash: str,
    *,
    threads: int,
    chunk: int,
    schema_version: int = SCHEMA_VERSION,
) -> str:
    """Name one unit of work.

    Args:
        unit: Its full description: sample, seed, branch, steps, schedule, recorders, …
        weights_hash: Hash of the weights that compute it.
        threads: Number of CPU threads it runs on.
        chunk: Number of samples that share one model call.
        schema_version: Version of the stored form.

    Returns:
        64 hexadecimal digits.
    """
    return digest(
        {
            "unit": unit,
            "weights_hash": weights_hash,
            "schema_version": schema_version,
            "threads": threads,
            "chunk": chunk,
        }
    )
