"""The tables of `noise-at-step` and `wrong-plan`, row by row: the observer on one small puzzle in two steps."""

import pytest
from planted_denoisers import Explorer

import stepscope

COLUMNS = ("branch", "strategy", "step", "other_step", "site", "metric", "value", "text")
NOISE = """
clean       single - - -              answer      -     -
clean       single - - -              knowledge   0.0   -
clean       single - - -              model_calls 2.0   -
clean       single - - -              success     0.0   -
other seed  single - - -              knowledge   0.0   -
other seed  single - - -              model_calls 2.0   -
other seed  single - - -              success     1.0   -
other seed  single - - -              answer      -     solution 1
other seed  single - 0 clean_estimate cka         1.0   -
other seed  single - 0 latents        cka         0.0   -
other seed  single - 1 clean_estimate cka         0.072 -
other seed  single - 1 latents        cka         0.0   -
step 1      single - - -              model_calls 3.0   -
step 1      single 1 - -              knowledge   0.0   -
step 1      single 1 - -              success     1.0   -
step 1      single 1 - -              answer      -     solution 0
step 1      single 1 1 clean_estimate cka         0.986 -
step 1      single 1 1 latents        cka         0.001 -
"""
WRONG = """
clean                 single           - - - answer      -   -
clean                 single           - - - knowledge   0.0 -
clean                 single           - - - model_calls 2.0 -
clean                 single           - - - success     0.0 -
corrupted at step 1   observer-rollout 1 - - knowledge   0.0 -
corrupted at step 1   observer-rollout 1 - - repair      1.0 -
corrupted at step 1   observer-rollout 1 - - success     1.0 -
corrupted at step 1   observer-rollout 1 - - answer      -   solution 0
corrupted at step 1   single           - - - model_calls 2.0 -
corrupted at step 1   single           1 - - knowledge   0.0 -
corrupted at step 1   single           1 - - repair      1.0 -
corrupted at step 1   single           1 - - success     1.0 -
corrupted at step 1   single           1 - - answer      -   solution 0
other-valid at step 1 observer-rollout 1 - - knowledge   0.0 -
other-valid at step 1 observer-rollout 1 - - repair      0.0 -
other-valid at step 1 observer-rollout 1 - - success     1.0 -
other-valid at step 1 observer-rollout 1 - - answer      -   solution 1
other-valid at step 1 single           - - - model_calls 2.0 -
other-valid at step 1 single           1 - - knowledge   0.0 -
other-valid at step 1 single           1 - - repair      0.0 -
other-valid at step 1 single           1 - - success     1.0 -
other-valid at step 1 single           1 - - answer      -   solution 1
"""


def told(value):
    """One cell in words; rounded, so that the last bits are nobody's finding."""
    return "-" if value is None else str(round(value, 3) + 0.0 if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("experiment", "options", "golden"), [("noise-at-step", {"decode": False}, NOISE), ("wrong-plan", {}, WRONG)]
)
def test_the_table_is_the_golden_one(experiment, options, golden):
    result = stepscope.run(
        experiment, Explorer(), task="maze-two-goals", samples=1, num_steps=2, at=1, dials={"size": 5}, **options
    )
    rows = [" ".join(told(row[name]) for name in COLUMNS) for row in result.table.to_pylist()]
    assert rows == [" ".join(line.split()) for line in golden.strip().splitlines()]
