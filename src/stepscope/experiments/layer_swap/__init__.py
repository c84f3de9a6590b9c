"""The experiment `layer-swap`: its tree, its measures, its ledger."""

from stepscope.experiments.layer_swap.experiment import LayerSwap

__all__ = ["LayerSwap"]
