"""`stepscope run EXPERIMENT MODEL`: measure a model on many puzzles, and say what became of each claim."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from stepscope.cli.output import progress, say
from stepscope.cli.settings import reference_of, settings_of
from stepscope.errors import BadInputError

__all__ = ["run"]


def run(options: Namespace) -> None:
    """Say what it will take; then, without --dry-run, do it."""
    _check(options)
    from stepscope import experiments, store
    from stepscope.cli.puzzles import load_task

    experiment, task = experiments.get(options.experiment, **options.choices), load_task(options.task)
    settings = settings_of(options)
    question = experiments.ask(
        experiment,
        reference_of(options).load(),
        task=task,
        samples=options.samples,
        seeds=options.seeds,
        settings=settings,
        split=options.split,
        dials=dict(options.dial or ()),
        chunk=options.chunk,
        first_sample=options.first_sample,
    )
    calls = question.calls
    opening = f"{experiment.name} on {task.name}: {_plan(options)}, {calls['planned']} model calls planned"
    if options.dry_run:
        say(options.json, {"experiment": experiment.name, "task": task.name, "model_calls": calls}, [opening])
        return
    writer = store.create(options.out, question.job.identity, overwrite=options.overwrite)
    if not options.json:
        print(opening, flush=True)
    with progress(question.num_ticks, "steps") as tick:
        result = experiments.carry_out(question, writer, command=["stepscope", *options.words], tick=tick)
    page = _shown(writer)
    say(
        options.json,
        {"out": options.out, "page": page, **result.as_json()},
        [*(_told(claim) for claim in result.claims), page],
    )


def _shown(writer: Any) -> str:
    """Draw the figures and the page of a finished run; the page's path."""
    from stepscope import report, store

    record = store.open_record(writer.folder)
    figures = _figures(record.result)
    for name, kinds in figures.items():
        for kind, picture in kinds.items():
            writer.write_figure(name, kind, picture)
    writer.write_report(report.render(record, {name: kinds["svg"] for name, kinds in figures.items()}))
    return str(writer.folder / "report.html")


def _figures(result: Mapping[str, Any]) -> dict[str, dict[str, bytes]]:
    """Every figure as SVG and PNG; none where matplotlib is not installed."""
    from importlib.util import find_spec

    from stepscope.figures import gallery

    if find_spec("matplotlib") is None:
        return {}
    return {
        name: {kind: gallery.picture(figure, kind) for kind in ("svg", "png")}
        for name, figure in gallery.drawn(result).items()
    }


def _check(options: Namespace) -> None:
    """Refuse what words alone can tell wrong, before torch is imported."""
    if options.out is None and not options.dry_run:
        raise BadInputError("No --out came. A run is kept in a folder. Give --out DIR, or --dry-run to see its cost.")
    if options.samples < 1:
        raise BadInputError(f"Samples came as {options.samples}. A run has at least 1. Give --samples 1 or more.")
    if options.first_sample < 0:
        raise BadInputError(f"The first sample came as {options.first_sample}. Puzzles have seeds from 0 on. Give one.")
    if options.steps < 1:
        raise BadInputError(f"Steps came as {options.steps}. A run has at least 1 step. Give --steps 1 or more.")


def _plan(options: Namespace) -> str:
    counts = {"puzzle": options.samples, "seed": len(options.seeds), "step": options.steps}
    return " x ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items())


def _told(claim: Mapping[str, Any]) -> str:
    """One claim in one line."""
    value = "" if claim["value"] is None else f"{claim['value']:.3g}, n = {claim['n']}. "
    return f"{claim['id']:30} {claim['verdict']:14} {value}{claim['why']}"
