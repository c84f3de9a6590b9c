"""`manifest.json`: what was run, exactly enough to run it again; and whose the folder is.

`Identity` (resolved configuration and weights) decides whether two runs are the same run.  All that may differ between
two runs of the same thing (times, host, absolute paths, run_seconds) stands under `volatile` and nowhere else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepscope.errors import RecordError
from stepscope.store.layout import MANIFEST
from stepscope.store.units import SCHEMA_VERSION, canonical_json, digest

__all__ = ["Identity", "Manifest", "json_bytes", "read_manifest"]

_FORMAT = "stepscope-record"


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same run.

    Attributes:
        config: The resolved configuration, JSON: experiment, model, task, steps, schedule, guidance, …
        weights_hash: Hash of the weights.
    """

    config: Mapping[str, object]
    weights_hash: str

    @property
    def run(self) -> str:
        """Short name of the run: 12 hexadecimal digits, the `run` column of the table."""
        return digest(self.facts())[:12]

    def facts(self) -> dict[str, object]:
        """Return what the manifest of every run of this identity says, from its first moment on."""
        return {
            "config": json.loads(canonical_json(self.config)),
            "format": _FORMAT,
            "schema_version": SCHEMA_VERSION,
            "weights_hash": self.weights_hash,
        }


@dataclass(frozen=True)
class Manifest:
    """What else a manifest says, known once the run is set up.

    Attributes:
        versions: Version of stepscope and of what it computes with, by name.
        sigmas: Noise levels [N+1].
        seeds: Seeds of the noise.
        command: The command line, the program's name first.
        volatile: What may differ between two runs of the same thing: times, host, absolute paths, run_seconds.
    """

    versions: Mapping[str, str]
    sigmas: Sequence[float]
    seeds: Sequence[int]
    command: Sequence[str]
    volatile: Mapping[str, object]


def json_bytes(value: object) -> bytes:
    """Return a JSON file that people read: sorted keys, two spaces, finite numbers."""
    return (json.dumps(json.loads(canonical_json(value)), indent=2, sort_keys=True) + "\n").encode()


def read_manifest(folder: Path) -> dict | None:
    """Read the manifest of a folder; None if there is none that stepscope wrote.

    Raises:
        RecordError: If another version of stepscope wrote it.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        return None
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise RecordError(
            f"The record {folder} has schema version {manifest.get('schema_version')}. This stepscope reads "
            f"{SCHEMA_VERSION}. Read it with the version that wrote it, or record again into a new folder."
        )
    return manifest
