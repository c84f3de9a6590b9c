"""`stepscope demo` as a stranger runs it: offline, in a minute, in two gigabytes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stepscope

EMBEDDED = Path(stepscope.__file__).parent / "models" / "embedded"
MAX_SECONDS = 60.0
MAX_BYTES = 2 * 10**9
OFFLINE = """
import os, resource, sys

# urllib3 opens and binds a socket when it is imported, to see whether there is IPv6; that reaches nobody.
HARMLESS = {"socket.__new__", "socket.bind", "socket.gethostname"}

def refuse(event, args):
    if event.startswith("socket.") and event not in HARMLESS:
        os.write(2, f"{event} was asked for".encode())
        os._exit(3)

sys.addaudithook(refuse)

from stepscope.cli import main

status = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
sys.exit(status)
"""
ASKING = "import socket; socket.create_connection(('localhost', 9))"

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.skipif(not EMBEDDED.is_dir(), reason="the bundled model is not in this checkout"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    argv = [sys.executable, "-B", "-c", OFFLINE, "demo", "--out", str(out), "--json"]
    start = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {
        "out": out,
        "seconds": time.perf_counter() - start,
        "bytes": int(done.stderr.split()[-1]),
        "told": json.loads(done.stdout),
    }


def test_a_socket_would_be_noticed():
    argv = [sys.executable, "-c", OFFLINE.replace("from stepscope.cli import main", ASKING)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "socket.getaddrinfo was asked for")


def test_it_takes_less_than_a_minute(demo):
    assert demo["seconds"] <= MAX_SECONDS


def test_it_takes_less_than_two_gigabytes(demo):
    assert demo["bytes"] <= MAX_BYTES


def test_it_ends_with_a_page(demo):
    page = Path(demo["told"]["page"])
    assert page.parent == demo["out"]
    assert b"default-src 'none'" in page.read_bytes()


def test_the_model_really_solves_it(demo):
    assert demo["told"]["metrics"]["success"] == 1
    assert demo["told"]["model_calls"]["made"] == 20


def test_the_record_says_what_was_run(demo):
    record = stepscope.open(demo["out"])
    assert record.manifest["weights_hash"] == stepscope.load_model("embedded").weights_hash
    assert record.manifest["config"]["task"] == "maze-two-goals"
    metrics = set(record.table().column("metric").to_pylist())
    assert {"success", "knowledge", "choice", "multiplicity", "observer_multiplicity"} <= metrics
