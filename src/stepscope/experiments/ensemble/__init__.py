"""The experiment `ensemble`: its tree, its measures, its ledger."""

from stepscope.experiments.ensemble.experiment import Ensemble

__all__ = ["Ensemble"]
