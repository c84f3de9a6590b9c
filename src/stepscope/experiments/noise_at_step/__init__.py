"""The experiment `noise-at-step`: its tree, its measures, its ledger."""

from stepscope.experiments.noise_at_step.experiment import NoiseAtStep

__all__ = ["NoiseAtStep"]
