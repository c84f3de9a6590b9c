"""The experiment `layer-energy`: its tree, its measures, its ledger."""

from stepscope.experiments.layer_energy.experiment import LayerEnergy

__all__ = ["LayerEnergy"]
