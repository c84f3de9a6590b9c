"""Findings: a run becomes rows that travel, and rows become a page; nothing on it is decided there."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import stepscope
from stepscope import store

RECIPE = Path(__file__).parents[2] / "recipes" / "findings"


class Knows:
    """The only answer of a small maze, from the first step on."""

    latents_shape = (3, 5, 24, 24)

    def encode(self, frames):
        return torch.from_numpy(frames[::4, ::4, ::4].copy()).permute(3, 0, 1, 2).float() / 127.5 - 1

    def decode(self, latents):
        raise AssertionError("Nothing is decoded.")

    def velocity(self, latents, sigma, samples):
        return (latents - self.encode(samples[0].solutions[0])[None]) / sigma


@pytest.fixture(scope="module")
def recipe():
    return {name: loaded(name) for name in ("pack", "report")}


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"findings_{name}", RECIPE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(tmp_path_factory, recipe):
    folder = tmp_path_factory.mktemp("findings")
    stepscope.run(
        "commitment", Knows(), task="maze-two-goals", samples=3, num_steps=4, dials={"size": 5}, out=folder / "toy-run"
    )
    recipe["pack"].pack(folder / "toy-run", folder / "results")
    return folder / "results"


def test_rows_travel_with_the_hash_of_their_weights(results):
    table = store.record.read_table(results / "toy-run.parquet")
    told = json.loads((results / "toy-run.json").read_text())
    assert set(table["weights_hash"].to_pylist()) == {told["weights_hash"]}
    assert (results / "toy-run.parquet").stat().st_size <= 1_000_000
    assert told["rows"] == "all"


def test_a_claim_can_be_computed_again_from_its_rows(results):
    rows = store.record.read_table(results / "toy-run.parquet").to_pylist()
    told = json.loads((results / "toy-run.json").read_text())
    finals = [row["value"] for row in rows if row["metric"] == "success" and row["step"] is None]
    assert sum(finals) / len(finals) == told["metrics"]["success"]["value"]


def test_what_is_too_large_leaves_out_what_can_be_computed_again(results, recipe, monkeypatch):
    table = store.record.read_table(results / "toy-run.parquet")
    _, whole = recipe["pack"].packed(table)
    monkeypatch.setattr(recipe["pack"], "MOST_BYTES", len(whole) - 1)
    kept, data = recipe["pack"].packed(table)
    assert kept.startswith("without the observers' curves")
    assert len(data) < len(whole)
    monkeypatch.setattr(recipe["pack"], "MOST_BYTES", 10)
    with pytest.raises(SystemExit, match="fewer puzzles"):
        recipe["pack"].packed(table)


def test_the_page_holds_every_claim_as_it_fell(results, recipe):
    runs = recipe["report"].load(results)
    page = recipe["report"].page(runs)
    for claim in runs["toy-run"]["claims"]:
        assert f"{claim['statement']} |" in page
        assert page.count(f"| `{claim['id']}` |") == (claim["verdict"] != "not-tested")
    assert "`success` | 1 | 0.292 to 1 | 3 |" in page
    assert "$ python recipes/findings/pack.py runs/toy-run" in page
    assert "--figure toy-run" in page
    assert "never" in page


def test_a_figure_is_drawn_without_a_model(results, recipe):
    svg = recipe["report"].figure(recipe["report"].load(results)["toy-run"])
    assert svg.startswith(b"<?xml")


def test_no_rows_is_said_and_not_a_page(tmp_path):
    command = [sys.executable, RECIPE / "report.py", "--results", tmp_path, "--out", tmp_path / "page.md"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no packed run" in done.stderr
    assert not (tmp_path / "page.md").exists()
