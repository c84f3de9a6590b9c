"""Curves are the table's values, untouched."""

import pytest
import synthetic

from stepscope.report.series import curves, finals, group_rows, points_of, series, texts
from stepscope.store import Row, build_table

PLACE = {"run": "r", "weights_hash": "w", "sample": 3, "seed": 1, "task": "maze"}


def grouped(*rows: Row):
    return group_rows(build_table(rows))[3, 1, "clean"]


def test_values_pass_through_bit_for_bit(tmp_path):
    record = synthetic.maze_record(tmp_path / "out")
    table = record.table().to_pylist()
    lines = series(group_rows(record.table())[3, 1, "clean"])
    for name, who in (
        ("single", "model"),
        ("observer-state", "observer-state"),
        ("observer-rollout", "observer-rollout"),
    ):
        rows = [r for r in table if r["metric"] == "choice" and r["strategy"] == name and r["candidate"] == 1]
        assert points_of(lines, "choice", who, 1) == sorted([r["step"], r["value"]] for r in rows)
        assert len(rows) == synthetic.NUM_STEPS


def test_rows_about_a_frame_or_a_layer_are_no_step_curve():
    rows = grouped(
        Row(**PLACE, metric="progress", step=0, value=0.25),
        Row(**PLACE, metric="progress", step=0, frame=2, value=0.5),
        Row(**PLACE, metric="energy", step=0, layer=1, value=3.0),
    )
    assert curves(series(rows), None) == {"progress": [[0, 0.25]]}


def test_the_conditional_branch_is_preferred():
    rows = grouped(
        Row(**PLACE, metric="knowledge", step=0, cfg_branch="uncond", value=0.9),
        Row(**PLACE, metric="knowledge", step=0, cfg_branch="cond", value=0.1),
    )
    assert curves(series(rows), None) == {"knowledge": [[0, 0.1]]}


def test_finals_and_texts_are_kept_apart_from_curves():
    rows = grouped(
        Row(**PLACE, metric="answer", step=1, text="left"),
        Row(**PLACE, metric="answer", text="right"),
        Row(**PLACE, metric="success", value=1.0),
        Row(**PLACE, metric="commitment_step"),
    )
    assert finals(rows) == {"answer": "right", "success": 1.0}
    assert texts(rows, "answer", 3) == [None, "left", None]
    assert series(rows) == []


@pytest.mark.parametrize(("final", "expected"), [(0, [[0, 0.25]]), (1, [[0, 0.75]]), (None, None)])
def test_choice_is_the_weight_of_the_final_candidate(final, expected):
    rows = grouped(
        Row(**PLACE, metric="choice", step=0, candidate=0, value=0.25),
        Row(**PLACE, metric="choice", step=0, candidate=1, value=0.75),
    )
    assert curves(series(rows), final).get("choice") == expected
