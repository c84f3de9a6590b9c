"""Recorders: folds over a run that are reduced while the model runs, and change nothing in it.

`TokenEnergy` reads every layer, `Difference` compares two runs.  Any object with `name`, `init`, `update`, `merge` and
`finish` is a recorder; see `denoise.recorder`.
"""

from stepscope.denoise import PairedRecorder, Recorder, RunInfo, SiteEvent, StepEvent
from stepscope.errors import UnknownNameError
from stepscope.recorders.difference import Difference
from stepscope.recorders.token_energy import TokenEnergy

__all__ = [
    "Difference",
    "PairedRecorder",
    "Recorder",
    "RunInfo",
    "SiteEvent",
    "StepEvent",
    "TokenEnergy",
    "get",
    "names",
]

_SINGLE = {"token-energy": TokenEnergy}


def names() -> tuple[str, ...]:
    """Names of the recorders of one run, as the command line spells them."""
    return tuple(sorted(_SINGLE))


def get(name: str) -> Recorder:
    """The recorder of that name; `token-energy` and `token_energy` are the same.

    Raises:
        UnknownNameError: If there is none.
    """
    if (spelled := name.replace("_", "-")) not in _SINGLE:
        raise UnknownNameError.of("recorder", name, names())
    return _SINGLE[spelled]()
