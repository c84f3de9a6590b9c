"""`stepscope vbvr export | generate | selftest | score`: VBVR-Bench in and out.

Floors and the ground truth are printed before any score of a model.  What does not fit is told on stderr, a line each.
"""

import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepscope.cli.output import progress, say
from stepscope.cli.settings import reference_of, settings_of
from stepscope.errors import BadInputError

__all__ = ["run"]

_TASK_NAME = re.compile(r"\w[\w-]*", re.ASCII)


def run(options: Namespace) -> None:
    """Carry out the action."""
    for name in ("limit", "samples", "steps", "frames"):
        if (given := getattr(options, name, None)) is not None and given < 1:
            raise BadInputError(f"--{name} came as {given}. Less than 1 makes no sense. Ask for 1 or more.")
    {"export": _export, "generate": _generate, "selftest": _selftest, "score": _score}[options.action](options)


def _export(options: Namespace) -> None:
    """Write puzzles of a task, each with its first right answer, as questions."""
    from stepscope.cli.puzzles import check_dials, load_task
    from stepscope.executors import draw_sample
    from stepscope.store.vbvr import Place
    from stepscope.store.vbvr_video import require_av
    from stepscope.store.vbvr_writing import claim, write_question

    require_av()
    task, dials, out = load_task(options.task), dict(options.dial or ()), Path(options.out)
    if not _TASK_NAME.fullmatch(task.name):
        raise BadInputError(
            f"The task is called {task.name!r}. A folder of VBVR-Bench is made of letters, digits, _ and -. Rename it."
        )
    check_dials(task, dials)
    puzzles = [draw_sample(task, seed, options.split, dials) for seed in range(options.samples)]
    if not all(puzzle.solutions for puzzle in puzzles):
        raise BadInputError(f"Task {task.name!r} gives no right answers. A question needs one. Choose another task.")
    claim(out, {"task": task.name, "version": task.version, "split": options.split, "dials": dials, "n": len(puzzles)})
    with progress(len(puzzles), "questions") as tick:
        for index, puzzle in enumerate(puzzles):
            write_question(out, Place(task.name, index), puzzle.prompt, puzzle.solutions[0])
            tick()
    facts = {"out": str(out), "task": task.name, "written": len(puzzles)}
    say(options.json, facts, [f"{len(puzzles)} question{'s' * (len(puzzles) != 1)} of {task.name}", str(out)])


def _generate(options: Namespace) -> None:
    from stepscope.executors.vbvr_generate import generate

    truth = _truth(options)
    settings = settings_of(options)
    if settings.recorders and not options.keep_steps:
        raise BadInputError("--record came without --keep-steps. Records are kept with the steps. Give both.")
    reference = reference_of(options)
    model = reference.load()
    with progress(len(truth.samples) * len(options.seeds), "videos") as tick:
        made = generate(
            model,
            reference,
            truth.samples,
            Path(options.out),
            seeds=options.seeds,
            settings=settings,
            num_frames=options.frames,
            keep_steps=options.keep_steps,
            tick=tick,
        )
    complaints = [*truth.complaints, *_complain(made.complaints)]
    facts = {"out": options.out, "written": made.written, "kept": made.kept, "complaints": complaints}
    say(options.json, facts, [f"videos: {made.written} written, {made.kept} there before", options.out])


def _selftest(options: Namespace) -> None:
    truth = _truth(options)
    kit, test = _tested(options, truth)
    say(
        options.json,
        {**_test_facts(kit, test), "complaints": [*truth.complaints, *test.complaints]},
        _test_lines(kit, test),
    )


def _score(options: Namespace) -> None:
    from stepscope.executors.vbvr_score import score_videos
    from stepscope.store.vbvr import find_videos

    truth = _truth(options)
    videos = find_videos(Path(options.videos), truth.samples, options.frames)
    _complain(videos.complaints)
    kit, test = _tested(options, truth)
    if not options.json:
        print(*_test_lines(kit, test), sep="\n", flush=True)
    found = score_videos(kit, truth.samples, videos)
    _complain(found.complaints)
    shown = test.passed or options.despite_faults
    hidden = dict.fromkeys(found.overall)
    facts = {
        "n": found.n,
        "unscored": found.unscored,
        **(found.overall if shown else hidden),
        "by_category": found.by_category if shown else {},
        **_test_facts(kit, test),
        "complaints": [*truth.complaints, *videos.complaints, *test.complaints, *found.complaints],
    }
    say(options.json, facts, _score_lines(found, test.passed, shown))


def _truth(options: Namespace) -> Any:
    """The ground truth, its complaints told; stepscope's own tasks are let pass."""
    from stepscope import tasks
    from stepscope.store.vbvr import read_ground_truth

    folder = Path(options.data)
    truth = read_ground_truth(folder, {*tasks.names(), *_exported(folder)}, options.limit)
    _complain(truth.complaints)
    return truth


def _exported(folder: Path) -> Iterable[str]:
    """The task that `vbvr export` wrote there, which may be a user's own."""
    from stepscope.store.vbvr_writing import claimed

    name = claimed(folder).get("task")
    return [name] if isinstance(name, str) else []


def _tested(options: Namespace, truth: Any) -> tuple[Any, Any]:
    from stepscope.executors.vbvr_kit import open_kit
    from stepscope.executors.vbvr_score import self_test

    kit = open_kit(Path(options.evalkit), options.python)
    test = self_test(kit, truth.samples)
    _complain(test.complaints)
    return kit, test


def _test_facts(kit: Any, test: Any) -> dict[str, Any]:
    return {
        "floors": test.floors,
        "ground_truth": test.ground_truth,
        "passed": test.passed,
        "faults": list(test.faults),
        "kit": kit.facts,
    }


def _test_lines(kit: Any, test: Any) -> list[str]:
    rows = {**test.floors, "ground truth": test.ground_truth}
    return [
        f"The kit {kit.fingerprint[:12]}, OpenCV {kit.opencv or 'unknown'}",
        f"{'':14}{'task-specific':>15}{'weighted':>11}   ({test.n} questions)",
        *(f"{name:14}{_number(row['task_specific']):>15}{_number(row['weighted']):>11}" for name, row in rows.items()),
        *(f"FAULT: {fault}" for fault in test.faults),
        "The self-test passed." if test.passed else "The self-test failed: no headline can be given with this kit.",
    ]


def _score_lines(found: Any, passed: bool, shown: bool) -> list[str]:
    lines = [f"{found.n} videos scored, {found.unscored} unscored"]
    if not shown:
        return [*lines, "No score is printed. --despite-faults prints it beside the faults."]
    rows = {**found.by_category, "score" if passed else "not a headline": found.overall}
    return [*lines, *(_row(name, row) for name, row in rows.items())]


def _row(name: str, row: Mapping[str, Any]) -> str:
    return f"{name:14}  task-specific {_interval(row['task_specific'])}   weighted {_interval(row['weighted'])}"


def _interval(found: Mapping[str, Any]) -> str:
    if found["ci95"] is None:
        return _number(found["value"])
    low, high = found["ci95"]
    return f"{found['value']:.3f} [{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _complain(lines: Sequence[str]) -> Sequence[str]:
    """One line each, on stderr."""
    for line in lines:
        print(" ".join(line.split()), file=sys.stderr)
    return lines
