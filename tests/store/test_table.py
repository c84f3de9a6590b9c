"""The tidy table has fixed columns, a fixed order and known metrics only."""

import itertools
from dataclasses import fields
from pathlib import Path

import pytest

from stepscope.errors import BadInputError, RecordError, UnknownNameError
from stepscope.store import SCHEMA, Row, build_table
from stepscope.store.table import read_table, table_bytes

ROWS = [
    Row(run="r", metric="knowledge", weights_hash="w", step=None, value=0.01),
    Row(run="r", metric="knowledge", weights_hash="w", step=0, sigma=1.0, value=0.5),
    Row(run="r", metric="answer", weights_hash="w", step=10, text="left"),
    Row(run="r", metric="choice", weights_hash="w", step=2, candidate=1, value=0.75, strategy="observer-state"),
]


def test_the_columns_are_the_fields_of_a_row() -> None:
    assert ",".join(SCHEMA.names) == (
        "run,task,sample,seed,branch,strategy,step,other_step,sigma,expert,cfg_branch,layer,site,frame,candidate,"
        "metric,value,text,num_steps,schedule,guidance,weights_hash"
    )
    assert {field.name for field in fields(Row)} == set(SCHEMA.names)


def test_order_of_measuring_does_not_matter() -> None:
    files = {table_bytes(build_table(rows)) for rows in itertools.permutations(ROWS)}
    assert len(files) == 1


def test_rows_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(table_bytes(build_table(ROWS)))
    table = read_table(path)
    assert table.column("step").to_pylist() == [2, None, 0, 10]
    assert table.column("branch").to_pylist() == ["clean"] * 4


def test_no_rows_are_a_table_too() -> None:
    table = build_table([])
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMA)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown metric 'sucess'. Known: answer, choice"):
        Row(run="r", metric="sucess", weights_hash="w")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(BadInputError, match=r"metric 'knowledge' came with value"):
        Row(run="r", metric="knowledge", weights_hash="w", value=value)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(table_bytes(build_table(ROWS).drop_columns(["text"])))
    with pytest.raises(RecordError, match=r"has the columns run, .*Expected"):
        read_table(path)
