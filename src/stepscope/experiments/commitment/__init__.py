"""The experiment `commitment`: its tree, its measures, its ledger."""

from stepscope.experiments.commitment.experiment import Commitment

__all__ = ["Commitment"]
