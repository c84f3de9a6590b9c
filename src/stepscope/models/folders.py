"""Folders: from a name, a path or a hub id to a stock diffusers pipeline in memory.

A folder is looked over before anything is loaded (class, pickles, whole files), and loaded in its number type: some
modules of Wan must stay float32, so nothing is cast afterwards.  All hub access is here.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models.cards import Card, folder_card, hub_card, is_bundled, model_names, named_card
from stepscope.models.weights import PICKLED, check_weights

__all__ = [
    "SUPPORTED",
    "Found",
    "find",
    "find_configuration",
    "first_line",
    "open_pipeline",
    "pipeline_class",
    "unsupported",
]

SUPPORTED = ("CogVideoXImageToVideoPipeline", "LTXImageToVideoPipeline", "WanImageToVideoPipeline")
_SAME_PARTS = {"LTXPipeline": "LTXImageToVideoPipeline"}  # as LTX-Video is published: the image is only in the call
_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
_HUB_FILES = ("*.json", "*/*.safetensors", "*/*.model", "*/*.txt")  # whole checkpoints may lie beside
_HUB_CONFIGURATIONS = ("*.json",)


@dataclass(frozen=True)
class Found:
    """Where a model lies.

    Attributes:
        name: edition, hub id or the folder's own name; free of this machine's paths.
        folder: on this disk.
        card: what it is made for.
    """

    name: str
    folder: Path
    card: Card


def find_configuration(source: str, revision: str | None) -> Found:
    """Like `find`, but of a hub id only the configurations are fetched."""
    return find(source, revision, _HUB_CONFIGURATIONS)


def find(source: str, revision: str | None, files: Sequence[str] = _HUB_FILES) -> Found:
    """The folder of a bundled name, a path or a hub id, of which `files` are fetched.

    Raises:
        UnknownNameError: for a name that does not exist.
        ModelLoadError: for a missing folder, a single file, a hub that does not give it.
        BadInputError: for a revision of anything but a hub id.
    """
    path = Path(source).expanduser()
    bundled = is_bundled(source)
    if revision is not None and (bundled or path.exists()):
        raise BadInputError(f"Revision {revision!r} came for {source!r}. Only a hub id has revisions. Leave it out.")
    if bundled:
        card = named_card(source)
        return Found(card.edition or source, Path(str(card.folder)), card)
    if path.is_dir():
        return Found(path.resolve().name, path, folder_card(path))
    _refuse_file(path)
    if _HUB_ID.fullmatch(source):
        folder = _fetched(source, revision, files)
        return Found(source, folder, hub_card(source, folder))
    if path.name != source:
        raise ModelLoadError(f"The folder {source} does not exist. Give a diffusers folder, a name or a hub id.")
    raise UnknownNameError.of("model", source, model_names())


def open_pipeline(folder: Path, dtype: torch.dtype) -> Any:
    """The pipeline of a folder, on the CPU; VAE and image encoder always in float32.

    Raises:
        ModelLoadError: for a class that is not supported, pickled weights, files that are missing or not whole.
    """
    kind = pipeline_class(folder)
    check_weights(folder)
    import diffusers

    numbers = {"default": dtype, "vae": torch.float32, "image_encoder": torch.float32}
    with _quiet():
        try:
            pipeline = getattr(diffusers, kind).from_pretrained(
                str(folder), dtype=numbers, use_safetensors=True, local_files_only=True
            )
        except Exception as error:  # whatever a damaged folder makes of two libraries
            raise ModelLoadError(
                f"The folder {folder} cannot be loaded ({first_line(error)}). It must be whole. Fetch or save it again."
            ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def unsupported(found: str) -> ModelLoadError:
    """The refusal of a pipeline class."""
    return ModelLoadError(f"The pipeline is a {found}. Supported: {', '.join(SUPPORTED)}. Give a model of that class.")


def first_line(error: BaseException) -> str:
    """What another library's error says first, or its kind."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _refuse_file(path: Path) -> None:
    if path.suffix in {*PICKLED, ".safetensors"} or path.is_file():
        raise ModelLoadError(
            f"{path} is a single file; pickled checkpoints are never opened. A model is a diffusers folder with "
            "safetensors. Convert it with save_pretrained."
        )


def _fetched(hub_id: str, revision: str | None, files: Sequence[str]) -> Path:
    """The snapshot of a hub id on this disk, downloaded where it is not there yet."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(files)))
    except Exception as error:  # the client raises a dozen kinds, and those of its transport
        raise ModelLoadError(
            f"There is no folder {hub_id!r}, and the hub could not give it ({first_line(error)}). "
            "Check the id and the network, or give a folder."
        ) from error


def pipeline_class(folder: Path) -> str:
    """The stock class that opens a folder; refuses what no family here knows."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelLoadError(f"The folder {folder} has no model_index.json. A diffusers folder has one. Give another.")
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(f"{index} is corrupt ({first_line(error)}). Fetch or save the folder again.") from error
    kind = _SAME_PARTS.get(found, found)
    if kind not in SUPPORTED:
        raise unsupported(found)
    return kind


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and remarks of other libraries while a folder is loaded; as they were afterwards."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    with ExitStack() as restored:
        for logging in (diffusers_logging, transformers_logging):
            restored.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity_error()
            if logging.is_progress_bar_enabled():
                restored.callback(logging.enable_progress_bar)
                logging.disable_progress_bar()
        yield
