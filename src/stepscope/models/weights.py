"""Weights as bytes: what a finding is pinned to, and whether they arrived whole.

    folder           sha256 over the bytes of COMPONENT/*.safetensors, components and files in name order
    live pipeline    "state:" + sha256 over every component's name, key, number type, shape and bytes, in name order
    live denoiser    "source:" + sha256 over the file that defines its class (its qualified name if there is no file)

Streamed, so the cost is one read of the files.  A safetensors file is checked against the length that its own header
promises: a truncated download is found before anything is loaded.  Pickled weights are never opened.
"""

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch

from stepscope.errors import ModelLoadError

__all__ = ["PICKLED", "check_weights", "folder_hash", "pipeline_hash", "source_hash"]

PICKLED = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
_CHUNK = 2**22
_MAX_HEADER = 100_000_000  # bytes; the format's own limit


def folder_hash(folder: Path) -> str:
    """The hash of a folder's weights, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in _files(folder, "*.safetensors"):
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def pipeline_hash(pipeline: Any) -> str:
    """The hash of the weights of a live pipeline."""
    digest = hashlib.sha256()
    for name, component in sorted(pipeline.components.items()):
        if isinstance(component, torch.nn.Module):
            for key, tensor in sorted(component.state_dict().items()):
                digest.update(f"{name}.{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
                flat = tensor.detach().cpu().contiguous().flatten()
                digest.update(flat.view(torch.uint8).numpy().tobytes())
    return f"state:{digest.hexdigest()}"


def source_hash(model: object) -> str:
    """The hash of the source of a live denoiser."""
    kind = type(model)
    try:
        told = Path(str(inspect.getsourcefile(kind))).read_bytes()
    except (OSError, TypeError):
        told = f"{kind.__module__}.{kind.__qualname__}".encode()
    return f"source:{hashlib.sha256(told).hexdigest()}"


def check_weights(folder: Path) -> None:
    """Refuse a folder whose weights are pickled, missing or not whole.

    Raises:
        ModelLoadError: naming the file.
    """
    for path in _files(folder, "*"):
        if path.suffix in PICKLED and not any(path.parent.glob("*.safetensors")):
            raise ModelLoadError(
                f"{path} is a pickled checkpoint. Only safetensors are opened. Convert it with save_pretrained."
            )
    for index in _files(folder, "*.safetensors.index.json"):
        for shard in _shards(index):
            if not (index.parent / shard).is_file():
                raise ModelLoadError(f"{index.parent / shard} is missing, but its index names it. Fetch it again.")
    for name in _components(folder):
        _check_there(folder / name)
    for path in _files(folder, "*.safetensors"):
        _check_whole(path)


def _shards(index: Path) -> list[str]:
    """The files that an index of weights names."""
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelLoadError(f"{index} names no weights ({type(error).__name__}). Fetch it again.") from error


def _check_there(component: Path) -> None:
    """A component that the index names has a folder, and weights where it has the configuration of a network."""
    if not component.is_dir():
        raise ModelLoadError(f"{component} is missing, but model_index.json names it. Fetch or save the folder again.")
    if (component / "config.json").is_file() and not any(component.glob("*.safetensors")):
        raise ModelLoadError(f"{component} has no weights. A network has *.safetensors. Fetch or save it again.")


def _check_whole(path: Path) -> None:
    size, promised = path.stat().st_size, _promised_size(path)
    if promised is None:
        raise ModelLoadError(f"{path} has no safetensors header ({size} bytes). The file is corrupt. Fetch it again.")
    if size != promised:
        raise ModelLoadError(
            f"{path} has {size} bytes, its header promises {promised}. It is not whole. Fetch it again."
        )


def _promised_size(path: Path) -> int | None:
    """The file's length by its header (8 bytes of length, JSON, data), None if there is no such header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _MAX_HEADER:
            return None
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
    return 8 + length + max(ends, default=0)


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files of a pattern in the folder's components, in name order."""
    return [path for name in _components(folder) for path in sorted((folder / name).glob(pattern))]


def _components(folder: Path) -> list[str]:
    """The components that the index names, in name order; what is null there, or no component, is none."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    return sorted(name for name, kind in index.items() if isinstance(kind, list) and all(kind))
