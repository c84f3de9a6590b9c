"""Where the numbers of a benchmark come from: machine, number types of its kernels, versions, state of the code."""

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

__all__ = ["environment"]

_ROOT = Path(__file__).parents[1]
_COMPUTED_WITH = ("stepscope", "torch", "diffusers", "accelerate")


def environment(device: str | torch.device) -> dict[str, Any]:
    """What a reader must know who measures again; of a package that is not installed the version is None."""
    on_gpu = torch.device(device).type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        # PyTorch lets convolutions round to TF32 unless told otherwise, matrix products not.
        "tf32": {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "convolutions": torch.backends.cudnn.allow_tf32,
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _COMPUTED_WITH}},
        "commit": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The state of the repository, None outside of one."""
    if shutil.which("git") is None:
        return None
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None
