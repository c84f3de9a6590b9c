"""The gallery: cases are chosen by the stated rule, shown as they were measured, and refused where they were not."""

import json
import re
from pathlib import Path

import pytest

from stepscope import store
from stepscope.cli import main
from stepscope.errors import RecordError
from stepscope.report import gallery_bytes, gallery_data
from stepscope.report.gallery import choose

TOYS = Path(__file__).parents[1] / "cli" / "toys.py"
RAMP = """
import numpy as np

from stepscope.tasks import Sample, Score


class Ramp:
    name, version, palette = "ramp<b>", 1, {}

    def sample(self, seed, *, split="test"):
        levels = [np.linspace(60 + 20 * seed, end, 5).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (5, 8, 8, 3)).copy() for level in levels)
        return Sample("fade <i>out</i>", videos[0][0], 5, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        return Score(True, 1.0, None, "Whatever.")
"""
STEPS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture(scope="module")
def run(folder):
    """A run of an observer on four puzzles."""
    (folder / "ramp.py").write_text(RAMP)
    assert call(folder, "run", "commitment", "--samples", "4", "--seeds", "0", "1", "--out", folder / "run") == 0
    return store.open_record(folder / "run")


@pytest.fixture(scope="module")
def recordings(folder, run):
    return {case.kind: recorded(folder, case.sample, case.seed) for case in choose(run)}


def call(folder, *words):
    place = 2 if words[0] == "run" else 1
    model = [f"{TOYS}:Knows", "--task", f"{folder / 'ramp.py'}:Ramp", "--steps", STEPS, "--json"]
    return main([str(word) for word in (*words[:place], *model, *words[place:])])


def recorded(folder, sample, seed):
    out = folder / f"case-{sample}-{seed}"
    assert call(folder, "record", "--sample", sample, "--seed", seed, "--out", out) == 0
    return store.open_record(out)


def test_the_clearest_case_shows_most_at_step_0(run):
    clearest, typical = choose(run)
    assert (clearest.kind, typical.kind) == ("clearest", "typical")
    rows = [
        row for row in run.table().to_pylist()
        if (row["metric"], row["strategy"], row["step"]) == ("multiplicity", "single", 0)
    ]  # fmt: skip
    most = max(row["value"] for row in rows)
    first = min((row["sample"], row["seed"]) for row in rows if row["value"] == most)
    assert (clearest.sample, clearest.seed) == first
    assert (typical.sample, typical.seed) != first
    assert f"{most:.2f}" in clearest.why


def test_it_is_chosen_the_same_again(run):
    assert choose(run) == choose(store.open_record(run.folder))


def test_the_page_is_whole_and_says_what_was_measured(run, recordings):
    data = gallery_data([(run, recordings)], "Some <cases>")
    page = gallery_bytes(data).decode()
    assert len(page) < 5_000_000
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "Some &lt;cases&gt;" in page
    assert "<i>out</i>" not in page
    assert "ramp<b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    told = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    (exhibit,) = told["exhibits"]
    assert (exhibit["n"], exhibit["num_steps"], exhibit["weights_hash"]) == (4, STEPS, run.manifest["weights_hash"])
    for case in exhibit["cases"]:
        assert case["steps"][0] == 0
        assert case["steps"][-1] == STEPS - 1
        assert [step for step, _ in case["curves"]["knowledge"]] == list(range(STEPS))
    assert page.count("<article") == 2


def test_the_same_page_comes_again(run, recordings):
    pages = {gallery_bytes(gallery_data([(run, recordings)])) for _ in range(2)}
    assert len(pages) == 1


def test_pictures_of_another_run_are_refused(folder, run, recordings):
    taken = {(case.sample, case.seed) for case in choose(run)}
    other = next(sample for sample in range(4) if (sample, 0) not in taken)
    with pytest.raises(RecordError, match="is not the run of sample"):
        gallery_data([(run, {**recordings, "typical": recorded(folder, other, 0)})])


def test_another_experiment_is_refused(recordings):
    with pytest.raises(RecordError, match="runs of 'commitment'"):
        choose(recordings["typical"])
