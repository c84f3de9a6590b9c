"""The benchmark of the large model, rehearsed: it needs a GPU only for its numbers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "record_a14b.py"


@pytest.mark.slow
@pytest.mark.parametrize("offload", ["model", "group"])
def test_all_runs_end_where_the_stock_call_does(offload):
    words = ["--tiny", "--repeats", "1", "--offload", offload, "--json"]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["bitwise_equal"] == {"loop": True, "recorded": True, f"offload {offload}": True}
    assert found["experts"] == ["high_noise", "high_noise", "low_noise", "low_noise"]
    assert found["token_energy"] == [4, 1, 2, 2, 2, 2]
    assert found["offload"]["estimated_bytes"] < found["memory_none"]["estimated_bytes"]
