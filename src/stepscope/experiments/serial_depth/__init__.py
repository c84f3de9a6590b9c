"""The experiment `serial-depth`: its tree, its measures, its ledger."""

from stepscope.experiments.serial_depth.experiment import SerialDepth

__all__ = ["SerialDepth"]
