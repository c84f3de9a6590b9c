"""An output folder holds what was written, the same bytes every time, and never anybody else's files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from stepscope.errors import OutputError, RecordError
from stepscope.store import (
    Identity,
    Manifest,
    Result,
    Row,
    StoredTrace,
    Writer,
    build_table,
    create,
    open_record,
    trace_to_unit,
    unit_key,
)

IDENTITY = Identity({"experiment": "record", "num_steps": 3, "guidance": 1.0}, "w" * 64)
CLAIM = {"id": "x", "statement": "s", "value": 1.0, "ci95": [0.5, 1.5], "n": 3, "control": "c", "verdict": "supported"}


def trace(sample: int = 3, seed: int = 1, branch: str = "clean") -> StoredTrace:
    generator = np.random.default_rng([sample, seed])
    frames = generator.integers(0, 256, (4, 5, 8, 8, 3), dtype=np.uint8)
    latents = torch.from_numpy(generator.standard_normal((4, 2, 2, 4, 4), dtype=np.float32))
    return StoredTrace(
        sigmas=torch.tensor([1.0, 0.8, 0.4, 0.0]),
        latents=latents,
        clean_estimates=latents[1:] * 2,
        images={0: frames[0], 2: frames[2], None: frames[3]},
        scores=({"success": False, "progress": 0.25, "flags": []}, None, {"success": True, "progress": 1.0}),
        model_calls=3,
        sample={
            "prompt": "Find the way.",
            "task": "maze",
            "seed": sample,
            "num_frames": 5,
            "state": {"size": 7, "goals": [[0, 6]]},
            "first_frame": frames[0, 0],
            "solutions": (frames[1], frames[2]),
            "masks": {"agent": frames[1, ..., 0] > 127},
        },
        seed=seed,
        branch=branch,
        records={"token_energy": generator.standard_normal((3, 2))},
    )


def write(folder: Path, run_seconds: float = 1.0) -> Writer:
    writer = create(folder, IDENTITY)
    for branch in ("noise", "clean"):
        key = unit_key({"sample": 3, "seed": 1, "branch": branch}, IDENTITY.weights_hash, threads=1, chunk=1)
        writer.write_unit(trace_to_unit(trace(branch=branch), key, IDENTITY.weights_hash))
    writer.write_table(build_table([Row(run=IDENTITY.run, metric="success", value=1.0, weights_hash="w" * 64)]))
    writer.write_result(Result("record", "embedded@1", planned=3, made=3, naive=3, claims=(CLAIM,)))
    writer.write_manifest(
        Manifest(
            versions={"stepscope": "0.1.0"},
            sigmas=[1.0, 0.8, 0.4, 0.0],
            seeds=[1],
            command=["stepscope", "record", "embedded", "--out", str(folder), f"--out={folder}/"],
            volatile={"run_seconds": run_seconds, "host": "here"},
        )
    )
    writer.write_report(b"<!doctype html>")
    writer.log(f"done in {run_seconds} s")
    return writer


def test_only_the_output_folder_is_called_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["stepscope", "demo", "--out", "demo"]
    create("demo", IDENTITY).write_manifest(Manifest({}, [1.0, 0.0], [0], words, {}))
    assert open_record("demo").manifest["command"] == ["stepscope", "demo", "--out", "DIR"]


def contents(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    manifest = json.loads(files["manifest.json"])
    return {**files, "manifest.json": json.dumps({**manifest, "volatile": None}).encode(), "run.log": b""}


def assert_same(read: StoredTrace, written: StoredTrace) -> None:
    for name in ("sigmas", "latents", "clean_estimates"):
        assert torch.equal(getattr(read, name), getattr(written, name))
    for step in (0, 2, None):
        np.testing.assert_array_equal(read.frames(step), written.frames(step))
    for read_frames, frames in zip(read.sample["solutions"], written.sample["solutions"], strict=True):
        np.testing.assert_array_equal(read_frames, frames)
    np.testing.assert_array_equal(read.sample["first_frame"], written.sample["first_frame"])
    np.testing.assert_array_equal(read.sample["masks"]["agent"], written.sample["masks"]["agent"])
    np.testing.assert_array_equal(read.records["token_energy"], written.records["token_energy"])
    for name in ("prompt", "task", "seed", "num_frames", "state"):
        assert read.sample[name] == written.sample[name]
    assert (read.scores, read.model_calls, read.seed, read.branch) == (
        written.scores,
        written.model_calls,
        written.seed,
        written.branch,
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "out")
    record = open_record(tmp_path / "out")
    assert [each.branch for each in record.traces()] == ["clean", "noise"]
    assert_same(record.trace(), trace())
    assert_same(record.trace(sample=3, seed=1, branch="noise"), trace(branch="noise"))
    assert record.table().column("value").to_pylist() == [1.0]
    assert record.result == {
        "experiment": "record",
        "model": "embedded@1",
        "claims": [CLAIM],
        "model_calls": {"planned": 3, "made": 3, "naive": 3},
        "metrics": {},
    }
    assert record.manifest["seeds"] == [1]
    assert record.manifest["weights_hash"] == IDENTITY.weights_hash
    assert record.manifest["command"][-3:] == ["--out", "DIR", "--out=DIR"]
    assert record.manifest["volatile"]["run_seconds"] == 1.0


def test_the_same_run_twice_is_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", run_seconds=1.0)
    write(tmp_path / "b", run_seconds=2.0)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == 7


def test_units_name_their_key_and_weights(tmp_path: Path) -> None:
    write(tmp_path)
    for path in (tmp_path / "units").iterdir():
        with safe_open(path, "np") as file:
            assert file.metadata()["key"] == path.stem
            assert file.metadata()["weights_hash"] == IDENTITY.weights_hash


def test_the_same_run_resumes_and_sweeps_up(tmp_path: Path) -> None:
    writer = write(tmp_path)
    (tmp_path / ".stepscope-0123.part").write_bytes(b"half")
    before = contents(tmp_path)
    again = create(tmp_path, IDENTITY)
    key = unit_key({"sample": 3, "seed": 1, "branch": "clean"}, IDENTITY.weights_hash, threads=1, chunk=1)
    assert again.has_unit(key)
    assert again.read_unit(key).facts == writer.read_unit(key).facts
    assert not again.has_unit("0" * 64)
    assert contents(tmp_path) == {name: data for name, data in before.items() if not name.endswith(".part")}


def test_a_killed_first_write_leaves_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / ".stepscope-0123.part").write_bytes(b"half")
    create(tmp_path, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (Identity({**IDENTITY.config, "num_steps": 4}, "w" * 64), "num_steps 3, now 4"),
        (Identity(IDENTITY.config, "v" * 64), "weights_hash 'www"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, identity: Identity, said: str) -> None:
    write(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"holds another run.*--overwrite") as caught:
        create(tmp_path, identity)
    assert said in str(caught.value)
    assert contents(tmp_path) == before


def test_a_run_without_a_unit_has_nothing_to_lose(tmp_path: Path) -> None:
    create(tmp_path, IDENTITY)
    corrected = Identity({**IDENTITY.config, "num_steps": 4}, "w" * 64)
    create(tmp_path, corrected).write_unit(trace_to_unit(trace(), "0" * 64, "w" * 64))
    assert open_record(tmp_path).manifest["config"] == corrected.config
    with pytest.raises(OutputError, match="num_steps 4, now 3"):
        create(tmp_path, IDENTITY)


def test_overwrite_removes_our_files_alone(tmp_path: Path) -> None:
    write(tmp_path)
    mine = ("notes.txt", "units/notes.txt", "units/model.safetensors")
    for name in mine:
        (tmp_path / name).write_text("mine")
    create(tmp_path, Identity({"experiment": "other"}, "v" * 64), overwrite=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"manifest.json", *mine}
    assert open_record(tmp_path).manifest["weights_hash"] == "v" * 64


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["table.parquet", "manifest.json", "thesis.tex"])
def test_foreign_files_are_refused(tmp_path: Path, name: str, overwrite: bool) -> None:
    (tmp_path / name).write_text('{"mine": true}')
    with pytest.raises(OutputError, match=r"no record of stepscope"):
        create(tmp_path, IDENTITY, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"mine": true}'


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=r"Cannot write .*file") as caught:
            create(folder, IDENTITY)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The limit on file size is the system's own refusal of a write, halfway through it."""
    program = (
        "import resource, sys\n"
        "from stepscope.store import Identity, create\n"
        "from stepscope.errors import OutputError\n"
        "writer = create(sys.argv[1], Identity({}, 'w'))\n"
        "writer.write_report(b'old')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    writer.write_report(b'new' * 10_000)\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Cannot write")
    assert done.stdout.count("\n") == 1
    assert (tmp_path / "report.html").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "report.html"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_truncated_unit_is_a_record_error(tmp_path: Path) -> None:
    write(tmp_path)
    for path in (tmp_path / "units").iterdir():
        cut(path)
    with pytest.raises(RecordError, match=r"cannot be read") as caught:
        open_record(tmp_path).trace()
    assert "\n" not in str(caught.value)


def test_damaged_parts_are_record_errors(tmp_path: Path) -> None:
    write(tmp_path)
    cut(tmp_path / "table.parquet")
    cut(tmp_path / "result.json")
    record = open_record(tmp_path)
    with pytest.raises(RecordError, match=r"table.parquet cannot be read"):
        record.table()
    with pytest.raises(RecordError, match=r"result.json cannot be read"):
        _ = record.result
    assert record.trace().seed == 1


def test_an_unfinished_record_says_so(tmp_path: Path) -> None:
    create(tmp_path, IDENTITY)
    record = open_record(tmp_path)
    assert list(record.traces()) == []
    for read in (record.table, lambda: record.result, record.trace):
        with pytest.raises(RecordError):
            read()


def test_no_record_is_a_record_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RecordError, match=r"No record in"):
            open_record(folder)


def test_a_record_of_another_version_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    for action in (open_record, lambda folder: create(folder, IDENTITY)):
        with pytest.raises(RecordError, match=r"schema version 99"):
            action(tmp_path)


def test_what_is_not_stored_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    record = open_record(tmp_path)
    with pytest.raises(RecordError, match=r"Frames of step 1 .*Stored: 0, 2, final"):
        record.trace().frames(1)
    with pytest.raises(RecordError, match=r"No trace of sample any, seed 7, branch any .*sample 3, seed 1, branch cl"):
        record.trace(seed=7)
