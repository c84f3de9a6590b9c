"""The experiment `wrong-plan`: its tree, its measures, its ledger."""

from stepscope.experiments.wrong_plan.experiment import WrongPlanSweep

__all__ = ["WrongPlanSweep"]
