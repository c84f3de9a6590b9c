"""The benchmark of the large model, rehearsed: it needs a GPU only for its numbers."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_all_runs_end_where_the_stock_call_does(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", ["record_a14b.py", "--tiny", "--repeats", "1", "--json"])
    assert importlib.import_module("record_a14b").main() == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bitwise_equal"] == {"loop": True, "recorded": True, "offload model": True}
    assert found["experts"] == ["high_noise", "high_noise", "low_noise", "low_noise"]
    assert found["token_energy"] == [4, 1, 2, 2, 2, 2]
    assert found["offload"]["estimated_bytes"] < found["memory_none"]["estimated_bytes"]
