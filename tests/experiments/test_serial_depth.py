"""Serial depth: who fails at bounces, and not at length, is found out; who fails at both, or at neither, is not."""

import numpy as np
import pytest
from planted_denoisers import Explorer, Planted

import stepscope
from closed_form import pixels
from stepscope.errors import BadInputError
from stepscope.experiments.serial_depth import pairs
from stepscope.tasks import Sample
from stepscope.tasks.bounce import Bounce, first_hit

STEPS = 4
BOUNCE = Bounce()
MIXED = [seed for seed in range(40) if pairs.depth(BOUNCE.sample(seed)) in (0, 1, 2)][:11]


class Straight(Planted):
    """Follows a ball to the first wall, and does not know what comes then."""

    def believe(self, latents, sigma, answers, sample):
        return (self.encode(sample.still) if pairs.depth(sample) else answers[0])[None]


class Late(Planted):
    """Knows a straight flight at once, and one that bounces in the second half of the steps."""

    def believe(self, latents, sigma, answers, sample):
        waiting = pairs.depth(sample) and self.done(sigma) < 0.45
        return (self.encode(sample.still) if waiting else answers[0])[None]


class Hasty(Planted):
    """Knows a bounce only in runs of more than two steps."""

    def __init__(self):
        self.seen = set()

    def believe(self, latents, sigma, answers, sample):
        self.seen = {sigma} if sigma == 1 else self.seen | {sigma}
        lost = pairs.depth(sample) and len(self.seen) <= 2
        return (self.encode(sample.still) if lost else answers[0])[None]


class Short(Planted):
    """Knows short flights alone, whatever they meet."""

    def believe(self, latents, sigma, answers, sample):
        return (self.encode(sample.still) if pairs.length(sample) > 72 else answers[0])[None]


class Plain(Explorer):
    """Works in the pixels of the video, so that results can be scored."""

    latents_shape = (3, 17, 96, 96)

    def encode(self, frames):
        return pixels(frames)

    def decode(self, latents):
        return ((latents.permute(1, 2, 3, 0).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def measured(kind, samples, **options):
    return stepscope.run(
        "serial-depth", kind(), task="bounce", samples=samples, num_steps=STEPS, **{"decode": False, **options}
    )


def depths(result, index=0):
    return result.metrics["by_steps"][index]["depths"]


@pytest.fixture(scope="module")
def results():
    return {kind: measured(kind, MIXED) for kind in (Explorer, Straight, Late, Short)}


def test_a_twin_is_as_long_and_straight():
    lengths = []
    for seed in range(12):
        sample = BOUNCE.sample(seed, bounces=1 + seed % 4, count=2 + seed % 3)
        twin = pairs.twin(sample)
        if twin is None:
            assert pairs.length(sample) > 85, "the straightest flights end there"
            continue
        assert pairs.depth(twin) == 0
        assert len(twin.state["targets"]) == len(sample.state["targets"])
        lengths.append(first_hit(twin.state)[0] - first_hit(sample.state)[0])
        np.testing.assert_array_equal(pairs.twin(sample).first_frame, twin.first_frame)
    assert max(map(abs, lengths)) <= pairs.NEAR[-1] + 0.5
    assert len(lengths) >= 8


@pytest.mark.parametrize("bounces", range(5))
def test_depth_is_the_number_of_bounces(bounces):
    assert pairs.depth(BOUNCE.sample(5, bounces=bounces)) == bounces


def test_who_knows_all_shows_no_gap(results):
    (found,) = results[Explorer].claims
    assert (found["id"], found["value"], found["control_passed"]) == ("serial-depth-gap", 0, True)
    assert found["verdict"] == "inconclusive", "so few flights leave room"


def test_who_stops_at_the_first_wall_shows_it(results):
    (found,) = results[Straight].claims
    assert (found["value"], found["verdict"]) == (1, "supported")
    by_depth = {row["depth"]: row for row in depths(results[Straight])}
    assert [by_depth[depth]["success"]["value"] for depth in (0, 1, 2)] == [1, 0, 0]
    assert by_depth[1]["twin_success"]["value"] == 1
    assert by_depth[0]["twin_success"] is None
    assert by_depth[2]["knowledge"]["censored"] == 1


def test_who_needs_more_steps_for_bounces_shows_it_in_the_steps(results):
    (own,) = results[Late].metrics["by_steps"]
    assert (own["num_steps"], own["gap"]["value"]) == (STEPS, 0)
    row = next(row for row in own["depths"] if row["depth"] == 2)
    assert row["knowledge"]["median"] > row["twin_knowledge"]["median"] == 0
    assert len(row["knowledge"]["mean"]) == STEPS


def test_steps_that_buy_depth_are_seen_to():
    result = measured(Hasty, MIXED[:6], counts=(1, 2))
    few, _, many = result.metrics["by_steps"]
    assert [each["num_steps"] for each in result.metrics["by_steps"]] == [1, 2, STEPS]
    assert (few["gap"]["value"], many["gap"]["value"], result.metrics["bought"]["value"]) == (1, 0, 1)
    assert result.claims[0]["value"] == 0, "the claim is about the run's own number of steps"
    assert result.model_calls["made"] == result.model_calls["planned"]
    ends = [row for row in result.table.to_pylist() if row["metric"] == "success" and row["strategy"] == "1-steps"]
    assert {(row["branch"], row["value"]) for row in ends} >= {("straight", 1.0), ("clean", 0.0)}


@pytest.mark.parametrize(
    ("counts", "told"), [((0,), "from 1 up"), ((2, 2), "each once"), ("1,2", "from 1 up"), (STEPS, "in any case")]
)
def test_numbers_of_steps_that_make_no_sense_are_refused(counts, told):
    with pytest.raises(BadInputError, match=told):
        measured(Explorer, MIXED[:1], counts=counts)


def test_length_alone_is_no_depth(results):
    (found,) = results[Short].claims
    assert abs(found["value"]) < 0.35
    assert found["verdict"] == "inconclusive"


def test_twins_are_counted_and_in_the_table(results):
    rows = results[Straight].table.to_pylist()
    twins = {row["sample"] for row in rows if row["branch"] == "straight"}
    bouncing = {row["sample"] for row in rows if row["metric"] == "depth" and row["value"] > 0}
    assert 0 < len(twins) <= len(bouncing) < len(MIXED)
    assert results[Straight].model_calls["made"] == STEPS * (len(MIXED) + len(twins))
    assert {row["metric"] for row in rows} == {
        "depth", "knowledge", "knowledge_step", "length", "model_calls", "success",
    }  # fmt: skip


def test_results_are_scored_by_the_task():
    result = measured(Plain, [MIXED[0]], decode=True)
    assert [row["value"] for row in result.table.to_pylist() if row["metric"] == "success"][:1] == [1.0]


def test_straight_flights_alone_test_nothing():
    result = measured(Explorer, 3, dials={"bounces": 0})
    assert result.claims[0]["verdict"] == "not-tested"
    assert "with a bounce" in result.claims[0]["why"]


def test_other_puzzles_are_refused():
    maze = stepscope.tasks.get("maze").sample(1, size=5)
    for sample in (maze, Sample("go", maze.first_frame, 17, solutions=maze.solutions)):
        with pytest.raises(BadInputError, match="Give samples of task 'bounce'"):
            measured(Explorer, [sample])
