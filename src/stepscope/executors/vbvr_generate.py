"""Answer every question of VBVR-Bench: one video a sample and seed, in the layout that the official kit reads.

    OUT/{split}/{TASK}_data-generator/{00000}.mp4                 one seed
    OUT/seed-{K}/{split}/{TASK}_data-generator/{00000}.mp4        several

A video that is there is not made again, so a run that was stopped resumes.  A question that cannot be used, or whose
video would leave the folder by a link, is told in one line, and the rest goes on.  Cost: N predictions and one decoding
a video.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepscope.errors import BadInputError, OutputError, RecordError
from stepscope.executors.local import prepare
from stepscope.executors.recording import ModelReference, Recording, Settings
from stepscope.models import fit_image
from stepscope.scope import Model, stored
from stepscope.store import trace_to_unit, unit_key
from stepscope.store.vbvr import FIRST, BenchSample, steps_of
from stepscope.store.vbvr_video import read_png, require_av, write_mp4
from stepscope.store.vbvr_writing import claim, inside, write_steps
from stepscope.tasks import Sample

__all__ = ["Generated", "generate"]


@dataclass(frozen=True)
class Generated:
    """What came of it.

    Attributes:
        written: videos made now.
        kept: videos that were there.
        complaints: a line for each question that could not be used, and each video that could not be placed.
    """

    written: int
    kept: int
    complaints: tuple[str, ...]


def generate(
    model: Model,
    reference: ModelReference,
    samples: Sequence[BenchSample],
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    settings: Settings | None = None,
    num_frames: int | None = None,
    keep_steps: bool = False,
    tick: Callable[[], object] = lambda: None,
) -> Generated:
    """Make the videos that the folder lacks.

    Args:
        model: who answers.
        reference: what gave it.
        samples: the questions.
        out: missing, empty, or begun by the same call.
        seeds: seeds of the noise.
        settings: how to denoise; its recorders run only with `keep_steps`.
        num_frames: length of the videos; None for the model's own.
        keep_steps: keep latents, clean estimates and records of every step beside each video.
        tick: called once a video.

    Raises:
        UserError: if the folder holds something else, PyAV is missing, or a setting cannot be used.
    """
    require_av()
    settings = settings or Settings()
    frames = model.card.num_frames if num_frames is None else num_frames
    job = prepare(Recording(reference, (_first_question(model, samples, frames),), seeds, settings), model)
    config = {name: value for name, value in job.identity.config.items() if name not in ("samples", "experiment")}
    facts = {**config, "weights_hash": model.weights_hash, "num_frames": frames, "keep_steps": keep_steps}
    claim(out, facts)
    written, kept, complaints = 0, 0, []
    for sample in samples:
        paths = [(seed, path) for seed, path in _paths(sample, seeds) if _stays_inside(out, path, complaints)]
        missing = [(seed, path) for seed, path in paths if not (out / path).exists()]
        kept += len(paths) - len(missing)
        try:
            question = _question(model, sample, frames) if missing else None
        except (RecordError, BadInputError) as error:
            complaints.append(str(error))
            continue
        for seed, path in missing:
            _answer(model, question, out, path, seed, settings, keep_steps)
            written += 1
            tick()
    return Generated(written, kept, tuple(complaints))


def _first_question(model: Model, samples: Sequence[BenchSample], num_frames: int) -> Sample:
    """The first question that can be used."""
    told = "there is none"
    for sample in samples:
        try:
            return _question(model, sample, num_frames)
        except (RecordError, BadInputError) as error:
            told = str(error)
    raise BadInputError(f"No question can be used ({told}). Give whole ground truth.")


def _paths(sample: BenchSample, seeds: Sequence[int]) -> Iterator[tuple[int, Path]]:
    """(seed, path of the video in the output folder)."""
    for seed in seeds:
        root = Path(f"seed-{seed}") if len(seeds) > 1 else Path()
        yield seed, root / sample.place.path.with_suffix(".mp4")


def _stays_inside(out: Path, path: Path, complaints: list[str]) -> bool:
    """Whether a video and its steps can be written without following a link out of the folder."""
    try:
        for written in (path, steps_of(path)):
            inside(out, written)
    except OutputError as error:
        complaints.append(str(error))
        return False
    return True


def _question(model: Model, sample: BenchSample, num_frames: int) -> Sample:
    """The first frame, brought to a size that the model takes, and the prompt."""
    prompt = sample.prompt
    if not prompt:
        raise BadInputError(f"The prompt of {str(sample.folder)!r} is empty. A model is asked in words. Write some.")
    pixels = read_png(sample.folder / FIRST)
    codec = getattr(model.loaded.denoiser, "codec", None)
    if codec is not None:
        pixels = fit_image(pixels, codec.sizes, model.card.height * model.card.width).pixels
    question = Sample(prompt, pixels, num_frames)
    try:  # a picture that the model refuses is known before it is asked
        model.loaded.denoiser.latents_shape(question)
    except BadInputError as error:
        raise BadInputError(f"{sample.folder / FIRST}: {error}") from error
    return question


def _answer(
    model: Model, question: Any, out: Path, path: Path, seed: int, settings: Settings, keep_steps: bool
) -> None:
    recorders = settings.fresh_recorders() if keep_steps else ()
    trace = model.denoise(question, seed=seed, recorders=recorders, **settings.options())
    if keep_steps:
        key = unit_key(
            {"place": path.as_posix(), "seed": seed, **vars(settings)}, model.weights_hash, threads=1, chunk=1
        )
        write_steps(out, path, trace_to_unit(stored(trace, [None]), key, model.weights_hash))
    write_mp4(inside(out, path), trace.frames())
