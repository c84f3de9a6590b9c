"""`frame-count`: the same puzzle at every length, coherence by its definition, planted losses are found."""

import numpy as np
import pytest
import torch

import stepscope
from models.tiny import pipeline
from stepscope.errors import BadInputError
from stepscope.executors import Finding
from stepscope.experiments.evidence import emit
from stepscope.experiments.frame_count import FrameCount
from stepscope.experiments.frame_count.experiment import evidence
from stepscope.experiments.frame_count.measures import coherent
from stepscope.experiments.frame_count.summary import summarise
from stepscope.figures import frame_count as figure
from stepscope.tasks import Sample


class Fade:
    """Fade to black or to white; `wanders` draws another picture at another length."""

    name, version, palette = "fade", 1, {}

    def __init__(self, wanders=False):
        self.wanders = wanders

    def sample(self, seed, *, split="test", num_frames=9, start=100):
        start = start + 9 * seed + (num_frames if self.wanders else 0)
        levels = [np.linspace(start, end, num_frames).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (num_frames, 32, 32, 3)).copy() for level in levels)
        return Sample("fade", videos[0][0], num_frames, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        raise AssertionError("answers are read in the latents")


def run(task, **options):
    return stepscope.run(
        "frame-count", pipeline("wan2.2"), task=task, num_steps=2, guidance=1, dials={"start": 120}, **options
    )


@pytest.fixture(scope="module")
def result():
    return run(Fade(), samples=2, seeds=(0, 1), counts=(5,))


def test_every_run_is_counted_and_of_its_length(result):
    assert result.model_calls["planned"] == result.model_calls["made"] == 2 * 2 * 2 * 2
    assert result.metrics["frames"] == [5, 9]
    assert result.metrics["latent_frames"] == [2, 3]
    assert [len(curve) for curve in result.metrics["curves"].values()] == [2] * 4
    (claim,) = result.claims
    assert claim["control_passed"] is None  # nothing is known of this model's training
    assert claim["verdict"] == "inconclusive"


def test_the_short_run_is_the_run_of_a_short_puzzle(result):
    model = stepscope.load_model(pipeline("wan2.2"))
    sample = Fade().sample(1, num_frames=5, start=120)
    trace = model.denoise(sample, num_steps=2, seed=1, guidance=1)
    solutions = stepscope.scope.encode_solutions(model, sample)
    expected = stepscope.scope.read(trace, solutions).final_knowledge
    (row,) = [
        row
        for row in result.table.to_pylist()
        if (row["sample"], row["seed"], row["strategy"], row["metric"]) == (1, 1, "5-frames", "knowledge")
    ]
    assert row["value"] == pytest.approx(expected, rel=1e-6)


def test_the_figure_is_drawn_from_the_result_alone(result):
    assert len(figure.draw(result.as_json()).axes) == 3
    with pytest.raises(BadInputError, match="This figure draws that of 'frame-count'"):
        figure.draw({"experiment": "commitment"})


def test_coherence_is_the_share_of_frames_that_tell_one_story():
    still = torch.zeros(1, 5, 1, 2)
    left, right = still.clone(), still.clone()
    left[:, 1:, :, 0], right[:, 1:, :, 1] = 1.0, 1.0
    candidates = torch.stack([left, right])
    mixed = left.clone()
    mixed[:, 1] = right[:, 1]
    assert coherent(left, candidates, still) == 1
    assert coherent(mixed, candidates, still) == 3 / 4  # the first frame draws nothing and does not count
    assert coherent((left + right) / 2, candidates, still) == 0
    assert coherent(0.9 * left, candidates, still) == 1
    assert coherent(0.5 * left, candidates, still) == 0


def planted(solved, coherence=1.0):
    """A finding; `solved` says by number of frames whether the puzzle was."""
    facts = {"calls": 1, "latent_frames": 2, "first_knowledge": 0.2, "knowledge": 0.1, "coherent": coherence}
    run = {str(count): {**facts, "answer": 0 if right else None} for count, right in solved.items()}
    return Finding({"num_solutions": 2}, [run], [], 0)


def judged(findings, trained=(5, 17)):
    return emit("frames-matter-little", evidence(findings, trained))


def test_a_planted_loss_is_found_and_a_model_out_of_its_range_is_not_judged():
    kept = [planted({5: True, 9: True, 17: True})] * 100
    lost = [planted({5: False, 9: False, 17: True})] * 100
    assert judged(kept).verdict == "supported"
    assert judged(lost).verdict == "contradicted"
    assert judged([planted({5: False, 9: True, 17: True})] * 100).value == 0  # half of 17 is 9
    for trained in ((9, 13), (13, 17), None):
        assert judged(kept, trained).verdict == "inconclusive"
    assert judged(kept, None).control_passed is None
    assert judged(kept, (9, 13)).control_passed is False


def test_losses_and_the_fewest_coherent_frames():
    rows = [planted({5: False, 9: True, 17: True})] * 60
    found = summarise(rows, evidence(rows, None), None)
    assert [entry["value"] for entry in found["loss"]] == [1, 0]
    assert found["loss"][0]["p_holm"] < 0.01
    assert found["fewest_coherent"] is None  # sixty alike leave room for six points
    rows *= 2
    assert summarise(rows, evidence(rows, None), None)["fewest_coherent"] == 5


def test_what_is_known_of_training_is_filled_in():
    model = stepscope.load_model(pipeline("wan2.2"))
    assert FrameCount().for_model(model).trained is None
    assert FrameCount(trained=(1, 9)).for_model(model).trained == (1, 9)


def test_refusals():
    with pytest.raises(BadInputError, match=r"counts came as \[?1\]?\. Allowed are whole numbers from 2 up"):
        FrameCount(counts=(1,))
    with pytest.raises(BadInputError, match=r"trained came as \(17, 5\)\. It is the shortest and the longest video"):
        FrameCount(trained=(17, 5))
    assert FrameCount(counts=9, trained="5,17") == FrameCount(counts=[9], trained=(5, 17))
    with pytest.raises(BadInputError, match=r"counts up to 9 came for videos of 9 frames\."):
        run(Fade(), samples=2, counts=(5, 9))
    with pytest.raises(BadInputError, match=r"Task 'fade' draws another puzzle from seed 0 for 5 frames\."):
        run(Fade(wanders=True), samples=2, counts=(5,))
