"""`stepscope generate MODEL`: one answer by a strategy over seeds, and the model calls that it spent."""

import hashlib
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepscope.cli.output import say
from stepscope.cli.record import check_question
from stepscope.cli.settings import reference_of, settings_of
from stepscope.errors import BadInputError

__all__ = ["run"]

_DEFAULTS = {"look": 3, "keep": 1, "merge": "block"}
_MEANT_FOR = {
    "look": ("prune",),
    "keep": ("prune", "ensemble"),
    "merge": ("ensemble",),
    "merge_steps": ("ensemble",),
    "verifier": ("ensemble", "prune", "best-of"),
}


def run(options: Namespace) -> None:
    """Answer, keep the answer, and say what it cost; the last line is the page's path."""
    _check(options)
    from stepscope import executors, report, store
    from stepscope.cli import puzzles
    from stepscope.scope import default_seeds, generation_calls

    started, options.seeds = time.time(), _seeds(options) or list(default_seeds(options.strategy))
    settings, strategy = settings_of(options), _strategy(options)
    puzzle = puzzles.from_task(options) if options.task else None
    picture = None if options.task else puzzles.read_picture(options)
    reference = reference_of(options)
    model = reference.load()
    puzzle = puzzle or puzzles.from_picture(options, picture, model)
    asked = {**puzzle.asked, "experiment": "generate", **strategy, "verifier_file": _digest(options.verifier)}
    named = {**strategy, "verifier": _verifier(options.verifier)}
    recording = executors.Recording(reference, (puzzle.sample,), options.seeds, settings, puzzle.task, asked=asked)
    job = executors.prepare(recording, model)
    planned = generation_calls(
        model, puzzle.sample, task=puzzle.task, seeds=options.seeds, **named, **settings.options()
    )
    writer = store.create(options.out, job.identity, overwrite=options.overwrite)
    if not options.json:
        print(*puzzle.said, _opening(options, planned), sep="\n", flush=True)
    answer = executors.answer(job, named, writer)
    writer.write_manifest(executors.manifest_of(job, options.out, ["stepscope", *options.words], started))
    writer.write_report(report.render(store.open_record(writer.folder)))
    page = str(writer.folder / "report.html")
    facts = {"out": str(writer.folder), "page": page, "said": list(puzzle.said), "weights_hash": model.weights_hash}
    say(options.json, {**facts, **answer.result.as_json()}, [*_told(answer.result), page])


def _check(options: Namespace) -> None:
    """Refuse what words alone can tell wrong, before torch is imported."""
    check_question(options)
    for name, strategies in _MEANT_FOR.items():
        if getattr(options, name) is not None and options.strategy not in strategies:
            raise BadInputError(
                f"--{name.replace('_', '-')} came with --strategy {options.strategy}. It belongs to "
                f"{', '.join(strategies)}. Leave it out, or choose another strategy."
            )


def _seeds(options: Namespace) -> list[int]:
    """Those that were named; one that is named twice is run twice."""
    return [seed for seeds in options.seed or () for seed in seeds]


def _strategy(options: Namespace) -> dict[str, Any]:
    """The arguments of `generate` that say how to answer, as JSON."""
    given = {name: getattr(options, name) for name in (*_DEFAULTS, "merge_steps", "verifier")}
    missing = {name: value for name, value in _DEFAULTS.items() if given[name] is None}
    return {"strategy": options.strategy, **given, **missing}


def _verifier(word: str | None) -> Any:
    """A verifier by name, or what FILE.py:NAME gives when it is called without arguments."""
    if word is None or ".py:" not in word:
        return word
    from stepscope.models import object_of_file

    return object_of_file(word)


def _digest(word: str | None) -> str | None:
    """Of the file that holds a verifier: another rule is another run."""
    if word is None or ".py:" not in word:
        return None
    path = Path(word.rpartition(":")[0]).expanduser()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _opening(options: Namespace, planned: int) -> str:
    count = len(options.seeds)
    return f"{options.strategy}: {count} seed{'s' * (count > 1)}, {options.steps} steps, {planned} model calls planned"


def _told(result: Any) -> Iterator[str]:
    metrics: Mapping[str, Any] = result.metrics
    for look in metrics["looks"]:
        where = "in the end" if look["step"] is None else f"at step {look['step']}"
        yield f"seed {look['seed']} {where}: {metrics['verifier']} {look['value']:.4g}{', kept' * look['kept']}"
    verdict = {True: "solved", False: "not solved", None: "not scored"}[metrics["success"]]
    yield f"seed {metrics['seed']}: {verdict}; {result.made} model calls"
