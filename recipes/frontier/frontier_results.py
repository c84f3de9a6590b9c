"""From rows to a choice (on validation puzzles) and to what is published (on test puzzles).

    gain        success minus that of a single run of the same noise in as many steps as the strategy makes calls (at
                most `SINGLES` allows), paired by puzzle; p by McNemar, after Holm over all strategies
    same steps  success minus that of a single run in as many steps as the strategy's own runs take

A strategy pays if it gains at no more than 1.5 times the calls of its own steps: that is what is chosen from.  The
oracle and the rule are no methods for every family, and are never chosen.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pyarrow import parquet

from bench import Columns, unscored
from menu import Ensemble, Frontier, controls
from outcomes import MOVED, Strategy, strategies
from stepscope import analysis, store
from stepscope.denoise import paper_grid
from stepscope.figures import ensemble as figure
from stepscope.models.cards import folder_card

__all__ = ["choose", "entries", "table", "write"]

SEED = 11
RATIO = 1.5
CHOOSABLE = ("multiplicity", "agreement")
HARD = {"two goals": ("two-9", "two-11"), "long mazes": ("maze-9-long", "maze-11-longer")}


def choose(rows: Columns, candidates: Frontier) -> Frontier:
    """What is frozen: the ensemble and the selection with the largest gains, beside the recipe and its controls."""
    found = [entry for entry in entries(rows, candidates) if entry["calls"] <= RATIO * entry["num_steps"]]
    merged = max((e for e in found if e["family"] == "ensemble"), key=lambda e: e["gain"]["value"])
    selected = max((e for e in found if e["verifier"] in CHOOSABLE), key=lambda e: e["gain"]["value"])
    told(entries(rows, candidates))
    best = candidates.ensembles[merged["strategy"]]
    other = next(each for each in candidates.ensembles.values() if each.num_steps != best.num_steps)
    recipe = {f"recipe-{other.size}-of-{other.num_steps}": replace(other, merge=controls(1, 2)["recipe-2-of-1"].merge)}
    kept: dict[str, Ensemble] = {merged["strategy"]: best, **controls(best.num_steps, best.size), **recipe}
    chosen = {"ensemble": merged["strategy"], "selection": [selected["strategy"], selected["verifier"]]}
    return replace(candidates, ensembles=kept, chosen=chosen)


def entries(rows: Columns, frontier: Frontier) -> list[dict[str, Any]]:
    """Every strategy with its success and its gains, in the form of `result.json` of the experiment `ensemble`."""
    found = list(strategies(rows, frontier))
    singles = {each.num_steps: each.success for each in found if each.family == "single"}
    made = [_entry(each, singles, rows["puzzle"]) for each in found]
    tested = [entry for entry in made if entry["p"] is not None]
    for entry, corrected in zip(tested, analysis.holm([entry["p"] for entry in tested]), strict=True):
        entry["p_holm"] = float(corrected)
    return made


def _entry(strategy: Strategy, singles: Mapping[int, np.ndarray], puzzles: np.ndarray) -> dict[str, Any]:
    """Of the puzzles where there is something to compare: the verifier spoke, and all videos were scored."""
    equal, same = singles[max(count for count in singles if count <= strategy.calls)], singles[strategy.num_steps]
    said = ~np.isnan(strategy.success + equal + same)
    success, equal, same, puzzles = strategy.success[said], equal[said], same[said], puzzles[said]
    entry = {
        "strategy": strategy.name, "family": strategy.family, "verifier": strategy.verifier,
        "num_steps": strategy.num_steps, "calls": strategy.calls, "n": len(success), "p": None, "p_holm": None,
        "gain": None, "same_steps": None, "success": _number(success, puzzles, (0, 1)),
    }  # fmt: skip
    if strategy.family != "single" and len(set(puzzles.tolist())) > 1:
        entry["gain"] = _number(success - equal, puzzles, (-1, 1))
        entry["same_steps"] = _number(success - same, puzzles, (-1, 1))
        entry["p"] = analysis.paired_bootstrap(success, equal, SEED, puzzles)[3]
    return entry


def _number(values: np.ndarray, puzzles: np.ndarray, bounds: tuple[int, int]) -> dict[str, Any]:
    if len(set(puzzles.tolist())) < 2:
        return {"value": float(values.mean()) if len(values) else float("nan"), "ci95": None}
    value, *ends = analysis.mean_interval(values, SEED, puzzles, bounds)
    return {"value": value, "ci95": ends}


def table(rows: Columns, frontier: Frontier) -> None:
    """Print what rows say, all together and single runs by cell."""
    told(entries(rows, frontier))
    for line in _by_cell(rows, frontier):
        print("  ".join(line), flush=True)
    print(f"unscored, left out: {unscored(rows) or 'none'}", flush=True)


def told(found: Sequence[Mapping[str, Any]]) -> None:
    """Print entries."""
    for line in _lines(found):
        print(*(f"{word:>{width}}" for word, width in zip(line, (24, 12, 5, 6, 22, 24, 9), strict=True)), flush=True)


def _lines(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    head = ["strategy", "verifier", "calls", "n", "success", "gain at equal calls", "p (Holm)"]
    return [head, *([
        entry["strategy"], entry["verifier"] or "", str(entry["calls"]), str(entry["n"]), _told(entry["success"]),
        _told(entry["gain"], "+") if entry["gain"] else "", "" if entry["p"] is None else f"{entry['p_holm']:.2g}",
    ] for entry in sorted(found, key=lambda entry: (entry["calls"], entry["strategy"])))]  # fmt: skip


def _told(number: Mapping[str, Any], sign: str = "") -> str:
    ends = "" if number["ci95"] is None else " [{:{s}.3f}, {:{s}.3f}]".format(*number["ci95"], s=sign)
    return f"{number['value']:{sign}.3f}{ends}"


def _by_cell(rows: Columns, frontier: Frontier) -> list[list[str]]:
    """Success of single runs, of what was chosen, and of best-of-8 and prune-8 in 4 steps, cell by cell."""
    wanted = [f"single-{count}" for count in frontier.singles] + [frontier.chosen.get("ensemble", "")]
    found = {}
    for each in strategies(rows, frontier):
        many = each.name in ("best-of-8@4", "prune-8@4") and each.verifier in ("multiplicity", "oracle")
        if each.name in wanted or many or [each.name, each.verifier] == frontier.chosen.get("selection"):
            found[each.name + (f" {each.verifier}" if each.verifier else "")] = each.success
    lines = [["cell", "n", *found]]
    for cell in dict.fromkeys(rows["cell"].tolist()):
        mine = rows["cell"] == cell
        lines.append([cell, str(mine.sum()), *(f"{np.nanmean(values[mine]):.3f}" for values in found.values())])
    return lines


def _early(rows: Columns, frontier: Frontier) -> list[dict[str, Any]]:
    """Pruning against best-of-K of the same verifier, seeds and steps, on the puzzles where a seed matters."""
    found = {(each.name, each.verifier): each for each in strategies(rows, frontier)}
    most, out = max(frontier.pools), []
    for (name, verifier), early in found.items():
        if early.family != "prune" or early.num_steps != most:
            continue
        late = found[name.replace("prune", "best-of"), verifier]
        for where, cells in HARD.items():
            mine = np.isin(rows["cell"], cells) & ~np.isnan(early.success + late.success)
            pair = [each.success[mine] for each in (early, late)]
            out.append({
                "strategy": name, "verifier": verifier, "where": where, "n": int(mine.sum()),
                "calls": early.calls, "share": early.calls / late.calls,
                "success": float(pair[0].mean()), "best_of": float(pair[1].mean()),
                "difference": _number(pair[0] - pair[1], rows["puzzle"][mine], (-1, 1)),
            })  # fmt: skip
    return out


def _early_lines(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    head = ["strategy", "verifier", "puzzles", "n", "share of calls", "success", "best-of", "difference"]
    return [head, *([
        each["strategy"], each["verifier"], each["where"], str(each["n"]), f"{each['share']:.2f}",
        f"{each['success']:.3f}", f"{each['best_of']:.3f}", _told(each["difference"], "+"),
    ] for each in found)]  # fmt: skip


def write(rows: Columns, frontier: Frontier, args: argparse.Namespace) -> None:
    """Write rows, numbers, table and figure."""
    found = entries(rows, frontier)
    document = {
        "weights_hash": frontier.weights_hash, "frozen": frontier.to_json(), "sha256": frontier.digest,
        "n": len(rows["index"]), "puzzles": len(np.unique(rows["puzzle"])), "unscored": unscored(rows),
        "strategies": found,
        "early_selection": _early(rows, frontier),
        **_merging(rows, frontier, folder_card(args.model).shift),
        "device": str(rows["device"]),
        "command": "python recipes/frontier/frontier.py choose, then test",
    }  # fmt: skip
    args.summary.mkdir(parents=True, exist_ok=True)
    (args.summary / "frozen.json").write_text(json.dumps(frontier.to_json(), indent=1) + "\n")
    (args.summary / "RESULTS.json").write_text(json.dumps(document, indent=1) + "\n")
    (args.summary / "RESULTS.md").write_text(_markdown(document, rows, frontier))
    args.results.mkdir(parents=True, exist_ok=True)
    tidy = store.build_table(list(_tidy(rows, frontier)))
    parquet.write_table(tidy, args.results / "frontier.parquet", compression="zstd", compression_level=19)
    figure.draw(_drawn(document, rows, frontier)).savefig(args.summary / "frontier.svg")


def _tidy(rows: Columns, frontier: Frontier) -> Any:
    """Success of every run that is no look; the seeds of its noise follow from the frozen file and the sample."""
    for at, name in enumerate(rows["names"].tolist()):
        if name.startswith("look-"):
            continue
        ensemble = frontier.ensembles.get(name)
        steps = ensemble.num_steps if ensemble else int(name.split("-")[1])
        for i in range(len(rows["index"])):
            right = float(rows["success"][i, at])
            yield store.Row(
                run=f"frontier {rows['cell'][i]}", task=str(rows["task"][i]), sample=int(rows["seed"][i]), branch=name,
                strategy="ensemble" if ensemble else "single", num_steps=steps, schedule="paper", guidance=1.0,
                weights_hash=frontier.weights_hash, metric="success", value=None if np.isnan(right) else right,
            )  # fmt: skip


def _drawn(document: Mapping[str, Any], rows: Columns, frontier: Frontier) -> dict[str, Any]:
    """What the figure of the experiment `ensemble` draws."""
    pool = [at for at, name in enumerate(rows["names"].tolist()) if name in _first_pool(frontier)]
    between = np.nanmean(rows["success"][:, pool].astype(float), axis=0).std(ddof=1)
    shown = [each for each in document["strategies"] if _is_shown(each, document["n"], max(frontier.pools))]
    metrics = {
        "n": document["n"], "pool": frontier.pool, "frontier": shown, "moved": document["moved"],
        "lever_arm": document["lever_arm"], "spread": {"between_seeds": float(between)}, "curves": document["curves"],
    }  # fmt: skip
    return {"experiment": "ensemble", "model": "embedded", "metrics": metrics}


def _is_shown(entry: Mapping[str, Any], count: int, num_steps: int) -> bool:
    """The figure leaves out pools of fewer steps, and verifiers that have nothing to say of some families."""
    chosen_from = entry["family"] in ("prune", "best-of")
    return entry["n"] == count and (not chosen_from or entry["num_steps"] == num_steps)


def _merging(rows: Columns, frontier: Frontier, shift: float) -> dict[str, Any]:
    """What merging does on the way: the lever arm of step 0, how far it moved what, and R of the chosen ensemble."""
    name = frontier.chosen["ensemble"]
    sigmas = paper_grid(frontier.ensembles[name].num_steps, shift).sigmas.tolist()
    curves = {who: {"knowledge": rows[f"knowledge {who}"].mean(axis=0).tolist()} for who in ("single", "ensemble")}
    return {
        "lever_arm": {"0": (sigmas[0] - sigmas[1]) / sigmas[0]},
        "moved": {
            each: dict(zip(MOVED, rows[f"moved {each}"].mean(axis=0).tolist(), strict=True))
            for each in frontier.ensembles
        },
        "curves": {"step": list(range(len(sigmas) - 1)), "sigma": sigmas[:-1], **curves},
    }


def _first_pool(frontier: Frontier) -> list[str]:
    count = frontier.pools[0]
    return [f"single-{count}", *(f"pool-{count}-{place}" for place in range(1, frontier.pool))]


def _markdown(document: Mapping[str, Any], rows: Columns, frontier: Frontier) -> str:
    chosen = {frontier.chosen["ensemble"], frontier.chosen["selection"][0]}
    lines = [
        "# Success against model calls",
        "",
        f"{document['n']:,} runs on {document['puzzles']:,} different held-out puzzles, over which intervals and p",
        f"are, of {len(frontier.families)} families, weights",
        f"`{document['weights_hash'][:12]}`; strategies frozen on validation puzzles (`{document['sha256'][:12]}`,",
        f"from which the seeds follow). Made on {document['device']} by `{document['command']}`. 95% intervals;",
        "*gain*: over a single run of the same noise with as many calls; chosen strategies in bold. Videos that could",
        f"not be scored, left out: {document['unscored'] or 'none'}. The figure shows pools of {max(frontier.pools)}",
        "steps, and verifiers that speak of all families.",
        "",
        "![](frontier.svg)",
        "",
        *_markdown_table(_lines(document["strategies"]), chosen),
        "",
        "## Early selection",
        "",
        "`prune-K@N` looks at K seeds after one step and goes on with one; beside it best-of-K of the same verifier on",
        "the same runs.",
        "",
        *_markdown_table(_early_lines(document["early_selection"]), set()),
        "",
        "## By cell",
        "",
        *_markdown_table(_by_cell(rows, frontier), set()),
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(lines: Sequence[Sequence[str]], bold: set[str]) -> list[str]:
    head, *rest = [[f"**{word}**" if word in bold else word for word in line] for line in lines]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rest)]
