"""Writing an output folder: the only place where a run touches the disk.

    create(DIR, identity)                   missing or empty: begins; the same run: resumes; anything else: refuses,
                                            but for a run that has nothing to lose: a manifest, and nothing computed
    create(DIR, identity, overwrite=True)   begins anew, in a folder that holds a record

Only files of our own layout are ever replaced or removed.  Every file is written whole or not at all, and all but
`run.log` and the manifest's `volatile` are the same bytes when the same thing is run twice.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from stepscope.errors import OutputError
from stepscope.store import layout
from stepscope.store.atomic import output_error, write_bytes
from stepscope.store.manifest import Identity, Manifest, json_bytes, read_manifest
from stepscope.store.result import Result
from stepscope.store.table import table_bytes
from stepscope.store.tensors import Unit, read_unit, unit_bytes

__all__ = ["Writer", "create"]


@dataclass(frozen=True)
class Writer:
    """An output folder, opened for writing; made by `create`.

    Attributes:
        folder: Where it lies.
        identity: Whose it is.
    """

    folder: Path
    identity: Identity

    def has_unit(self, key: str) -> bool:
        """Say whether a unit was already computed."""
        return layout.unit_path(self.folder, key).is_file()

    def read_unit(self, key: str) -> Unit:
        """Read a unit that was already computed.

        Raises:
            RecordError: If it is missing or damaged.
        """
        return read_unit(layout.unit_path(self.folder, key))

    def write_unit(self, unit: Unit) -> None:
        """Keep the tensors of a unit under its key."""
        write_bytes(layout.unit_path(self.folder, unit.key), unit_bytes(unit))

    def write_table(self, table: pa.Table) -> None:
        """Write the tidy table, see `build_table`."""
        write_bytes(self.folder / layout.TABLE, table_bytes(table))

    def write_result(self, result: Result) -> None:
        """Write what came of the run."""
        write_bytes(self.folder / layout.RESULT, json_bytes(result.as_json()))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write what was run; in the command, the output folder is called DIR and stays exact under `volatile`."""
        facts = {
            **self.identity.facts(),
            "command": list(_without(str(self.folder), manifest.command)),
            "seeds": manifest.seeds,
            "sigmas": manifest.sigmas,
            "versions": manifest.versions,
            "volatile": {**manifest.volatile, "command": manifest.command},
        }
        write_bytes(self.folder / layout.MANIFEST, json_bytes(facts))

    def write_figure(self, name: str, kind: str, picture: bytes) -> None:
        """Write a figure of an experiment; `kind` is "svg" or "png"."""
        write_bytes(layout.figure_path(self.folder, name, kind), picture)

    def write_report(self, page: bytes) -> None:
        """Write the page."""
        write_bytes(self.folder / layout.REPORT, page)

    def log(self, line: str) -> None:
        """Append one line to the log."""
        path = self.folder / layout.LOG
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(" ".join(line.split()) + "\n")
        except OSError as error:
            raise output_error(path, error) from error


def create(folder: str | os.PathLike[str], identity: Identity, *, overwrite: bool = False) -> Writer:
    """Open an output folder for writing.

    Args:
        folder: May be missing, empty, hold a record of the same identity, which is resumed, or one that never got to
            its first unit, which is replaced.
        identity: The run that is to be written.
        overwrite: Remove the record that the folder holds, of whatever identity, and begin anew.

    Raises:
        OutputError: If the folder holds another run or other files, or cannot be written; nothing was changed.
        RecordError: If the folder holds a record of another schema version.
    """
    path = Path(folder)
    try:
        _admit(path, identity, overwrite)
        for leftover in layout.leftovers(path):
            leftover.unlink()
    except OSError as error:
        raise output_error(path, error) from error
    if read_manifest(path) is None:
        write_bytes(path / layout.MANIFEST, json_bytes(identity.facts()))
    return Writer(path, identity)


def _admit(folder: Path, identity: Identity, overwrite: bool) -> None:
    """Refuse a folder that is not ours to write, and clear one that is to be overwritten."""
    foreign = layout.foreign(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        if foreign:
            raise OutputError(
                f"The output folder {folder} holds files that are no record of stepscope: {_few(foreign)}. Allowed is "
                "a missing or empty folder, or the record of the same run. Choose another folder."
            )
    elif overwrite or not (_is_same(manifest, identity) or layout.computed(folder)):
        _clear(folder)
    elif not _is_same(manifest, identity):
        raise OutputError(
            f"The output folder {folder} holds another run: {_differences(manifest, identity)}. Allowed is a missing "
            "or empty folder, or the record of the same run. Choose another folder, or replace it with --overwrite."
        )


def _is_same(manifest: Mapping[str, object], identity: Identity) -> bool:
    return all(manifest.get(name) == value for name, value in identity.facts().items())


def _clear(folder: Path) -> None:
    for file in layout.ours(folder):
        file.unlink()


def _differences(manifest: Mapping[str, object], identity: Identity) -> str:
    """Say in what two runs differ, one `name: theirs, now ours` each."""
    theirs, ours = _flat(manifest), _flat(identity.facts())
    names = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
    return _few([f"{name} {theirs.get(name)!r}, now {ours.get(name)!r}" for name in names])


def _flat(manifest: Mapping[str, object]) -> dict[str, object]:
    config = manifest["config"]
    assert isinstance(config, Mapping)
    return {**config, "weights_hash": manifest["weights_hash"]}


def _few(names: Sequence[str]) -> str:
    return "; ".join(names[:3]) + ("; …" if len(names) > 3 else "")


def _without(folder: str, words: Sequence[str]) -> Iterator[str]:
    """Call the output folder DIR behind its option, with an equals sign or without; no other word."""
    before = ""
    for word in words:
        option, _, value = word.rpartition("=")
        ours = value.rstrip("/") == folder.rstrip("/") and (option or before).startswith("--")
        yield (f"{option}=DIR" if option else "DIR") if ours else word
        before = word
