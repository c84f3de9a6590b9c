"""Recorders: folds over a run that are reduced while the model runs, and change nothing in it.

    TokenEnergy       how strongly each token is lit                  Gram           how alike layers and steps are
    ComponentBasis    the directions in which tokens differ           Moments        mean and variance of each channel
    TokenComponents   each token's place along these directions       SeedVariance   what seeds share
    Raw               hidden states themselves, within a budget       Difference     how far two runs are apart
    ProbeFeatures     means over regions of tokens                    Experts        who answered
    CrossFrameAttention                                               which frames look at which

Any object with `name`, `init`, `update`, `merge` and `finish` is a recorder; see `denoise.recorder`.
"""

from stepscope.denoise import PairedRecorder, Recorder, RunInfo, SiteEvent, StepEvent
from stepscope.errors import UnknownNameError
from stepscope.recorders.component_basis import ComponentBasis
from stepscope.recorders.cross_frame_attention import CrossFrameAttention
from stepscope.recorders.difference import Difference
from stepscope.recorders.experts import Experts
from stepscope.recorders.gram import Gram
from stepscope.recorders.moments import Moments
from stepscope.recorders.probe_features import ProbeFeatures
from stepscope.recorders.raw import Raw
from stepscope.recorders.seed_variance import SeedVariance, seed_parts
from stepscope.recorders.token_components import TokenComponents
from stepscope.recorders.token_energy import TokenEnergy

__all__ = [
    "ComponentBasis",
    "CrossFrameAttention",
    "Difference",
    "Experts",
    "Gram",
    "Moments",
    "PairedRecorder",
    "ProbeFeatures",
    "Raw",
    "Recorder",
    "RunInfo",
    "SeedVariance",
    "SiteEvent",
    "StepEvent",
    "TokenComponents",
    "TokenEnergy",
    "get",
    "names",
    "seed_parts",
]

_SINGLE = {
    "component-basis": ComponentBasis,
    "cross-frame-attention": CrossFrameAttention,
    "gram": Gram,
    "moments": Moments,
    "seed-variance": SeedVariance,
    "token-energy": TokenEnergy,
}


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
