"""docs/findings.md from what `pack.py` kept: every claim with its number, interval, control and verdict.

    python recipes/findings/report.py                             writes the page anew
    python recipes/findings/report.py --figure NAME --out FILE    draws the figure of one run, without a model

Nothing is decided here: verdicts fell when the experiments ran.  A number is on the page if the result holds it with an
interval; each run says how it is computed again.
"""

import argparse
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepscope.analysis import claims

ROOT = Path(__file__).parents[2]
SCHEMA = "stepscope.packed/1"
ORDER = ("supported", "contradicted", "inconclusive", "not-tested")
HEAD = """\
# Findings

Written by `python recipes/findings/report.py` from the rows in `results/`; the commands are those of
`recipes/findings/run.sh`. Intervals are 95%, over puzzles; δ is the smallest effect of interest, fixed in code before
any run; [experiments](experiments.md) says what each verdict means. A negative result is a result. The paper counts
candidates in 72% of 200 cases, by eye; `superposed_at_step_0` is the same count by rule, for model and ideal observer.
"""

Packed = Mapping[str, Any]


def load(results: Path) -> dict[str, Packed]:
    """All packed runs by name."""
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    return {name: file for name, file in files.items() if isinstance(file, dict) and file.get("schema") == SCHEMA}


def page(runs: Mapping[str, Packed]) -> str:
    """The whole page in markdown."""
    return "\n".join(
        [HEAD, "## All verdicts", "", *overview(runs), *(line for each in runs for line in section(each, runs[each]))]
    )


def overview(runs: Mapping[str, Packed]) -> Iterator[str]:
    """One line a claim and run, in the order of the registry."""
    yield "| claim | run | value | 95% | δ | n | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for id in claims.ids():
        for name, run in runs.items():
            for claim in run["claims"]:
                if claim["id"] == id and claim["verdict"] != "not-tested":
                    yield f"| `{id}` | [{name}](#{name}) | {_numbers(claim)} | **{claim['verdict']}** |"


def section(name: str, run: Packed) -> Iterator[str]:
    """A run: its claims with their controls, the numbers beside them, and its commands."""
    dials = "".join(f", {dial} {value}" for dial, value in run["dials"].items())
    yield from ("", f"## {name}", "")
    yield (
        f"`{run['experiment']}` on `{run['task']}`{dials}: {run['model']}, weights `{run['weights_hash'][:12]}`, "
        f"{run['num_steps']} steps, {run['model_calls']['made']:,} model calls on {run['device']}."
    )
    yield from ("", "| claim | value | 95% | δ | n | control | verdict |", "|---|---|---|---|---|---|---|")
    for claim in sorted(run["claims"], key=lambda each: ORDER.index(each["verdict"])):
        yield f"| {claim['statement']} | {_numbers(claim)} | {_control(claim)} | **{claim['verdict']}** |"
    beside = list(numbers(run["metrics"]))
    yield from counted(run["metrics"])
    if beside:
        yield from ("", "| beside it | value | 95% | n |", "|---|---|---|---|")
        yield from (f"| `{path}` | {_value(found)} | {found['n']} |" for path, found in beside)
    again = [word.replace("DIR", f"runs/{name}") if word.endswith("DIR") else word for word in run["command"]]
    yield from ("", "```console", f"$ {shlex.join(again)}", f"$ python recipes/findings/pack.py runs/{name}")
    yield from (f"$ python recipes/findings/report.py --figure {name} --out {name}.svg", "```")


def numbers(metrics: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything in a result that has a value, an interval and a count, with the way to it."""
    if isinstance(metrics, Mapping) and {"value", "ci95", "n"} <= metrics.keys():
        yield path, metrics
    elif isinstance(metrics, Mapping):
        for key, inner in metrics.items():
            yield from numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(metrics, Sequence) and not isinstance(metrics, str):
        for place, inner in enumerate(metrics):
            yield from numbers(inner, f"{path}[{place}]")


def counted(metrics: Mapping[str, Any]) -> Iterator[str]:
    """How often answers were changed, and when runs settle: counts and medians, model beside observers."""
    for who, found in metrics.get("answer_changes", {}).items():
        told = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in found.items())
        yield from ("", f"Runs that changed their answer, {who}: {told} of {metrics['runs']}.")
    for who, found in metrics.get("settled", {}).items():
        told = [f"{what} {_settled(when)}" for what, when in found.items() if when is not None]
        yield from ("", f"Median step at which it is settled, {who}: {', '.join(told)}.")


def _settled(when: Mapping[str, Any]) -> str:
    step = "never in most runs" if when["median"] is None else f"{when['median']:g}"
    return f"{step} ({when['censored']:.0%} never)"


def figure(run: Packed) -> bytes:
    """The figure of a run as SVG; of several, the first."""
    from stepscope.figures import gallery

    drawn = gallery.drawn(run)
    return gallery.picture(next(iter(drawn.values())), "svg")


def _numbers(claim: Mapping[str, Any]) -> str:
    delta = claims.get(claim["id"]).delta
    return f"{_value(claim)} | {delta:g} | {claim['n']}"


def _value(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return "– | –"
    interval = "–" if found["ci95"] is None else "{:.3g} to {:.3g}".format(*found["ci95"])
    return f"{found['value']:.3g} | {interval}"


def _control(claim: Mapping[str, Any]) -> str:
    return f"{ {True: 'held', False: 'failed', None: 'not run'}[claim['control_passed']] }: {claim['control']}"


def main() -> None:
    """Write the page, or draw one figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--figure", metavar="NAME", help="draw the figure of this run instead")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "findings.md")
    args = parser.parse_args()
    runs = load(args.results)
    if not runs or args.figure not in (None, *runs):
        parser.error(f"{args.results} holds {', '.join(runs) or 'no packed run'}. Pack one with pack.py, or name one.")
    content = figure(runs[args.figure]) if args.figure else page(runs).encode() + b"\n"
    args.out.write_bytes(content)


if __name__ == "__main__":
    main()
