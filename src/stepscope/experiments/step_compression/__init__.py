"""The experiment `step-compression`: its tree, its measures, its ledger."""

from stepscope.experiments.step_compression.experiment import StepCompression

__all__ = ["StepCompression"]
