"""What `layer-energy` comes to: curves over layers with simultaneous bands, and maps over layers, steps and frames.

localisation, control   by layer {mean, low, high, n}, mean over steps; `steps` [step][layer], mean over puzzles
excess                  localisation minus control of the same run, by layer
objects                 localisation of each kind of mask by itself, by layer
energy                  `steps` [step][layer] and `frames` [layer][frame], each as a share of its layer's largest
example                 maps [layer][frame][row][column] of the first puzzle, over the layer's mean; some layers, frames
turn                    the layer before which localisation rises most, and its depth: descriptive, no test
detectable              the smallest effect that these puzzles would have shown four times in five, by claim
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.executors import Finding
from stepscope.experiments.curves import band_of
from stepscope.experiments.evidence import detectable
from stepscope.experiments.layer_energy.ledger import NUMBERS, evidence, untested

__all__ = ["summarise"]

Run = Mapping[str, Any]

_LAYERS, _FRAMES = 8, 5
"""How many layers and frames an example shows at most."""


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    shared = {"n": len(findings), "sigma": [float(sigma) for sigma in sigmas[:-1]]}
    read = [finding for finding in findings if finding.puzzle["layers"]]
    if not read:
        return shared | {"layers": []}
    return shared | {
        "runs": sum(len(finding.runs) for finding in read),
        "layers": list(range(int(read[0].puzzle["layers"]))),
        "control_masks": sorted({str(finding.puzzle["control"]) for finding in read if finding.puzzle["control"]}),
        "localisation": _by_layer_and_step(read, "localisation"),
        "control": _by_layer_and_step(read, "control"),
        "excess": _band(read, _excess),
        "objects": {kind: _band(read, _of_kind(kind)) for kind in _kinds(read)},
        "energy": {
            "steps": _relative(np.mean([run["energy"] for _, run in _runs(read)], axis=0)),
            "frames": _relative(_frames(read), axis=1),
        },
        "example": _example(read[0]),
        "turn": _turn(read),
        "detectable": {} if untested(read) else {id: detectable(evidence(id, read)) for id in NUMBERS},
    }


def _runs(findings: Sequence[Finding]) -> list[tuple[int, Run]]:
    return [(puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs]


def _band(findings: Sequence[Finding], curve: Callable[[Run], np.ndarray | None]) -> dict[str, Any] | None:
    """Mean and band of a curve over layers, over the runs that have it."""
    found = [(puzzle, values) for puzzle, run in _runs(findings) if (values := curve(run)) is not None]
    return band_of([(puzzle, values.tolist()) for puzzle, values in found])


def _by_layer_and_step(findings: Sequence[Finding], name: str) -> dict[str, Any] | None:
    maps = [run[name] for _, run in _runs(findings) if run[name] is not None]
    band = _band(findings, lambda run: None if run[name] is None else np.mean(run[name], axis=0))
    return None if band is None else band | {"steps": np.mean(maps, axis=0).tolist()}


def _excess(run: Run) -> np.ndarray | None:
    if run["localisation"] is None or run["control"] is None:
        return None
    return np.mean(np.subtract(run["localisation"], run["control"]), axis=0)


def _of_kind(kind: str) -> Callable[[Run], np.ndarray | None]:
    return lambda run: None if run["objects"].get(kind) is None else np.array(run["objects"][kind])


def _kinds(findings: Sequence[Finding]) -> list[str]:
    """Kinds of objects that every puzzle has."""
    each = [set(run["objects"]) for _, run in _runs(findings)]
    return sorted(set.intersection(*each)) if each else []


def _relative(maps: np.ndarray, axis: int = 0) -> list[list[float]]:
    """Energies as a share of the largest of their layer, which lies along the other axis."""
    return (maps / maps.max(axis=axis, keepdims=True)).tolist()


def _frames(findings: Sequence[Finding]) -> np.ndarray:
    """Energy by layer and frame [layer, F], over the puzzles that are as long as the first."""
    maps = [np.asarray(finding.tensors["frames"], np.float64).mean((0, 1)) for finding in findings]
    return np.mean([each for each in maps if each.shape == maps[0].shape], axis=0)


def _example(finding: Finding) -> dict[str, Any]:
    """The maps of a puzzle's first seed."""
    energy = np.asarray(finding.tensors["energy"][0], np.float64)
    layers, frames = (_spread(length, most) for length, most in zip(energy.shape, (_LAYERS, _FRAMES), strict=False))
    relative = energy / energy.mean((1, 2, 3), keepdims=True)
    return {"layers": layers, "frames": frames, "maps": relative[np.ix_(layers, frames)].round(3).tolist()}


def _spread(length: int, most: int) -> list[int]:
    return np.unique(np.linspace(0, length - 1, most).round().astype(int)).tolist()


def _turn(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """Where localisation rises most from one layer to the next."""
    band = _band(findings, lambda run: None if run["localisation"] is None else np.mean(run["localisation"], axis=0))
    if band is None or len(band["mean"]) < 2:
        return None
    layer = int(np.diff(band["mean"]).argmax()) + 1
    return {"layer": layer, "depth": layer / len(band["mean"])}
