"""Experiments where a call has several rows: puzzles are run side by side, kept one by one, and resumed."""

import math

import pytest
import torch
from planted_denoisers import Explorer

import stepscope
from stepscope.errors import BadInputError, OutputError

MAZES = {"task": "maze-two-goals", "num_steps": 4, "dials": {"size": 5}}
FIVE = {**MAZES, "num_steps": 2, "samples": 5, "seeds": (0, 1), "chunk": 2}
"""Five puzzles of two seeds; four of them stand side by side, so there are two forests."""


class Counting(Explorer):
    """Counts the rows that it is asked about, and stops after as many as are allowed."""

    def __init__(self, allowed=10**9):
        self.asked, self.allowed = 0, allowed

    def velocity(self, latents, sigma, samples):
        rows = zip(latents.split(1), samples, strict=True)
        return torch.cat([super(Counting, self).velocity(row, sigma, (sample,)) for row, sample in rows])

    def believe(self, latents, sigma, answers, sample):
        self.asked += 1
        if self.asked > self.allowed:
            raise KeyboardInterrupt
        return super().believe(latents, sigma, answers, sample)


def cells(result):
    rows = result.table.drop_columns("run").to_pylist()
    return [({k: v for k, v in row.items() if k != "value"}, row["value"]) for row in rows]


def close(one, other):
    if one is None or other is None or isinstance(one, str):
        return one == other
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)


@pytest.mark.parametrize(
    ("experiment", "options"), [("commitment", {}), ("noise-at-step", {"at": [1], "decode": False})]
)
def test_what_is_found_does_not_depend_on_the_rows_in_a_call(experiment, options):
    settings = {**MAZES, **options, "samples": 2}
    alone = stepscope.run(experiment, Counting(), **settings)
    together = stepscope.run(experiment, Counting(), chunk=3, **settings)
    assert together.model_calls == alone.model_calls
    for (where, value), (there, other) in zip(cells(alone), cells(together), strict=True):
        assert where == there
        assert close(value, other), where
    assert [claim["verdict"] for claim in together.claims] == [claim["verdict"] for claim in alone.claims]


def test_calls_are_full():
    model, odd = Counting(), Counting()
    stepscope.run("commitment", model, **FIVE)
    assert model.asked == 5 * 2 * 2, "no row pads a call"
    stepscope.run("commitment", odd, **{**FIVE, "samples": 3, "seeds": (0,)})
    assert odd.asked == 2 * 4, "the second call of each step is padded"


def test_a_run_that_was_stopped_loses_one_forest_at_most(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stepscope.run("commitment", Counting(4 * 2 * 2 + 1), out=tmp_path / "a", **FIVE)
    model = Counting()
    resumed = stepscope.run("commitment", model, out=tmp_path / "a", **FIVE)
    assert model.asked == 2 * 2, "four of the five puzzles were done"
    whole = stepscope.run("commitment", Counting(), out=tmp_path / "b", **FIVE)
    assert [where for where, _ in cells(resumed)] == [where for where, _ in cells(whole)]
    assert all(close(a, b) for (_, a), (_, b) in zip(cells(resumed), cells(whole), strict=True))


def test_another_number_of_rows_is_another_run(tmp_path):
    stepscope.run("commitment", Explorer(), samples=2, out=tmp_path / "out", **MAZES)
    with pytest.raises(OutputError, match="another run"):
        stepscope.run("commitment", Explorer(), samples=2, chunk=2, out=tmp_path / "out", **MAZES)


def test_no_rows_are_refused():
    with pytest.raises(BadInputError, match=r"chunk came as 0\."):
        stepscope.run("commitment", Explorer(), samples=2, chunk=0, **MAZES)
