"""How axes are drawn that several figures share: the clocks, and R.

Sigma falls from left to right, SNR runs in decades above 1, steps are whole.  The axis of R reaches beyond 0.1, above
which a result counts as knowing nothing, so that rounding does not look like a finding.
"""

from typing import Any

__all__ = ["set_clock", "set_knowledge"]

_KNOWN = 0.1


def set_clock(panel: Any, clock: str) -> None:
    """Set the horizontal axis of a panel.

    Args:
        panel: A matplotlib axes.
        clock: `step`, `sigma` or `signal_to_noise`.
    """
    if clock == "step":
        panel.xaxis.get_major_locator().set_params(integer=True)
    elif clock == "sigma":
        panel.xaxis.set_inverted(True)
    else:
        panel.set_xscale("symlog", linthresh=1)
        panel.set_xlim(left=0)


def set_knowledge(panel: Any) -> None:
    """Set the vertical axis of a panel of R, and mark the largest R that counts as known."""
    panel.axhline(_KNOWN, color="black", linestyle=":", linewidth=1)
    panel.set_ylim(0, max(1.5 * _KNOWN, panel.get_ylim()[1]))
