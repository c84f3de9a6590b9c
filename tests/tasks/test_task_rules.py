"""What is right in each family: rules worked out by hand on puzzles of a few lines."""

import numpy as np
import pytest
from planted import as_decoded, bounce_sample, bounce_state, rival, samples

from stepscope import tasks
from stepscope.errors import BadInputError
from stepscope.tasks import (
    Bounce,
    FindShape,
    Occlusion,
    Rotate,
    SizePattern,
    TicTacToe,
    bounce,
    find_shape,
    occlusion,
    rotate,
    size_pattern,
    tic_tac_toe,
    with_prompt,
)


def board(rows):
    return {"board": [[".sr".index(mark) for mark in row] for row in rows.split()]}


class TestTicTacToe:
    def test_the_prompt_decides_who_plays(self):
        state = board("ss. .r. .r.")
        for side, answer in (("square", "square at top right"), ("ring", "ring at top")):
            sample = TicTacToe().from_state(state, tic_tac_toe.PROMPTS[side])
            if side == "square":
                assert TicTacToe().score(sample.solutions[0], sample).answer == answer
            else:
                assert sample.solutions == ()  # the top cell is taken

    def test_two_cells_win(self):
        sample = TicTacToe().from_state(board("ss. s.. .rr"), tic_tac_toe.PROMPTS["square"])
        answers = [TicTacToe().score(video, sample).answer for video in sample.solutions]
        assert answers == ["square at top right", "square at bottom left"]

    def test_squares_begin_if_the_board_decides(self):
        prompt = tic_tac_toe.PROMPTS["implied"]
        assert tic_tac_toe.player_of(prompt, board("ss. rr. ...")) == tic_tac_toe.SQUARE
        assert tic_tac_toe.player_of(prompt, board("ss. rr. ..s")) == tic_tac_toe.RING

    def test_to_stop_the_other_side_is_a_mistake(self):
        sample = TicTacToe().from_state(board("ss. rr. ..s"), tic_tac_toe.PROMPTS["ring"])
        blocked = tic_tac_toe.mark_video(sample.first_frame, tic_tac_toe.RING, 2, 17)
        score = TicTacToe().score(blocked, sample)
        assert (score.success, score.answer) == (False, "ring at top right")

    @pytest.mark.parametrize("threat", [True, False])
    def test_threat_is_the_other_sides_win(self, threat):
        for sample in samples("tic-tac-toe", {"threat": threat}, 20):
            player, cells = tic_tac_toe.player_of(sample.prompt, sample.state), np.array(sample.state["board"])
            own, other = (set(tic_tac_toe.winning_cells(cells, side)) for side in (player, 3 - player))
            assert bool(other - own) == threat

    def test_a_foreign_prompt_is_refused(self):
        sample = tasks.get("tic-tac-toe").sample(0).with_prompt("Play well.")
        with pytest.raises(BadInputError, match="names no side"):
            TicTacToe().score(sample.still, sample)


class TestSizePattern:
    def test_the_missing_size_is_right(self):
        rows = [{"colour": "red", "sizes": ["large", 0, "small"]}]
        sample = SizePattern().from_state({"rows": rows, "marked": [0, 1]})
        assert SizePattern().score(sample.solutions[0], sample).answer == "medium"
        wrong = SizePattern().score(size_pattern.grow(sample.first_frame, sample.state, "large", 17), sample)
        assert (wrong.success, wrong.answer) == (False, "large")

    @pytest.mark.parametrize("answers", [1, 2])
    def test_answers_is_the_number_of_right_sizes(self, answers):
        assert {len(s.solutions) for s in samples("size-pattern", {"answers": answers}, 10)} == {answers}

    def test_two_answers_lie_at_the_same_place(self):
        for sample in samples("size-pattern", {"answers": 2}, 5):
            small, large = ((video[-1] != sample.first_frame).any(axis=-1) for video in sample.solutions)
            assert (small & ~large).sum() == 0


class TestRotate:
    @pytest.mark.parametrize(("before", "after", "turns"), [(0, 90, [90]), (0, 270, [-90]), (315, 45, [90])])
    def test_the_shorter_way_is_meant(self, before, after, turns):
        assert rotate.right_turns({"example": {"before": before, "after": after}}) == turns

    def test_a_half_turn_goes_either_way_and_ends_alike(self):
        for sample in samples("rotate", {"answers": 2}, 4):
            one, other = sample.solutions
            assert abs(one[-1].astype(int) - other[-1]).max() <= 2
            assert (one[8] != other[8]).any()

    def test_the_other_direction_is_named(self):
        sample = Rotate().sample(0, answers=1)
        score = Rotate().score(rival("rotate", sample), sample)
        turn = rotate.right_turns(sample.state)[0]
        assert (score.success, score.answer) == (False, rotate.turn_name(-turn))

    def test_an_example_may_show_another_shape(self):
        for sample in samples("rotate", {"example": "other"}, 5):
            assert sample.state["example"]["kind"] != sample.state["shape"]["kind"]


class TestOcclusion:
    def test_the_shape_is_hidden_and_comes_out(self):
        for sample in samples("occlusion", {"count": 1}, 4):
            there, screen = sample.masks["shape-0"], sample.masks["screen"]
            assert not (there[0] & screen[0]).any()
            assert (there[8] & ~screen[8]).sum() == 0
            assert not (there[-1] & screen[-1]).any()

    def test_another_identity_is_named(self):
        for sample in samples("occlusion", {}, 3):
            score = Occlusion().score(rival("occlusion", sample), sample)
            assert score.success is False
            assert score.answer is not None
            assert score.answer != Occlusion().score(sample.solutions[0], sample).answer

    def test_a_shape_that_stays_away_is_missed(self):
        for sample in samples("occlusion", {}, 3):
            video = sample.solutions[0].copy()
            gone = sample.masks["shape-0"] & ~sample.masks["screen"]
            video[9:][np.pad(gone, ((0, 0), (1, 1), (1, 1)))[9:, 1:-1, 1:-1]] = (242, 242, 238)
            score = Occlusion().score(video, sample)
            assert (score.success, score.answer) == (False, None)

    def test_lanes_are_changed_if_the_prompt_says_so(self):
        straight, crossing = (Occlusion().sample(5, crossing=crossing) for crossing in (False, True))
        assert straight.state == crossing.state
        assert (straight.first_frame == crossing.first_frame).all()
        assert Occlusion().score(straight.solutions[0], crossing).success is False

    def test_a_foreign_prompt_is_refused(self):
        with pytest.raises(BadInputError, match="says nothing of lanes"):
            occlusion.crossing_of("Wait.")


class TestBounce:
    def test_the_flight_by_hand(self):
        state = bounce_state()
        flown, hit = bounce.first_hit(state)
        assert state["targets"][hit]["colour"] == "red"
        assert flown == pytest.approx(18 * 2**0.5)  # from y = 42 to 68 - 8
        assert bounce.flight(state, 17)[-1] == pytest.approx([60, 48])

    def test_a_bounce_comes_before_a_target_elsewhere(self):
        targets = [{"colour": "green", "wall": "near", "at": 72}]
        state = bounce_state(targets=targets)
        assert [wall for _, wall, _ in bounce.contacts(state)] == ["far", "near"]
        assert bounce.first_hit(state)[0] == pytest.approx((18 + 24) * 2**0.5)

    def test_a_ball_without_a_target_is_refused(self):
        with pytest.raises(BadInputError, match="hits no target"):
            bounce_sample(bounce_state(targets=[]))

    @pytest.mark.parametrize("bounces", range(5))
    def test_bounces_are_counted_and_lengths_are_kept(self, bounces):
        for sample in samples("bounce", {"bounces": bounces, "length": (64, 88)}, 4):
            flown, hit = bounce.first_hit(sample.state)
            met = [contact for contact in bounce.contacts(sample.state) if contact[0] < flown]
            assert len(met) == bounces
            assert 64 <= round(flown, 6) <= 88
            answer = Bounce().score(sample.solutions[0], sample).answer
            assert answer == sample.state["targets"][hit]["colour"]

    def test_through_a_wall_is_flagged(self):
        state = bounce_state(targets=[{"colour": "green", "wall": "near", "at": 72}])
        sample = bounce_sample(state)
        straight = np.linspace([42, 30], [86, 74], 17)
        score = Bounce().score(bounce.flight_video(state, straight), sample)
        assert score.success is False
        assert score.flags == ("through-wall",)

    def test_another_target_is_named(self):
        for sample in samples("bounce", {"bounces": 1}, 3):
            score = Bounce().score(rival("bounce", sample), sample)
            assert (score.success, score.answer) in {(False, t["colour"]) for t in sample.state["targets"]}

    def test_the_control_is_as_long_and_needs_no_bounce(self):
        lengths = {
            bounces: np.mean(
                [bounce.first_hit(s.state)[0] for s in samples("bounce", {"bounces": bounces, "length": (76, 92)}, 12)]
            )
            for bounces in (0, 4)
        }
        assert abs(lengths[0] - lengths[4]) < 8


class TestFindShape:
    def test_either_of_two_odd_ones_is_right(self):
        for sample in samples("find-shape", {"named": False, "odd": 2, "count": 5}, 4):
            answers = {FindShape().score(video, sample).answer for video in sample.solutions}
            assert len(answers) == 2
            assert sample.prompt == find_shape.ODD_PROMPT

    def test_one_of_many_is_not_odd(self):
        sample = FindShape().sample(0, named=False, odd=1)
        score = FindShape().score(rival("find-shape", FindShape().sample(0)), sample)
        assert score.success is False

    def test_the_prompt_alone_decides(self):
        sample = FindShape().sample(3)
        other = with_prompt(sample, other=True)
        assert (other.first_frame == sample.first_frame).all()
        assert FindShape().score(sample.solutions[0], other).success is False
        assert FindShape().score(other.solutions[0], other).success
        assert with_prompt(sample, other=False) is sample

    def test_named_pictures_are_as_they_were(self):
        items = FindShape().sample(0).state["items"]
        assert len({find_shape.item_name(item) for item in items}) == 4


class TestMaze:
    @pytest.mark.parametrize("name", ["maze", "maze-two-goals"])
    def test_a_way_through_a_wall_is_flagged(self, name):
        task = tasks.get(name)
        sample = task.sample(3)
        video, walls = sample.solutions[0].copy(), np.array(sample.state["walls"], dtype=bool)
        cell, (top, left) = sample.state["cell_px"], sample.state["origin"]
        inner = np.argwhere(walls[2:-2, 2:-2])[0] + 2
        y, x = top + inner[0] * cell, left + inner[1] * cell
        video[8:, y : y + cell, x : x + cell] = task.palette["trail"]
        score = task.score(video, sample)
        assert score.success is False
        assert score.flags == ("through-wall",)

    def test_half_a_way_is_half_the_progress(self):
        task = tasks.get("maze")
        sample = task.sample(3)
        video = sample.solutions[0].copy()
        video[9:] = video[8]
        score = task.score(video, sample)
        assert score.success is False
        assert score.progress == pytest.approx(0.5, abs=0.05)

    def test_length_is_kept(self):
        from stepscope.tasks.maze import ways_of

        for sample in samples("maze", {"size": 9, "length": (12, 14)}, 4):
            assert 12 <= len(ways_of(sample.state)[0]) // 2 <= 14


def test_noise_alone_does_not_add_up():
    sample = tasks.get("bounce").sample(1)
    assert Bounce().score(as_decoded(sample.solutions[0], 3), sample).success
