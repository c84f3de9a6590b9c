"""Reading an output folder: what was run, what came of it, every number and every trace.

No model is loaded and nothing is written.  A part that is missing or damaged says so when it is asked for; the others
can still be read.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from stepscope.errors import RecordError
from stepscope.store.layout import MANIFEST, RESULT, TABLE, unit_paths
from stepscope.store.manifest import read_manifest
from stepscope.store.table import read_table
from stepscope.store.tensors import Unit, read_facts, read_unit
from stepscope.store.trace import StoredTrace, trace_from_unit

__all__ = ["Record", "open_record"]

_SHOWN = 8


@dataclass(frozen=True)
class Record:
    """An output folder, opened for reading.

    Attributes:
        folder: Where it lies.
        manifest: What was run: versions, config, sigmas, seeds, weights_hash, command, volatile.
    """

    folder: Path
    manifest: dict

    @property
    def result(self) -> dict:
        """The claims, model calls and metrics of the run.

        Raises:
            RecordError: If the run has not finished, or the file is damaged.
        """
        path = self.folder / RESULT
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RecordError(
                f"The result {path} cannot be read ({error}). Expected the JSON file of a finished run. "
                "Run the same command again: it resumes."
            ) from error

    def table(self) -> pa.Table:
        """Read the tidy table.

        Raises:
            RecordError: If it is missing, damaged or of another version.
        """
        return read_table(self.folder / TABLE)

    def traces(self) -> Iterator[StoredTrace]:
        """Read every trace, one at a time, in the order of sample, seed and branch ("clean" first).

        Raises:
            RecordError: If one of them is damaged.
        """
        return (trace_from_unit(read_unit(path)) for _, path in self._heads())

    def trace(self, sample: int | None = None, seed: int | None = None, branch: str | None = None) -> StoredTrace:
        """Read one trace.

        Args:
            sample: Seed of the sample; None for any.
            seed: Seed of the noise; None for any.
            branch: Branch of the tree of forks; None for any.

        Returns:
            The first that fits, in the order of `traces`.

        Raises:
            RecordError: If there is none, or it is damaged.
        """
        held = self._heads()
        for head, path in held:
            if all(want in (None, have) for want, have in zip((sample, seed, branch), _address(head), strict=True)):
                return trace_from_unit(read_unit(path))
        raise RecordError(
            f"No trace of {_named((sample, seed, branch))} in {self.folder}. Stored: "
            f"{'; '.join(_named(_address(head)) for head, _ in held[:_SHOWN]) or 'none'}"
            f"{'; …' if len(held) > _SHOWN else ''}. Choose one of these."
        )

    def _heads(self) -> list[tuple[Unit, Path]]:
        heads = [(read_facts(path), path) for path in unit_paths(self.folder)]
        return sorted((head for head in heads if head[0].kind == "trace"), key=lambda head: _order(head[0]))


def open_record(folder: str | os.PathLike[str]) -> Record:
    """Open an output folder for reading.

    Raises:
        RecordError: If it is missing, holds no record, or was written by another version.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    if manifest is None:
        raise RecordError(
            f"No record in {path}: no {MANIFEST} written by stepscope. Expected the folder that a run was given as "
            "--out. Check the path."
        )
    return Record(path, manifest)


def _address(head: Unit) -> tuple[int | None, int, str]:
    facts: Any = head.facts
    return facts["sample"].get("seed"), facts["seed"], facts["branch"]


def _named(address: tuple[int | None, int | None, str | None]) -> str:
    sample, seed, branch = ("any" if part is None else part for part in address)
    return f"sample {sample}, seed {seed}, branch {branch}"


def _order(head: Unit) -> tuple:
    sample, seed, branch = _address(head)
    return (sample is not None, sample or 0, seed, branch != "clean", branch, head.key)
