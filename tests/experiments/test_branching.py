"""An experiment over a tree: what is shared is computed once, what is prepared is made once, and it resumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from planted_denoisers import Explorer

import stepscope
from stepscope.denoise import initial_latents
from stepscope.errors import BadInputError
from stepscope.executors import Measured
from stepscope.interventions import AddNoise
from stepscope.recorders import Difference

MAZES: dict[str, Any] = {"task": "maze-two-goals", "dials": {"size": 5}}
STEPS = 4


@dataclass(frozen=True)
class Shaken:
    """How far noise at one step carries the result."""

    strength: float | int = 0.5

    name: ClassVar[str] = "shaken"
    emits: ClassVar[tuple[str, ...]] = ()
    prepare_runs: ClassVar[int] = 1
    prepared: ClassVar[list[int]] = []

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[stepscope.Branch]:
        edits = {f"noise@{k}": AddNoise("add", [k], strength=self.strength) for k in range(num_steps)}
        own = [stepscope.Branch(name, [edit]) for name, edit in edits.items()]
        return own if other is None else [*own, stepscope.Branch("other", sample=other)]

    def recorders(self, prepared):
        assert prepared in (None, "ready")
        return ()

    def paired(self):
        return [Difference()]

    def prepare(self, job):
        self.prepared.append(len(job.recording.samples))
        return "ready"

    def measure(self, puzzle):
        assert puzzle.prepared == "ready"
        moved = [
            {name: float((trace.latents[-1] - runs["clean"].latents[-1]).norm()) for name, trace in runs.items()}
            for runs in puzzle.runs
        ]
        cells = [[{"metric": "influence", "branch": name, "value": far} for name, far in run.items()] for run in moved]
        foreign = puzzle.runs[0]["other"].latents
        return Measured({"other": float(foreign.norm())}, moved, cells, {"first": puzzle.runs[0]["clean"].latents[0]})

    def claims(self, findings):
        return []

    def metrics(self, findings, sigmas):
        return {"clean": [run["clean"] for finding in findings for run in finding.runs]}


@pytest.fixture(autouse=True)
def _nothing_prepared():
    Shaken.prepared.clear()


def test_shared_steps_are_computed_once():
    result = stepscope.run(Shaken(), Explorer(), samples=2, seeds=(0, 1), num_steps=STEPS, **MAZES)
    tree, naive = STEPS + STEPS * (STEPS + 1) // 2 + STEPS, STEPS * (STEPS + 2)
    assert result.model_calls == {
        "planned": STEPS + 4 * tree, "made": STEPS + 4 * tree, "naive": STEPS + 4 * naive,
    }  # fmt: skip


def test_rows_tell_branches_apart_and_the_clean_one_moved_nothing():
    result = stepscope.run(Shaken(), Explorer(), samples=2, num_steps=STEPS, **MAZES)
    rows = [row for row in result.table.to_pylist() if row["metric"] == "influence"]
    assert {row["branch"] for row in rows} == {"clean", "other", *(f"noise@{k}" for k in range(STEPS))}
    assert all((row["value"] == 0) == (row["branch"] == "clean") for row in rows)


def test_a_stored_puzzle_is_neither_prepared_nor_run_again(tmp_path):
    first = stepscope.run(Shaken(), Explorer(), samples=2, num_steps=STEPS, out=tmp_path / "a", **MAZES)
    again = stepscope.run(Shaken(), Explorer(), samples=2, num_steps=STEPS, out=tmp_path / "a", **MAZES)
    assert Shaken.prepared == [2]
    assert again.table.equals(first.table)
    assert again.as_json() == first.as_json()


def test_tensors_are_kept_beside_the_numbers():
    kept = []
    Watching = type("Watching", (Shaken,), {"claims": lambda self, findings: kept.extend(findings) or []})
    stepscope.run(Watching(), Explorer(), samples=[3, 4], num_steps=STEPS, **MAZES)
    noise = initial_latents(0, tuple(kept[0].tensors["first"].shape))
    assert torch.equal(torch.as_tensor(kept[0].tensors["first"]), noise)


def test_an_edit_that_cannot_be_made_is_refused_before_a_byte_is_written(tmp_path):
    class Late(Shaken):
        def branches(self, sample, other, num_steps):
            return [stepscope.Branch("late", [AddNoise("add", [num_steps])])]

    with pytest.raises(BadInputError):
        stepscope.run(Late(), Explorer(), samples=2, num_steps=STEPS, out=tmp_path / "a", **MAZES)
    assert not (tmp_path / "a").exists()
