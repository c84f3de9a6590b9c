"""Questions with exact scorers: what a model is asked, and whether its video answers.

>>> sample = get("maze").sample(3, size=7)
>>> get("maze").score(sample.solutions[0], sample).success
True
"""

from stepscope.tasks.find_shape import FindShape, with_prompt
from stepscope.tasks.maze import Maze
from stepscope.tasks.registry import get, names, register
from stepscope.tasks.sample import Sample, Score, Split, Task, canonical, split_of

__all__ = [
    "FindShape",
    "Maze",
    "Sample",
    "Score",
    "Split",
    "Task",
    "canonical",
    "get",
    "names",
    "register",
    "split_of",
    "with_prompt",
]
