"""The public face that joins the rooms below: models, traces, plans of branches, and what can be read off them."""

from stepscope.scope.branch import Branch
from stepscope.scope.model import Model, load_model
from stepscope.scope.plan_json import plan_from_json, plan_to_json
from stepscope.scope.planning import Plan, plan
from stepscope.scope.readout import Reading, Solutions, encode_solutions, read
from stepscope.scope.stored import stored
from stepscope.scope.trace import Scores, Trace

__all__ = [
    "Branch",
    "Model",
    "Plan",
    "Reading",
    "Scores",
    "Solutions",
    "Trace",
    "encode_solutions",
    "load_model",
    "plan",
    "plan_from_json",
    "plan_to_json",
    "read",
    "stored",
]
