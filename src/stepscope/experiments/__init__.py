"""Experiments: one file each; given a model, each measures puzzles, emits claims and sums them up.

registry     which experiments there are
asking       from words to a plan that can begin
conduct      carry it out: `stepscope.run`
evidence     from one number a run to a verdict
commitment   what the model knows and chooses, step by step, beside the ideal observers
"""

from stepscope.experiments.asking import Question, ask
from stepscope.experiments.conduct import carry_out, run
from stepscope.experiments.outcome import Result
from stepscope.experiments.registry import Experiment, get, names

__all__ = ["Experiment", "Question", "Result", "ask", "carry_out", "get", "names", "run"]
