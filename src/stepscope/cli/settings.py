"""The options that say which model and how to denoise, as values; what every command with a run shares."""

from argparse import Namespace
from typing import TYPE_CHECKING

from stepscope.cli.words import listed

if TYPE_CHECKING:
    from stepscope.executors import ModelReference, Settings

__all__ = ["reference_of", "settings_of"]


def reference_of(options: Namespace) -> "ModelReference":
    """The model of a command line."""
    from stepscope.executors import ModelReference

    return ModelReference(
        options.model,
        device=options.device,
        dtype=options.dtype,
        loras=tuple(options.lora or ()),
        revision=options.revision,
        offload=options.offload,
    )


def settings_of(options: Namespace) -> "Settings":
    """The settings of a command line; a command without `--record` records nothing more."""
    from stepscope.executors import Settings

    return Settings(
        num_steps=options.steps,
        guidance=options.guidance,
        solver=options.solver,
        schedule=options.schedule,
        shift=options.shift,
        negative_prompt=options.negative_prompt,
        recorders=tuple(listed(getattr(options, "record", None))),
    )
