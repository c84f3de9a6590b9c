"""Writing in the layout of VBVR-Bench: questions with their answers, a model's videos, and what a scorer is shown.

    claim(OUT, facts)     an empty or missing folder begins; the same facts resume; anything else is refused
    scratch()             a folder that is gone afterwards: links to accepted files alone, under the benchmark's names

A path outside the output folder is never written, whatever links lie in it.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stepscope.errors import OutputError, RecordError
from stepscope.shapes import Frames
from stepscope.store.atomic import is_temporary, output_error, write_bytes
from stepscope.store.manifest import json_bytes
from stepscope.store.tensors import Unit, unit_bytes
from stepscope.store.units import canonical_json
from stepscope.store.vbvr import FINAL, FIRST, MANIFEST, PROMPT, VIDEO, BenchSample, Place, steps_of
from stepscope.store.vbvr_video import count_frames, mp4_bytes, png_bytes, read_png, write_mp4

__all__ = ["FLOORS", "claim", "claimed", "inside", "scratch", "show", "write_floor", "write_question", "write_steps"]

FLOORS = ("still", "teleport")


def claim(folder: Path, facts: Mapping[str, object]) -> None:
    """Open an output folder for these facts.

    Raises:
        OutputError: if it holds something else, or cannot be written; nothing was changed.
    """
    found, mine = claimed(folder), json.loads(canonical_json(facts))
    foreign = folder.exists() and (not folder.is_dir() or any(not is_temporary(each) for each in folder.iterdir()))
    if not found and foreign:
        raise OutputError(f"{folder} holds files that are not of this command. Choose a missing or empty folder.")
    if found and found != mine:
        differ = sorted(name for name in {*found, *mine} if found.get(name) != mine.get(name))
        raise OutputError(
            f"The folder {folder} holds another run: it differs in {', '.join(differ)}. Allowed is a missing or empty "
            "folder, or the same run, which is resumed. Choose another folder."
        )
    if not found:
        write_bytes(folder / MANIFEST, json_bytes(facts))


def claimed(folder: Path) -> dict[str, Any]:
    """The facts for which a folder was claimed, empty if it was not."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def inside(folder: Path, relative: Path) -> Path:
    """The path of a file in the folder.

    Raises:
        OutputError: if it leads out of the folder.
    """
    path = folder / relative
    try:
        stays = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        stays = False
    if not stays:
        raise OutputError(f"{path} leads out of the output folder. Nothing is written there. Remove the link.")
    return path


def write_question(folder: Path, place: Place, prompt: str, answer: Frames) -> None:
    """Write one question with its answer: the four files of the layout, and the frames without loss."""
    files = {
        FIRST: png_bytes(answer[0]),
        FINAL: png_bytes(answer[-1]),
        VIDEO: mp4_bytes(answer),
        PROMPT: prompt.encode(),
        **{f"frames/{index:04d}.png": png_bytes(frame) for index, frame in enumerate(answer)},
    }
    for name, content in files.items():
        write_bytes(inside(folder, place.path / name), content)


def write_steps(folder: Path, place: Path, unit: Unit) -> None:
    """Keep what a model believed at each step beside its video."""
    write_bytes(inside(folder, steps_of(place)), unit_bytes(unit))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of the system's own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="stepscope-vbvr-") as folder:
        yield Path(folder)


def show(folder: Path, files: Mapping[Path, Path]) -> Path:
    """Make a folder of links: {relative path: what it leads to}."""
    folder.mkdir(parents=True, exist_ok=True)
    for relative, target in files.items():
        link = folder / relative
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target.resolve())
        except OSError as error:
            raise output_error(link, error) from error
    return folder


def write_floor(folder: Path, sample: BenchSample, floor: str) -> None:
    """Write a video that shows no reasoning, as long as the true one.

    Args:
        folder: where the videos of this floor go.
        sample: the question.
        floor: `still` (the first frame, repeated) or `teleport` (then the final frame, with nothing between).

    Raises:
        RecordError: if the ground truth cannot be read.
    """
    first, final = read_png(sample.folder / FIRST), read_png(sample.folder / FINAL)
    if first.shape != final.shape:
        raise RecordError(f"{str(sample.folder)!r} has first and final frames of two sizes. Fetch it again.")
    count = max(count_frames(sample.folder / VIDEO), 2)
    frames = np.repeat(first[None], count, axis=0)
    if floor == "teleport":
        frames[count // 2 :] = final
    write_mp4(folder / sample.place.path.with_suffix(".mp4"), frames)
