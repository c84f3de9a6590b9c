"""`stepscope record MODEL`: every denoising step of a model on a puzzle, or on a picture of the user's own."""

from argparse import Namespace

from stepscope.cli.settings import reference_of, settings_of
from stepscope.errors import BadInputError

__all__ = ["check_question", "run"]

_OF_A_TASK = ("sample", "split", "size", "dial")
_OF_A_PICTURE = ("prompt",)


def run(options: Namespace) -> None:
    """Record; whatever words alone can tell wrong is refused before torch is imported."""
    check_question(options)
    from stepscope.cli import puzzles
    from stepscope.cli.recording import carry_out

    settings = settings_of(options)
    puzzle = puzzles.from_task(options) if options.task else None
    picture = None if options.task else puzzles.read_picture(options)
    reference = reference_of(options)
    model = reference.load()
    carry_out(options, puzzle or puzzles.from_picture(options, picture, model), model, reference, settings)


def check_question(options: Namespace) -> None:
    """Refuse what contradicts itself in --task, --image and what belongs to them, and what is empty.

    Raises:
        BadInputError: If both came, or neither, what belongs to the other, an image without words, or no steps.
    """
    if (options.task is None) == (options.image is None):
        came = "Neither --task nor --image" if options.task is None else "Both --task and --image"
        raise BadInputError(f"{came} came. A model is asked one thing. Give --task T, or --image F with --prompt P.")
    strange, kind = (_OF_A_PICTURE, "task") if options.task else (_OF_A_TASK, "image")
    for name in strange:
        if getattr(options, name) is not None:
            raise BadInputError(f"--{name} came with --{kind}. It has no meaning there. Leave one of them out.")
    if options.image is not None and not (options.prompt or "").strip():
        raise BadInputError("The prompt came empty. A model is asked in words. Give --prompt some.")
    if options.steps < 1:
        raise BadInputError(f"Steps came as {options.steps}. A run has at least 1 step. Give --steps 1 or more.")
