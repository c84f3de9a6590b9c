"""Writing a file so that a reader sees the old bytes or the new ones, and never a part of them.

The bytes go to a temporary file in the same folder, are forced to the disk, and take the name in one step
(`os.replace`).  Whatever goes wrong on the way (a full disk, a folder without permission, a kill) leaves the old file
as it was; a temporary file that a kill left behind is known by its name.
"""

import contextlib
import os
import secrets
from pathlib import Path

from stepscope.errors import OutputError

__all__ = ["is_temporary", "output_error", "write_bytes"]

_PREFIX, _SUFFIX = ".stepscope-", ".part"


def is_temporary(path: Path) -> bool:
    """Say whether a file is the unfinished write of a process that was killed."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn what the system said about a write into one line for the user."""
    return OutputError(
        f"Cannot write {path}: {error.strerror or error}. Nothing was overwritten. "
        "Choose an output folder that can be written and has room, then run the same command again: it resumes."
    )


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing; missing parent folders are made.

    Raises:
        OutputError: If the system refuses (disk full, no permission, read-only, a file where a folder should be).
    """
    temporary = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
