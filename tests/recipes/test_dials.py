"""The table of dials: it is made of cells that exist, differ in one dial, and it sees what rows say."""

from inspect import signature

import numpy as np


def rows_of(cells, rates, count=40):
    """Rows in which a share of each cell's puzzles is solved."""
    solved = np.concatenate([np.arange(count) < rate * count for rate in rates])
    total = len(solved)
    spread = np.tile(np.linspace(0, 0.1, count), len(cells))
    return {
        "cell": np.repeat(cells, count), "seed": np.full(total, 1_000_000), "puzzle": np.arange(total),
        "final": solved, "knowledge": (np.where(solved, 0.01, 0.5) + spread)[:, None],
    }  # fmt: skip


def test_every_family_and_every_cell_of_a_dial_exists():
    import cells
    import dials
    from stepscope import tasks

    known = {name: (task, settings) for name, task, settings in cells.CELLS}
    assert {task for task, *_ in dials.DIALS} == set(tasks.names())
    for task, _, values in dials.DIALS:
        assert {known[cell][0] for cell in values.values()} == {task}
        settings = [known[cell][1] for cell in values.values()]
        usual = {name: field.default for name, field in signature(tasks.get(task).sample).parameters.items()}
        names = {name for each in settings for name in each}
        differing = [name for name in names if len({str(each.get(name, usual[name])) for each in settings}) > 1]
        assert len(differing) == 1, (task, values)


def test_a_dial_that_matters_is_told_from_one_that_does_not():
    import dials

    table = "\n".join(dials.lines(rows_of(["maze-5", "maze-11", "find-4", "find-6"], (1, 0.2, 0.5, 0.5))))
    assert "| `maze` | size | 5 | 40 | 1.000 | 0.9" in table
    assert "success and R |" in table
    found = next(line for line in table.splitlines() if line.startswith("| `find-shape` | count"))
    assert found.endswith("nothing seen |")
    assert "tic-tac-toe" not in table, "what was not measured is left out"


def test_puzzles_on_which_graphics_were_tuned_are_not_measured():
    import cells

    cell = next(cell for cell in cells.CELLS if cell[0] == "tic-tac-toe")
    seen = cells.tuned("tic-tac-toe")
    assert len(seen) > cells.TUNED
    first = cells.draw_row((cell, 0))
    assert first["seed"] == 100_000, "seed 0 is one of them"
    rows = [cells.draw_row((cell, cells.FIRST_SEED + i)) for i in range(60)]
    assert not seen & {row["puzzle"] for row in rows}
    assert any(row["seed"] >= cells.FIRST_SEED + 100_000 for row in rows), "some of a small family come twice"
