"""What every figure begins with: the result that it can draw, an empty figure, and a heading.

Nothing of matplotlib's global state is touched; without matplotlib, one line says what is missing.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.errors import BadInputError, PlanError

__all__ = ["empty", "entitle", "metrics_of"]


def metrics_of(result: Mapping[str, Any], experiment: str, needs: str = "") -> Mapping[str, Any]:
    """The metrics of a result that is to be drawn.

    Args:
        result: The content of `result.json`.
        experiment: Whose result it must be.
        needs: What else its model must have had, as in "with layers", if the figure has a layer for every row or line;
            a result of a model without lists no `layers`.

    Raises:
        BadInputError: If the result is another experiment's, or of a model that lacks what is needed.
    """
    metrics = result.get("metrics", {})
    if result.get("experiment") != experiment or (needs and not metrics.get("layers")):
        raise BadInputError(
            f"The result of {result.get('experiment')!r} came. This figure draws that of {experiment!r}"
            f"{needs and f' on a model {needs}'}. Open the folder of such a run."
        )
    return metrics


def empty(width: float, height: float) -> Any:
    """Return a `matplotlib.figure.Figure` of this size in inches.

    Raises:
        PlanError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlanError(
            "A figure was asked for, and matplotlib is not installed. Figures need it. "
            "Install the extra: pip install 'stepscope[figures]'."
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def entitle(figure: Any, words: str) -> None:
    """Say in one line, at the upper left, which model was measured, and on how much."""
    figure.suptitle(words, x=0.02, ha="left", fontsize="medium")
