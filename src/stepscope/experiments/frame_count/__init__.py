"""The experiment `frame-count`: its tree, its measures, its ledger."""

from stepscope.experiments.frame_count.experiment import FrameCount

__all__ = ["FrameCount"]
