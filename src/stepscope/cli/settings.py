"""The options that say how to denoise, as settings; what `record`, `run` and `vbvr generate` share."""

from argparse import Namespace
from typing import TYPE_CHECKING

from stepscope.cli.words import listed

if TYPE_CHECKING:
    from stepscope.executors import Settings

__all__ = ["settings_of"]


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
