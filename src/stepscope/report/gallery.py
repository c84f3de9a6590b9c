"""The gallery: for each family of puzzles the clearest and the most typical case of a run, by rule and not by eye.

    clearest   among the runs that end right: most multiplicity at step 0; where no puzzle has several solutions, the
               largest fall of R from step 0 to the end
    typical    the medoid of all runs, the clearest passed over: least sum of distances |a - b| to the others, over R at
               step 0, half-way and at the end, multiplicity at step 0 and half-way, the steps at which choice and
               knowledge settle (N where never), and success, each in units of its standard deviation

Ties go to the first puzzle and seed.  What is chosen is read from the table of a `commitment` run; its pictures come
from a recording of the same run (the same weights, puzzle and seed), which must tell the same R at every step.
{
  "schema": "stepscope.gallery/1", "title": str,
  "exhibits": [{"task": str, "model": str, "n": int, "num_steps": N, "weights_hash": str,
    "cases": [{"kind": "clearest" | "typical", "sample", "seed", "why": str, "prompt": str, "headline": str,
      "curves": {"knowledge" | "multiplicity" | "observer_multiplicity": [[step, value], …]},
      "given": data: URI, "solutions": [data: URI], "steps": [int], "frames": [int], "sheets": [data: URI per step],
      "size": [width, height]}]}]
}
A sheet holds the chosen frames of one clean estimate, one above the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepscope.errors import RecordError
from stepscope.report.pictures import LADDER, Painter
from stepscope.report.story import Facts, headline
from stepscope.store import Record, StoredTrace

__all__ = ["KINDS", "SCHEMA", "Case", "choose", "gallery_data"]

SCHEMA = "stepscope.gallery/1"
KINDS = ("clearest", "typical")
_STEPS, _BEND = 8, 1.6
_SAME = 1e-2
"""By how much R may differ between the run and its recording on another device."""
_CURVES = ("knowledge", "multiplicity", "observer_multiplicity")
_BUDGET = 4_000_000

Run = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One run that is shown.

    Attributes:
        kind: One of `KINDS`.
        sample: Seed of the puzzle.
        seed: Seed of the noise.
        why: Why it was chosen, one sentence.
    """

    kind: str
    sample: int
    seed: int
    why: str


def choose(record: Record) -> list[Case]:
    """The clearest and the most typical case of a `commitment` run; only the latter if no run ends right.

    Raises:
        RecordError: If the record is that of something else.
    """
    if record.result["experiment"] != "commitment":
        raise RecordError(
            f"The record of {record.result['experiment']!r} in {record.folder} came. A gallery shows runs of "
            "'commitment'. Give the folder of such a run."
        )
    runs = _runs(record)
    addresses = sorted(runs)
    vectors = np.array([_vector(runs[address]) for address in addresses], dtype=np.float64)
    spread = vectors.std(axis=0)
    scaled = vectors / np.where(spread > 0, spread, 1.0)
    far = np.abs(scaled[:, None] - scaled[None]).sum(axis=(1, 2))
    clearest = _clearest(runs, addresses)
    taken = {(case.sample, case.seed) for case in clearest} if len(runs) > 1 else set()
    sample, seed = next(addresses[place] for place in far.argsort(kind="stable") if addresses[place] not in taken)
    return [*clearest, Case("typical", sample, seed, f"Of {len(runs)} runs the one that is least far from all others.")]


def gallery_data(exhibits: Sequence[tuple[Record, Mapping[str, Record]]], title: str = "Gallery") -> dict[str, Any]:
    """Fold runs and recordings into the data of the page.

    Args:
        exhibits: For each family the record of its `commitment` run, and by kind a recording of each chosen case.
        title: Title of the page.

    Raises:
        RecordError: If a recording is not one of the chosen run.
    """
    painter = Painter(LADDER[0], _BUDGET)
    shown = [_exhibit(record, recordings, painter) for record, recordings in exhibits]
    return {"schema": SCHEMA, "title": title, "exhibits": shown}


def _clearest(runs: Mapping[tuple[int, int], Run], addresses: Sequence[tuple[int, int]]) -> list[Case]:
    right = [address for address in addresses if runs[address]["success"] == 1]
    if not right:
        return []
    several = any(max(runs[address]["multiplicity"].values()) > 1 + 1e-6 for address in right)
    spread = {address: runs[address]["multiplicity"][0] if several else _fall(runs[address]) for address in right}
    best = max(right, key=lambda address: spread[address])
    what = "shows most answers at step 0" if several else "has the largest fall of R"
    return [Case("clearest", *best, f"Of {len(right)} runs that end right the one that {what}: {spread[best]:.2f}.")]


def _runs(record: Record) -> dict[tuple[int, int], Run]:
    """Curves and finals of the model's clean runs: {(sample, seed): {metric: {step: value} or value}}."""
    runs: dict[tuple[int, int], Run] = {}
    steps = len(record.manifest["sigmas"]) - 1
    for row in record.table().to_pylist():
        if row["branch"] != "clean" or row["strategy"] != "single" or row["frame"] is not None:
            continue
        run = runs.setdefault((row["sample"], row["seed"]), {"num_steps": steps, **{name: {} for name in _CURVES}})
        if row["metric"] in _CURVES and row["step"] is not None:
            run[row["metric"]][row["step"]] = row["value"]
        elif row["metric"] in ("success", "commitment_step", "knowledge_step") and row["step"] is None:
            run[row["metric"]] = row["value"]
        elif row["metric"] == "choice":
            run.setdefault("choice", {}).setdefault(row["candidate"], []).append((row["step"], row["value"]))
    return runs


def _vector(run: Run) -> list[float]:
    last = run["num_steps"] - 1
    knowledge, spread = run["knowledge"], run["multiplicity"]
    settled = [run["num_steps"] if run[name] is None else run[name] for name in ("commitment_step", "knowledge_step")]
    curves = [*(knowledge[step] for step in (0, last // 2, last)), *(spread[step] for step in (0, last // 2))]
    return [*curves, *settled, run["success"] or 0.0]


def _fall(run: Run) -> float:
    return run["knowledge"][0] - run["knowledge"][run["num_steps"] - 1]


def _exhibit(record: Record, recordings: Mapping[str, Record], painter: Painter) -> dict[str, Any]:
    runs, manifest = _runs(record), record.manifest
    cases = [
        _case(case, runs[case.sample, case.seed], _recorded(record, recordings[case.kind], case), painter)
        for case in choose(record)
    ]
    return {
        "task": manifest["config"]["task"],
        "model": record.result["model"],
        "n": record.result["metrics"]["n"],
        "num_steps": len(manifest["sigmas"]) - 1,
        "weights_hash": manifest["weights_hash"],
        "cases": cases,
    }


def _recorded(record: Record, recording: Record, case: Case) -> StoredTrace:
    """The trace of a case, if it is that of the same run."""
    told = _runs(recording).get((case.sample, case.seed))
    meant = _runs(record)[case.sample, case.seed]["knowledge"]
    same = (
        recording.manifest["weights_hash"] == record.manifest["weights_hash"]
        and told is not None
        and told["knowledge"].keys() == meant.keys()
        and all(abs(told["knowledge"][step] - meant[step]) < _SAME for step in meant)
    )
    if not same:
        raise RecordError(
            f"The recording in {recording.folder} is not the run of sample {case.sample}, seed {case.seed} in "
            f"{record.folder}. A picture shows what was measured. Record it with the same model, steps and device."
        )
    return recording.trace(case.sample, case.seed)


def _case(case: Case, run: Run, trace: StoredTrace, painter: Painter) -> dict[str, Any]:
    steps = _spread(run["num_steps"])
    count = len(trace.frames())
    frames = [count // 3, 2 * count // 3, count - 1]
    sheets = [painter.sheet(_stacked(trace.frames(step)[frames])) for step in steps]
    sample: Any = trace.sample
    return {
        **vars(case),
        "prompt": sample["prompt"],
        "headline": headline(_facts(run, trace)),
        "curves": {name: sorted([step, value] for step, value in run[name].items()) for name in _CURVES},
        "given": painter.sheet(sample["first_frame"][None]).uri,
        "solutions": [painter.sheet(video[-1:]).uri for video in sample["solutions"][:2]],
        "steps": steps,
        "frames": frames,
        "sheets": [sheet.uri for sheet in sheets],
        "size": [sheets[0].width, sheets[0].height],
    }


def _stacked(frames: np.ndarray) -> np.ndarray:
    """Several frames as one, above each other."""
    return frames.reshape(1, -1, *frames.shape[2:])


def _spread(num_steps: int) -> list[int]:
    """At most so many steps, denser at the beginning, where answers are made; first and last among them."""
    last, parts = num_steps - 1, max(min(_STEPS, num_steps) - 1, 1)
    return sorted({round(last * (part / parts) ** _BEND) for part in range(parts + 1)})


def _facts(run: Run, trace: StoredTrace) -> Facts:
    weights = [sorted(point for point in points if point[0] is not None) for _, points in sorted(run["choice"].items())]
    score: Mapping[str, Any] = trace.score or {}
    return Facts(
        num_steps=run["num_steps"],
        weights=weights if len(weights) > 1 else (),
        knowledge=sorted(run["knowledge"].items()),
        success=score.get("success"),
        progress=score.get("progress"),
    )
