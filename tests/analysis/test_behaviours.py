"""Answer changes, superposition, per-frame commitment, what seeds share, bands: each on data whose answer is known."""

import numpy as np
import pytest
import torch

from stepscope.analysis import (
    WRONG,
    AnswerChanges,
    answer_changes,
    commitment_by_frame,
    commitment_slope,
    excess_multiplicity,
    mean_band,
    painted,
    seed_agreement,
    seed_variance,
    shown_answers,
    superposed,
    telling_frames,
)
from stepscope.errors import BadInputError

FRAMES, STEPS = 5, 10
STILL = torch.zeros(2, FRAMES, 2, 2)


def solutions():
    """Two videos alike in frame 0, apart from frame 1 on."""
    candidates = torch.zeros(2, 2, FRAMES, 2, 2)
    candidates[0, 0, 1:] = 1
    candidates[1, 1, 1:] = 1
    return candidates


def estimates(choices):
    """Clean estimates from the weight of solution 0, [N] or [N, F]."""
    shares = torch.as_tensor(choices, dtype=torch.float32)
    shares = shares[:, None].expand(-1, FRAMES) if shares.ndim == 1 else shares
    shares = shares[:, None, :, None, None]
    return shares * solutions()[0] + (1 - shares) * solutions()[1]


@pytest.mark.parametrize(
    ("answers", "changes"),
    [
        ((None, 0, 0), (0, 0, 0)),
        ((WRONG, None, 1), (1, 0, 0)),
        ((0, WRONG, None, WRONG), (0, 1, 0)),
        ((0, None, 1, 0), (0, 0, 2)),
        ((WRONG, 0, 1, WRONG), (1, 1, 1)),
        ((), (0, 0, 0)),
    ],
)
def test_changes_are_counted_between_definite_answers(answers, changes):
    assert answer_changes(answers) == AnswerChanges(*changes)


def test_what_is_shown():
    weights = [[1, 0], [0.5, 0.5], [0.05, 0.95], [1, 0], [1, 0]]
    assert shown_answers(weights, [0, 0, 0.1, 0.2, 0.2], [1, 1, 1, 1, 0.5]) == (0, None, 1, WRONG, None)


def test_a_drawing_is_as_finished_as_its_emptiest_frame():
    both = solutions().sum(0)
    unfinished = solutions()[0].clone()
    unfinished[:, -1] *= 0.5
    videos = torch.stack([solutions()[0], STILL, both, unfinished])
    np.testing.assert_allclose(painted(videos, solutions(), STILL), [1, 0, 2, 0.25])


def large(change):
    """A video of 8 x 8 cells on a blank one, changed alike in every frame but the first."""
    video = torch.zeros(2, FRAMES, 8, 8)
    video[0, 1:] = torch.as_tensor(change, dtype=torch.float32)
    return video


def test_fog_is_no_drawing_however_much_it_changes():
    way, other = torch.zeros(8, 8), torch.zeros(8, 8)
    way[0], other[7] = 1, 1
    answers = torch.stack([large(way), large(other)])
    elsewhere, both, haze, blaze = way.roll(3, 0), way + other, torch.full((8, 8), 0.5), 2 * way
    shown = torch.stack([large(each) for each in (way, elsewhere, both, haze, blaze)])
    np.testing.assert_allclose(painted(shown, answers, large(0)), [1, 1, 2, 0, 0])


def test_ghosts_count_where_they_are_visible():
    assert superposed([2.0, 2.0, 1.2], [0.1, 0.9, 0.0]).tolist() == [True, False, False]


def test_excess_counts_only_steps_at_which_the_observer_has_chosen():
    assert excess_multiplicity([2, 2, 2, 1], [2, 1.5, 1, 1]) == 0.25
    assert excess_multiplicity([2, 1.3, 1], [2, 1.3, 1]) == 0


def test_frames_before_the_ways_part_tell_nothing():
    assert telling_frames(solutions()) == (1, 2, 3, 4)
    assert telling_frames(solutions()[:1]) == ()


def test_frames_that_settle_together_have_no_slope():
    steps = commitment_by_frame(estimates(np.linspace(0.5, 1, STEPS)), solutions())
    assert set(steps.values()) == {8}
    assert commitment_slope(steps, STEPS) == pytest.approx(0)


def test_frames_that_settle_in_turn_have_the_slope_of_their_turn():
    choices = [[1.0 if step >= 2 * frame else 0.5 for frame in range(FRAMES)] for step in range(STEPS)]
    steps = commitment_by_frame(estimates(choices), solutions())
    assert steps == {1: 2, 2: 4, 3: 6, 4: 8}
    assert commitment_slope(steps, STEPS) == pytest.approx(2)


def test_a_censored_frame_counts_as_the_end():
    assert commitment_slope({1: 2, 2: None}, 10) == pytest.approx(8)
    assert commitment_slope({1: 2}, 10) is None


def test_what_seeds_share_is_found_without_bias():
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(1, 2, FRAMES, 2, 2, generator=generator)
    found = []
    for _ in range(400):
        own = torch.randn(3, 1, 2, FRAMES, 2, 2, generator=generator)
        found.append(seed_variance([common + each for each in own], STILL))
    shared, specific = np.array([[each.shared[0], each.specific[0]] for each in found]).T
    error = shared.std() / np.sqrt(len(found))
    assert abs(shared.mean() - float(common.square().sum())) < 4 * error
    assert specific.mean() == pytest.approx(common.numel(), rel=0.05)


def test_one_seed_shares_nothing_with_nobody():
    with pytest.raises(BadInputError, match="at least two"):
        seed_variance([estimates([1.0])], STILL)
    assert seed_agreement([0]) is None


def test_agreement_is_over_pairs_and_no_answer_agrees_with_none():
    assert seed_agreement([0, 0, 1]) == pytest.approx(1 / 3)
    assert seed_agreement([None, None]) == 0


def test_a_band_holds_the_whole_curve_as_often_as_it_says():
    generator = np.random.default_rng(0)
    held = 0
    for trial in range(100):
        curves = generator.normal(size=(40, 8))
        band = mean_band(curves, trial)
        held += bool(((band.low <= 0) & (band.high >= 0)).all())
    assert 87 <= held <= 100


def test_a_band_is_wider_where_puzzles_repeat_themselves():
    curves = np.random.default_rng(1).normal(size=(20, 4))
    clusters = np.repeat(np.arange(20), 5)
    alone = mean_band(np.repeat(curves, 5, axis=0), 0)
    together = mean_band(np.repeat(curves, 5, axis=0), 0, clusters)
    np.testing.assert_allclose(alone.mean, together.mean)
    assert ((together.high - together.low) > 1.5 * (alone.high - alone.low)).all()
