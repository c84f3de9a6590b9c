"""The experiment `layer-lens`: its tree, its measures, its ledger."""

from stepscope.experiments.layer_lens.experiment import LayerLens

__all__ = ["LayerLens"]
