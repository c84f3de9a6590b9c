"""The experiment `layer-probe`: its tree, its measures, its ledger."""

from stepscope.experiments.layer_probe.experiment import LayerProbe

__all__ = ["LayerProbe"]
