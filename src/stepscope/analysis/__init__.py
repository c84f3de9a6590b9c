"""Pure functions from arrays to numbers: observers, knowledge and choice, intervals, CKA, the registry of claims."""

from stepscope.analysis import claims
from stepscope.analysis.bands import Band, mean_band
from stepscope.analysis.bounded import bounded_interval
from stepscope.analysis.cells import cell_shares, latent_frames
from stepscope.analysis.cka import Centred, centred, debiased_cka, debiased_ckas
from stepscope.analysis.commitment import answer_commitment_step, commitment_step, knowledge_step
from stepscope.analysis.hull import candidate_weights, hull_coordinates, knowledge, multiplicity
from stepscope.analysis.influence import frame_influence, influence_asymmetry, told_frames
from stepscope.analysis.intervals import mean_interval, minimal_detectable_effect, proportion
from stepscope.analysis.localisation import localisation
from stepscope.analysis.observer import Rollout, ideal_observer, observer_rollout
from stepscope.analysis.paired import holm, paired_bootstrap
from stepscope.analysis.per_frame import commitment_by_frame, commitment_slope, telling_frames
from stepscope.analysis.perception import Scene, SceneKnowledge, divide_scene, scene_knowledge
from stepscope.analysis.probe import probe, probe_hits
from stepscope.analysis.readout import read_out
from stepscope.analysis.ridge import Affine, Regression
from stepscope.analysis.seed_variance import SeedVariance, seed_agreement, seed_variance
from stepscope.analysis.snr import separation, signal_to_noise
from stepscope.analysis.superposition import excess_multiplicity, superposed
from stepscope.analysis.transitions import WRONG, AnswerChanges, answer_changes, painted, shown_answers

__all__ = [
    "WRONG",
    "Affine",
    "AnswerChanges",
    "Band",
    "Centred",
    "Regression",
    "Rollout",
    "Scene",
    "SceneKnowledge",
    "SeedVariance",
    "answer_changes",
    "answer_commitment_step",
    "bounded_interval",
    "candidate_weights",
    "cell_shares",
    "centred",
    "claims",
    "commitment_by_frame",
    "commitment_slope",
    "commitment_step",
    "debiased_cka",
    "debiased_ckas",
    "divide_scene",
    "excess_multiplicity",
    "frame_influence",
    "holm",
    "hull_coordinates",
    "ideal_observer",
    "influence_asymmetry",
    "knowledge",
    "knowledge_step",
    "latent_frames",
    "localisation",
    "mean_band",
    "mean_interval",
    "minimal_detectable_effect",
    "multiplicity",
    "observer_rollout",
    "painted",
    "paired_bootstrap",
    "probe",
    "probe_hits",
    "proportion",
    "read_out",
    "scene_knowledge",
    "seed_agreement",
    "seed_variance",
    "separation",
    "shown_answers",
    "signal_to_noise",
    "superposed",
    "telling_frames",
    "told_frames",
]
