"""Which figures belong to an experiment, and how a figure becomes bytes that are the same every time.

drawn(result)  ->  {name: Figure}        picture(figure, "svg" | "png")  ->  bytes
"""

import io
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

__all__ = ["drawn", "picture"]

_OF_EXPERIMENT = {
    "commitment": ("commitment",),
    "ensemble": ("ensemble",),
    "frame-count": ("frame-count",),
    "layer-energy": ("layer-energy",),
    "layer-lens": ("layer-lens",),
    "layer-probe": ("layer-probe",),
    "layer-swap": ("layer-swap",),
    "noise-at-frame": ("noise-at-frame",),
    "noise-at-step": ("noise-at-step", "propagation"),
    "serial-depth": ("serial-depth",),
    "step-compression": ("step-compression",),
    "wrong-plan": ("wrong-plan",),
}
_DOTS_PER_INCH = 150


def drawn(result: Mapping[str, Any]) -> dict[str, Any]:
    """Draw every figure of an experiment.

    Args:
        result: The content of `result.json`.

    Returns:
        `matplotlib.figure.Figure`s by name; none for an experiment without figures.

    Raises:
        PlanError: If matplotlib is not installed.
    """
    names = _OF_EXPERIMENT.get(str(result.get("experiment")), ())
    modules = {name: import_module(f"stepscope.figures.{name.replace('-', '_')}") for name in names}
    return {name: module.draw(result) for name, module in modules.items()}


def picture(figure: Any, kind: Literal["svg", "png"]) -> bytes:
    """Return a figure as the bytes of a file; equal figures give equal bytes."""
    from matplotlib import rc_context

    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "stepscope", "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return file.getvalue()
