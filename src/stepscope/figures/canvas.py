"""An empty figure, or one line that says what is missing; nothing of matplotlib's global state is touched."""

from typing import Any

from stepscope.errors import PlanError

__all__ = ["empty"]


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
