"""A model in which one layer writes the answer, long before it is shown: the probes say where, and when."""

import numpy as np
import pytest
from layered_models import NUM_LAYERS, model
from planted_denoisers import Explorer

import stepscope
from stepscope.errors import BadInputError
from stepscope.experiments.layer_probe.places import QUESTIONS, asked_of, weights_of
from stepscope.tasks import Sample

DECISIVE = 2
GRID = (5, 24, 24)
INPUTS = ["latents", "embedding"]
BEFORE, AFTER = [f"layer {n}" for n in range(DECISIVE)], [f"layer {n}" for n in range(DECISIVE, NUM_LAYERS)]


def run(samples=8, num_steps=4, decider=None, size=5, **options):
    chosen = decider or model(DECISIVE, shows_at=0.5)
    return stepscope.run(
        "layer-probe",
        chosen,
        task="maze-two-goals",
        samples=samples,
        num_steps=num_steps,
        dials={"size": size},
        **options,
    )


@pytest.fixture(scope="module")
def result():
    return run()


def accuracy(result, question, sources):
    found = np.array(result.metrics["questions"][question]["accuracy"]["mean"])
    return found[:, [result.metrics["sources"].index(source) for source in sources]]


@pytest.mark.parametrize("question", ["goal", "path"])
def test_the_answer_is_read_from_the_layer_that_writes_it_on(result, question):
    assert accuracy(result, question, AFTER).min() > 0.85
    assert accuracy(result, question, [*INPUTS[1:], *BEFORE]).max() < 0.7


def test_it_is_decodable_before_it_is_visible(result):
    assert result.metrics["sigma"] == [1.0, 0.75, 0.5, 0.25]
    for question in ("goal", "path"):
        found = result.metrics["questions"][question]
        assert found["decodable"]["step"] == 0
        assert found["decodable"]["source"] in AFTER
        assert (found["visible"]["step"], found["lead"]) == (2, 2)
    assert result.metrics["shown"]["mean"] == [0, 0, 1, 1]


def test_what_is_shown_at_once_leads_by_nothing():
    at_once = run(decider=model(DECISIVE), num_steps=2)
    assert at_once.metrics["questions"]["path"]["lead"] == 0
    assert at_once.metrics["shown"]["mean"] == [1, 1]


def test_shuffled_labels_are_read_at_chance(result):
    for question in QUESTIONS:
        found = result.metrics["questions"][question]
        assert found["chance"] == 0.5
        assert abs(np.mean(found["control"]) - 0.5) < 0.1


def test_bands_hold_their_means_and_leave_room_where_all_agree(result):
    band = {name: np.array(ends) for name, ends in result.metrics["questions"]["path"]["accuracy"].items()}
    assert (band["low"] <= band["mean"]).all()
    assert (band["mean"] <= band["high"]).all()
    assert band["low"].max() < 0.7, "eight puzzles alike leave more than a third open"


def test_no_claim_is_made_of_it(result):
    assert result.claims == []
    assert result.metrics["answered"]["value"] == 1


def test_steps_and_layers_are_chosen():
    result = run(samples=2, num_steps=3, at="1:3", layers=[0, 3])
    assert result.metrics["steps"] == [1, 2]
    assert result.metrics["sources"] == [*INPUTS, "layer 0", "layer 3", "estimate"]
    assert run(samples=2, num_steps=9).metrics["steps"] == [0, 2, 3, 5, 6, 8]


def test_a_run_resumes_to_the_same_numbers(tmp_path):
    first = run(samples=2, num_steps=2, out=tmp_path / "out")
    again = run(samples=2, num_steps=2, out=tmp_path / "out")
    assert again.as_json() == first.as_json()
    assert first.model_calls == {"planned": 4, "made": 4, "naive": 4}


def test_runs_without_an_answer_are_asked_nothing():
    never = run(samples=2, num_steps=2, decider=model(DECISIVE, shows_at=0.0))
    assert never.metrics["answered"]["value"] == 0
    assert never.metrics["questions"] == dict.fromkeys(QUESTIONS)
    assert never.metrics["shown"] is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"at": 4}, "Step 4"),
        ({"at": []}, "at came as"),
        ({"layers": [4]}, "layers"),
        ({"layers": "x"}, "layers came"),
        ({"seed": "x"}, "seed came"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(options, told):
    with pytest.raises(BadInputError, match=told) as caught:
        run(samples=2, **options)
    assert "\n" not in str(caught.value)


def test_a_model_without_layers_is_asked_nothing():
    metrics = run(samples=2, num_steps=2, decider=Explorer()).metrics
    assert metrics["questions"] == dict.fromkeys(QUESTIONS)
    assert metrics["sources"] == []


@pytest.mark.parametrize(
    ("name", "dials"), [("maze-two-goals", {"size": 7}), ("maze", {}), ("find-shape", {}), ("tic-tac-toe", {})]
)
def test_yes_and_no_are_equally_frequent(name, dials):
    sample = stepscope.tasks.get(name).sample(3, **dials)
    asked = asked_of(sample, GRID)
    for chosen in range(len(sample.solutions)):
        for question in QUESTIONS:
            labels = [each.label(chosen) for each in asked if each.question == question]
            labels = [label for label in labels if label is not None]
            assert labels.count(True) == labels.count(False) > 0, question
    assert asked_of(sample, GRID) == asked


def test_each_question_means_what_it_says():
    """Checked against the state of a maze: cells of the way, and where its agent is."""
    sample = stepscope.tasks.get("maze-two-goals").sample(3, size=7)
    ends = [0, 4, 8, 12, 16]
    for each in asked_of(sample, GRID):
        way = sample.masks[f"way-{each.solution}"][-1]
        frames, rows, columns = np.unravel_index(each.tokens, GRID)
        marked = way[rows * 4, columns * 4]
        if each.question == "path":
            assert marked.all() == each.answer
        if each.question == "agent":
            frame, row, column = int(frames[0]), int(rows[0]), int(columns[0])
            seen = [
                (
                    sample.solutions[each.solution][t, row * 4, column * 4] != sample.first_frame[row * 4, column * 4]
                ).any()
                for t in ends
            ]
            assert (seen[frame] and not seen[frame - 1]) == each.answer
            assert marked.all()
        if each.question == "goal":
            assert each.answer is None
            assert not sample.masks[f"way-{1 - each.solution}"][-1][rows * 4, columns * 4].any()


def test_what_stands_against_the_way_looks_like_it():
    sample = stepscope.tasks.get("maze").sample(0, size=7)
    pairs = [each for each in asked_of(sample, GRID) if each.question == "path"]
    for on, off in zip(pairs[::2], pairs[1::2], strict=True):
        (_, y, x), (_, row, column) = (np.unravel_index(each.tokens[0], GRID) for each in (on, off))
        same = sample.first_frame[4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean((0, 1))
        other = sample.first_frame[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].mean((0, 1))
        assert np.array_equal(same, other)


def test_regions_are_means():
    sample = stepscope.tasks.get("maze-two-goals").sample(1, size=5)
    weights = weights_of(sample, GRID)
    assert weights.shape == (len(asked_of(sample, GRID)), 5 * 24 * 24)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)


def test_a_sample_that_cannot_be_cut_is_refused():
    with pytest.raises(BadInputError, match="with 0 solutions"):
        asked_of(Sample("go", np.zeros((96, 96, 3), np.uint8), 17), GRID)
