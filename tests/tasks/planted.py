"""Planted mistakes: videos that a scorer must not take for an answer, and a codec's blur, which it must."""

import copy

import numpy as np

from stepscope import tasks
from stepscope.tasks import bounce, occlusion, rotate, size_pattern, tic_tac_toe
from stepscope.tasks.bounce import Bounce
from stepscope.tasks.find_shape import from_state, target_of
from stepscope.tasks.maze import draw_picture, order_map, ways_of

# Every family at its default dials and at the ends of each dial.
VARIANTS = [
    ("maze", {}),
    ("maze", {"size": 3}),
    ("maze", {"size": 11, "length": (20, 44)}),
    ("maze", {"num_frames": 3}),
    ("maze-two-goals", {}),
    ("maze-two-goals", {"size": 3, "length": 1}),
    ("maze-two-goals", {"size": 5}),
    ("find-shape", {}),
    ("find-shape", {"count": 6}),
    ("find-shape", {"named": False, "odd": 1}),
    ("find-shape", {"named": False, "odd": 2, "count": 6}),
    ("tic-tac-toe", {}),
    ("tic-tac-toe", {"wins": 1, "threat": True}),
    ("tic-tac-toe", {"wins": 2, "threat": False}),
    ("tic-tac-toe", {"side": "implied"}),
    ("size-pattern", {}),
    ("size-pattern", {"rows": 1, "answers": 1}),
    ("size-pattern", {"rows": 3, "answers": 2}),
    ("rotate", {}),
    ("rotate", {"step": 45, "example": "other", "answers": 1}),
    ("rotate", {"answers": 2}),
    ("occlusion", {}),
    ("occlusion", {"count": 1, "screen": 24}),
    ("occlusion", {"crossing": True, "screen": 48}),
    ("bounce", {}),
    ("bounce", {"bounces": 0, "count": 4}),
    ("bounce", {"bounces": 4, "count": 2}),
]
IDS = [f"{name}-{'-'.join(map(str, dials.values()))}".rstrip("-") for name, dials in VARIANTS]
FAMILIES = ["maze", "maze-two-goals", "find-shape", "tic-tac-toe", "size-pattern", "rotate", "occlusion", "bounce"]


def as_decoded(video, seed):
    """Half a pixel of box blur and ±4 grey levels: what a good codec does."""
    edged = np.pad(video.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    for axis in (1, 2):
        last = edged.shape[axis] - 1
        before, here, after = (np.take(edged, range(i, last - 1 + i), axis) for i in (0, 1, 2))
        edged = 0.25 * before + 0.5 * here + 0.25 * after
    noise = np.random.default_rng(seed).integers(-4, 5, size=video.shape)
    return np.clip(edged + noise + 0.5, 0, 255).astype(np.uint8)


def ghost(one, other):
    """Two answers at once, each at half strength."""
    return ((one.astype(int) + other) // 2).astype(np.uint8)


def switched(one, other, at):
    """One answer up to frame `at`, the other from there on."""
    return np.concatenate([one[:at], other[at:]])


def late_jump(video):
    """Nothing happens until the last frame shows the end."""
    return np.concatenate([np.repeat(video[:1], len(video) - 1, axis=0), video[-1:]])


def recoloured(video, one, other):
    """Every pixel near colour `one` as if it were `other`, from the second frame on."""
    changed = video.copy()
    near = np.linalg.norm(video.astype(int) - one, axis=-1) <= 60
    changed[1:][near[1:]] = other
    return changed


def rival(name, sample):
    """A video that begins alike and gives another answer, right (if there is a second) or wrong."""
    if len(sample.solutions) > 1:
        return sample.solutions[1]
    return RIVALS[name](copy.deepcopy(dict(sample.state)), sample)


def plainly_differ(one, other):
    """Whether some frame differs in more than a few pixels: a corner that peeps out for a frame is let pass."""
    return bool(((np.abs(one.astype(int) - other).max(axis=-1) > 60).sum(axis=(1, 2)) > 100).any())


def leaves_early(name, sample, other):
    """Whether the rival is off every right way by the middle: a maze may have none that is."""
    if not name.startswith("maze"):
        return True
    from stepscope.tasks.maze import AGENT, TRAIL, read_squares

    seen = read_squares(other[len(other) // 2][None], sample.state)[0]
    marked = {tuple(square) for square in np.argwhere((seen == TRAIL) | (seen == AGENT)).tolist()}
    return not any(marked <= set(way) for way in ways_of(sample.state))


def _other_way(state, sample):
    """A walk to another cell, in a maze with one goal: the one that is off the way for longest."""
    from stepscope.tasks import blocks
    from stepscope.tasks.maze import MAZE_PALETTE
    from stepscope.tasks.perfect_maze import distances, path_between, squares_of

    far, before = distances(np.array(state["walls"]), tuple(state["start"]))
    right = set(ways_of(state)[0])
    walks = [squares_of(path_between(before, cell)) for cell in np.ndindex(far.shape) if far[cell]]
    way = max(walks, key=lambda walk: np.mean([square not in right for square in walk]))
    colours = MAZE_PALETTE["trail"], MAZE_PALETTE["agent"]
    return blocks.paint_video(draw_picture(state), order_map(state, way), len(way) - 1, sample.num_frames, *colours)


def _other_shape(state, sample):
    items = state["items"]
    if "odd" not in sample.prompt:
        return from_state(state, (target_of(sample.prompt, items) + 1) % len(items)).solutions[0]
    from stepscope.tasks import find_shape

    odd = find_shape.targets_of(sample.prompt, items)
    other = find_shape.order_map(items[next(i for i in range(len(items)) if i not in odd)])
    mark = find_shape.PALETTE["mark"]
    return find_shape.blocks.paint_video(sample.first_frame, other, find_shape.PERIMETER, 17, mark, None)


def _other_cell(state, sample):
    board, player = np.array(state["board"]).ravel(), tic_tac_toe.player_of(sample.prompt, state)
    wins = tic_tac_toe.winning_cells(board, player)
    cell = next(c for c in range(9) if board[c] == 0 and c not in wins) if (board == 0).sum() > 1 else wins[0]
    player = player if cell not in wins else 3 - player
    return tic_tac_toe.mark_video(sample.first_frame, player, cell, sample.num_frames)


def _other_size(state, sample):
    size = next(size for size in size_pattern.SIZES if size not in size_pattern.right_sizes(state))
    return size_pattern.grow(sample.first_frame, state, size, sample.num_frames)


def _other_turn(state, sample):
    return rotate.turn_video(rotate.draw_scene(state), state, -rotate.right_turns(state)[0], sample.num_frames)


def _other_identity(state, sample):
    """What goes in comes out in another colour."""
    colours = {shape["colour"] for shape in state["shapes"]}
    state["shapes"][0]["colour"] = next(c for c in occlusion.SHAPE_COLOURS if c not in colours)
    other = occlusion.pass_video(state, occlusion.crossing_of(sample.prompt), sample.num_frames)
    return switched(sample.solutions[0], other, sample.num_frames // 2)


def _other_target(state, sample):
    """Straight to another target, past all walls."""
    _, hit = bounce.first_hit(state)
    target = state["targets"][hit - 1]
    ends = np.array(state["ball"]), bounce.resting_place(state, target)
    return bounce.flight_video(state, np.linspace(*ends, sample.num_frames))


RIVALS = {
    "maze": _other_way,
    "find-shape": _other_shape,
    "tic-tac-toe": _other_cell,
    "size-pattern": _other_size,
    "rotate": _other_turn,
    "occlusion": _other_identity,
    "bounce": _other_target,
}


def samples(name, dials, count, split="test"):
    """The first few samples of a family."""
    return [tasks.get(name).sample(seed, split=split, **dials) for seed in range(count)]


def bounce_state(**changes):
    """A box 40 px high; the ball flies down to the right at 45 degrees and meets the lower wall at x = 50."""
    targets = [{"colour": "red", "wall": "far", "at": 52}, {"colour": "green", "wall": "near", "at": 24}]
    state = {"upright": 0, "box": [28, 68], "ball": [42, 30], "heading": 45, "targets": targets}
    return {**state, **changes}


def bounce_sample(state):
    return Bounce().from_state(state)
