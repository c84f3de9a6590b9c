"""What stands in examples/ works as its first lines say."""

from pathlib import Path

import numpy as np

import stepscope
from stepscope.scope import encode_solutions, read

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_ideal_observer_knows_at_once_and_solves_the_maze():
    model = stepscope.load_model(f"{EXAMPLES / 'ideal_observer.py'}:IdealObserver")
    sample = stepscope.tasks.get("maze-two-goals").sample(3, size=5)
    trace = model.denoise(sample, num_steps=6, seed=0, shift=20)
    reading = read(trace, encode_solutions(model, sample))
    assert reading.knowledge.max() < 1e-6
    np.testing.assert_allclose(reading.weights, reading.observer_weights, atol=1e-4)
    assert trace.score is not None
    assert trace.score.success
