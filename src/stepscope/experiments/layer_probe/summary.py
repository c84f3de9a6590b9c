"""What `layer-probe` comes to: a map of accuracy over step and source for each question, and when it can be read.

accuracy   {mean, low, high} [step][source], bands simultaneous over the whole map; puzzles held out
control    the same with shuffled labels, mean alone
decodable  first step (and its best layer) at which a layer's `low` lies above the inputs (`latents`, `embedding`), its
           own control, and chance (the share of the commoner answer);  None where none does
visible    the same for `estimate`
lead       steps from decodable to visible: above 0, layers know before it shows
shown      share of runs whose clean estimate shows the final answer already, by the latent read-out, at each step
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from stepscope.analysis import probe_hits
from stepscope.analysis.values import float64
from stepscope.executors import Finding
from stepscope.experiments.evidence import interval_of
from stepscope.experiments.layer_maps import map_of
from stepscope.experiments.layer_probe.places import QUESTIONS

__all__ = ["summarise"]

_INPUTS = ("latents", "embedding")

Map = Float64[np.ndarray, "K P"]


def summarise(findings: Sequence[Finding], sigmas: Sequence[float], seed: int) -> dict[str, Any]:
    """Train the probes and sum up what they read.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
        seed: Of folds and shuffled labels.
    """
    facts = findings[0].puzzle
    runs = [(puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs]
    return {
        "n": len(findings),
        "runs": len(runs),
        "answered": interval_of([(puzzle, float(run["answer"] is not None)) for puzzle, run in runs], (0.0, 1.0)),
        "steps": facts["steps"],
        "sigma": [float(sigmas[step]) for step in facts["steps"]],
        "sources": facts["sources"],
        "shown": map_of([(puzzle, run["visible"]) for puzzle, run in runs if run["answer"] is not None]),
        "questions": {question: _question(findings, question, seed) for question in QUESTIONS},
    }


def _question(findings: Sequence[Finding], question: str, seed: int) -> dict[str, Any] | None:
    """One question's maps; None with fewer than two puzzles, or one answer alone."""
    rows = list(_rows(findings, question))
    labels = np.array([label for _, _, _, label in rows])
    puzzles = np.array([puzzle for puzzle, _, _, _ in rows])
    if len(set(puzzles.tolist())) < 2 or len(set(labels.tolist())) < 2:
        return None
    steps, sources = findings[0].puzzle["steps"], findings[0].puzzle["sources"]
    read = [
        probe_hits(_features(findings, rows, source, place), labels, puzzles, seed)
        for place in range(len(steps))
        for source in sources
    ]
    shape = (len(steps), len(sources))
    hits = np.stack([each for each, _ in read], axis=1).reshape(-1, *shape)
    accuracy = map_of(list(zip(puzzles.tolist(), hits, strict=True))) or {}
    control = np.mean([each for _, each in read], axis=1).reshape(shape)
    chance = float(max(labels.mean(), 1 - labels.mean()))
    return {
        "n": len(set(puzzles.tolist())),
        "rows": len(rows),
        "chance": chance,
        "accuracy": accuracy,
        "control": control.tolist(),
        **_when(accuracy, np.maximum(control, chance), steps, sources),
    }


def _rows(findings: Sequence[Finding], question: str) -> Iterator[tuple[int, int, int, bool]]:
    """Puzzle, seed, row of the features and right answer of all that was asked."""
    for puzzle, finding in enumerate(findings):
        for index, run in enumerate(finding.runs):
            for row, (asked, label) in enumerate(run["rows"]):
                if asked == question:
                    yield puzzle, index, row, label


def _features(
    findings: Sequence[Finding], rows: Sequence[tuple[int, int, int, bool]], source: str, place: int
) -> Float64[np.ndarray, "n D"]:
    return np.stack(
        [float64(findings[puzzle].tensors[f"{seed}/{source}"][place, row]) for puzzle, seed, row, _ in rows]
    )


def _when(accuracy: Mapping[str, Any], chance: Map, steps: Sequence[int], sources: Sequence[str]) -> dict[str, Any]:
    """When it can be read, inside and outside."""
    mean, low = np.array(accuracy["mean"]), np.array(accuracy["low"])
    inputs = mean[:, [sources.index(name) for name in _INPUTS]].max(axis=1, keepdims=True)
    above = low > np.maximum(inputs, chance)
    inside = [name for name in sources if name.startswith("layer ")]
    decodable, visible = (
        _first(
            {name: (above[:, column], mean[:, column]) for column, name in enumerate(sources) if name in wanted}, steps
        )
        for wanted in (inside, ["estimate"])
    )
    lead = visible["step"] - decodable["step"] if decodable and visible else None
    return {"decodable": decodable, "visible": visible, "lead": lead}


def _first(read: Mapping[str, tuple[np.ndarray, np.ndarray]], steps: Sequence[int]) -> dict[str, Any] | None:
    """The first step at which one of the sources can be read, and the best of them there."""
    for place, step in enumerate(steps):
        found = {name: float(mean[place]) for name, (above, mean) in read.items() if above[place]}
        if found:
            best = max(found, key=lambda name: found[name])
            return {"step": step, "source": best, "accuracy": found[best]}
    return None
