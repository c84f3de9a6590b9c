"""Different puzzles: what comes twice is passed over where a number is asked for, and refused where it is named."""

from dataclasses import replace

import pytest

from stepscope import tasks
from stepscope.errors import BadInputError
from stepscope.executors import content_digest, sample_digest
from stepscope.experiments.drawing import drawn


def test_a_puzzle_that_two_seeds_make_is_one_puzzle():
    sample = tasks.get("rotate").sample(5)
    again = replace(sample, seed=6)
    assert content_digest(sample) == content_digest(again)
    assert sample_digest(sample) != sample_digest(again)
    assert content_digest(sample) != content_digest(replace(sample, prompt="turn it"))


def test_a_number_of_puzzles_is_as_many_that_differ():
    task = tasks.get("rotate")
    found = drawn(task, 40, 0, "test", {"num_frames": 5})
    seeds = [sample.seed for sample in found]
    assert len({content_digest(sample) for sample in found}) == 40
    assert seeds == sorted(seeds)
    assert seeds[-1] > 39, "some seeds make what was there before"
    passed_over = set(range(seeds[-1])) - set(seeds)
    seen = {content_digest(sample) for sample in found}
    assert all(content_digest(task.sample(seed, num_frames=5)) in seen for seed in passed_over)
    later = drawn(task, 3, 20, "test", {"num_frames": 5})
    assert later[0].seed == 20
    assert drawn(task, 3, 20, "test", {"num_frames": 5})[2].seed == later[2].seed


def test_where_nothing_comes_twice_the_seeds_are_the_first_ones():
    found = drawn(tasks.get("maze"), 6, 3, "test", {"size": 9, "num_frames": 5})
    assert [sample.seed for sample in found] == [3, 4, 5, 6, 7, 8]


def test_a_family_that_is_exhausted_says_how_many_it_has():
    dials = {"answers": 2, "num_frames": 5}
    with pytest.raises(BadInputError, match=r"500 samples were asked for, and \d+ different") as caught:
        drawn(tasks.get("rotate"), 500, 0, "test", dials)
    most = int(str(caught.value).split("asked for, and ")[1].split()[0])
    assert len(drawn(tasks.get("rotate"), most, 0, "test", dials)) == most


def test_two_names_of_one_puzzle_are_refused():
    task = tasks.get("rotate")
    first = {content_digest(task.sample(seed)): seed for seed in range(200)}
    twin = next(seed for seed in range(200) if first[content_digest(task.sample(seed))] != seed)
    with pytest.raises(BadInputError, match="Of the 2 samples some are the same puzzle"):
        drawn(task, [twin, first[content_digest(task.sample(twin))]], 0, "test", {})
