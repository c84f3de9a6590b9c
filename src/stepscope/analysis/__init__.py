"""Pure functions from arrays to numbers: observers, knowledge and choice, intervals, CKA, the registry of claims."""

from stepscope.analysis import claims
from stepscope.analysis.cka import debiased_cka
from stepscope.analysis.commitment import answer_commitment_step, commitment_step, knowledge_step
from stepscope.analysis.hull import candidate_weights, knowledge, multiplicity
from stepscope.analysis.intervals import mean_interval, minimal_detectable_effect, proportion
from stepscope.analysis.observer import Rollout, ideal_observer, observer_rollout
from stepscope.analysis.paired import holm, paired_bootstrap
from stepscope.analysis.readout import read_out
from stepscope.analysis.snr import separation, signal_to_noise

__all__ = [
    "Rollout",
    "answer_commitment_step",
    "candidate_weights",
    "claims",
    "commitment_step",
    "debiased_cka",
    "holm",
    "ideal_observer",
    "knowledge",
    "knowledge_step",
    "mean_interval",
    "minimal_detectable_effect",
    "multiplicity",
    "observer_rollout",
    "paired_bootstrap",
    "proportion",
    "read_out",
    "separation",
    "signal_to_noise",
]
