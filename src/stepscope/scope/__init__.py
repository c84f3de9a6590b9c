"""The public face that joins the rooms below: models, traces, plans of branches, and what can be read off them."""

from stepscope.scope.branch import Branch
from stepscope.scope.forest import rows_in_a_call
from stepscope.scope.generate_course import Look
from stepscope.scope.generate_merging import MERGES
from stepscope.scope.generate_preview import look_previews
from stepscope.scope.generate_strategies import STRATEGIES, Generation, default_seeds, generate, generation_calls
from stepscope.scope.generate_verifiers import VERIFIERS
from stepscope.scope.model import Model, load_model
from stepscope.scope.plan_json import plan_from_json, plan_to_json
from stepscope.scope.planning import Grown, Plan, grown_together, plan
from stepscope.scope.readout import Reading, Solutions, encode_solutions, read
from stepscope.scope.stored import stored
from stepscope.scope.trace import Scores, Trace

__all__ = [
    "MERGES",
    "STRATEGIES",
    "VERIFIERS",
    "Branch",
    "Generation",
    "Grown",
    "Look",
    "Model",
    "Plan",
    "Reading",
    "Scores",
    "Solutions",
    "Trace",
    "default_seeds",
    "encode_solutions",
    "generate",
    "generation_calls",
    "grown_together",
    "load_model",
    "look_previews",
    "plan",
    "plan_from_json",
    "plan_to_json",
    "read",
    "rows_in_a_call",
    "stored",
]
