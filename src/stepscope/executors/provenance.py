"""Where a result comes from: versions, noise levels, seeds, command, and apart from them all that may differ."""

import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stepscope.executors.local import Job
from stepscope.store import Manifest

__all__ = ["manifest_of"]

_COMPUTED_WITH = ("stepscope", "torch", "diffusers", "transformers", "numpy", "safetensors", "pyarrow", "pillow")


def manifest_of(job: Job, folder: str | os.PathLike[str], command: Sequence[str], started: float) -> Manifest:
    """The manifest of a job that began at `started` (seconds since 1970) and has just ended."""
    return Manifest(
        versions={"python": platform.python_version(), **_versions()},
        sigmas=job.sigmas,
        seeds=list(job.recording.seeds),
        command=list(command),
        volatile={
            "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
            "run_seconds": round(time.time() - started, 3),
            "host": platform.node(),
            "platform": platform.platform(),
            "cpu_count": os.cpu_count(),
            "folder": str(Path(folder).resolve()),
        },
    )


def _versions() -> dict[str, str]:
    """A machine that runs denoisers in closed form may lack diffusers."""
    found = {}
    for name in _COMPUTED_WITH:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
