"""Every experiment has its figures, and every figure an experiment."""

from pathlib import Path

import stepscope.figures
from stepscope.experiments import registry
from stepscope.figures import gallery


def test_every_experiment_has_a_figure():
    assert set(gallery._OF_EXPERIMENT) == set(registry.names())
    assert all(gallery._OF_EXPERIMENT.values())


def test_a_module_that_draws_belongs_to_an_experiment():
    folder = Path(stepscope.figures.__file__).parent
    drawing = {file.stem.replace("_", "-") for file in folder.glob("*.py") if "\ndef draw(" in file.read_text()}
    assert drawing == {name for names in gallery._OF_EXPERIMENT.values() for name in names}


def test_a_result_of_something_else_has_none():
    assert gallery.drawn({"experiment": "record"}) == {}
