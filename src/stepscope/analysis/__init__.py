"""Pure functions from arrays to numbers: observers, knowledge and choice, intervals, CKA, the registry of claims."""

from stepscope.analysis import claims
from stepscope.analysis.bands import Band, mean_band
from stepscope.analysis.cka import debiased_cka
from stepscope.analysis.commitment import answer_commitment_step, commitment_step, knowledge_step
from stepscope.analysis.hull import candidate_weights, knowledge, multiplicity
from stepscope.analysis.intervals import mean_interval, minimal_detectable_effect, proportion
from stepscope.analysis.observer import Rollout, ideal_observer, observer_rollout
from stepscope.analysis.paired import holm, paired_bootstrap
from stepscope.analysis.per_frame import commitment_by_frame, commitment_slope, telling_frames
from stepscope.analysis.readout import read_out
from stepscope.analysis.seed_variance import SeedVariance, seed_agreement, seed_variance
from stepscope.analysis.snr import separation, signal_to_noise
from stepscope.analysis.superposition import excess_multiplicity, superposed
from stepscope.analysis.transitions import WRONG, AnswerChanges, answer_changes, painted, shown_answers

__all__ = [
    "WRONG",
    "AnswerChanges",
    "Band",
    "Rollout",
    "SeedVariance",
    "answer_changes",
    "answer_commitment_step",
    "candidate_weights",
    "claims",
    "commitment_by_frame",
    "commitment_slope",
    "commitment_step",
    "debiased_cka",
    "excess_multiplicity",
    "holm",
    "ideal_observer",
    "knowledge",
    "knowledge_step",
    "mean_band",
    "mean_interval",
    "minimal_detectable_effect",
    "multiplicity",
    "observer_rollout",
    "painted",
    "paired_bootstrap",
    "proportion",
    "read_out",
    "seed_agreement",
    "seed_variance",
    "separation",
    "shown_answers",
    "signal_to_noise",
    "superposed",
    "telling_frames",
]
