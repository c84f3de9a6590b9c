"""Questions with exact scorers: what a model is asked, and whether its video answers.

>>> sample = get("maze").sample(3, size=7)
>>> get("maze").score(sample.solutions[0], sample).success
True
"""

from stepscope.tasks.bounce import Bounce
from stepscope.tasks.find_shape import FindShape, with_prompt, with_scene
from stepscope.tasks.find_shape_donor import with_picture
from stepscope.tasks.maze import Maze
from stepscope.tasks.occlusion import Occlusion
from stepscope.tasks.registry import get, names, register
from stepscope.tasks.rotate import Rotate
from stepscope.tasks.sample import Sample, Score, Split, Task, canonical, split_of
from stepscope.tasks.size_pattern import SizePattern
from stepscope.tasks.tic_tac_toe import TicTacToe

__all__ = [
    "Bounce",
    "FindShape",
    "Maze",
    "Occlusion",
    "Rotate",
    "Sample",
    "Score",
    "SizePattern",
    "Split",
    "Task",
    "TicTacToe",
    "canonical",
    "get",
    "names",
    "register",
    "split_of",
    "with_picture",
    "with_prompt",
    "with_scene",
]
