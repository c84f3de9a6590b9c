"""The experiment `noise-at-frame`: its tree, its measures, its ledger."""

from stepscope.experiments.noise_at_frame.experiment import NoiseAtFrame

__all__ = ["NoiseAtFrame"]
