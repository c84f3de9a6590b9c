"""`stepscope demo`: the bundled model solves a puzzle with two right answers; a page shows how."""

from argparse import Namespace

__all__ = ["run"]

TASK, SAMPLE, DIALS = "maze-two-goals", 0, {"size": 9}
STEPS = 20


def run(options: Namespace) -> None:
    """Record the demonstration."""
    from stepscope import executors, tasks
    from stepscope.cli.puzzles import SPLIT, Puzzle
    from stepscope.cli.recording import carry_out

    reference = executors.ModelReference("embedded", options.device, options.dtype)
    model = reference.load()
    task = tasks.get(TASK)
    asked = {"split": SPLIT, "dials": DIALS, "sample_seeds": [SAMPLE]}
    puzzle = Puzzle(task.sample(SAMPLE, split=SPLIT, **DIALS), task, asked)
    carry_out(options, puzzle, model, reference, executors.Settings(num_steps=STEPS))
