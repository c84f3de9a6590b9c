"""Experiments: one module each (with parts that carry its name); given a model, each measures puzzles and emits claims.

registry     which experiments there are                asking     from words to a plan that can begin
conduct      carry it out: `stepscope.run`              evidence   from one number a run to a verdict
sweeps       steps, noises and nulls that sweeps share  curves     means with bands over steps
spans        indices as people give them

commitment         what the model knows and chooses, step by step, beside the ideal observers
noise_at_step      what noise at one step does to the answer, and how far it carries
noise_at_frame     who listens to whom within a step: Chain-of-Steps against Chain-of-Frames
wrong_plan         what a model repairs, and what it believes
layer_energy       where in the picture each layer works       layer_lens    what each layer knows
layer_swap         which layer flips the answer                layer_probe   where it can be read before it shows
ensemble           what seeds gain from each other             frame_count   how few frames will do
step_compression   how few steps will do                       serial_depth  what a chain of dependencies costs
"""

from stepscope.experiments.asking import Question, ask
from stepscope.experiments.conduct import carry_out, run
from stepscope.experiments.outcome import Result
from stepscope.experiments.registry import Experiment, get, names

__all__ = ["Experiment", "Question", "Result", "ask", "carry_out", "get", "names", "run"]
