"""The recorders of one run at work: each with its state, which forks where the run forks.

A fork copies the states deeply (cost: their size), so that a recorder that changes its state in place is as safe as one
that does not: what a branch records is what a full rerun records.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepscope.denoise.denoiser import Address, SiteTap
from stepscope.denoise.recorder import Recorder, RunInfo, SiteEvent, StepEvent

__all__ = ["Folds"]


@dataclass(eq=False)
class Folds:
    """Recorders and their states.

    Attributes:
        recorders: what folds.
        info: what they were told at the beginning.
        states: their states so far, by name.
    """

    recorders: Sequence[Recorder]
    info: RunInfo
    states: dict[str, Any]

    @classmethod
    def begun(cls, recorders: Sequence[Recorder], info: RunInfo) -> "Folds":
        """Recorders that have seen nothing yet."""
        return cls(recorders, info, {recorder.name: recorder.init(info) for recorder in recorders})

    def observers(self) -> tuple[SiteTap, ...]:
        """The taps through which they see the insides of a model."""
        return tuple(
            SiteTap(site, lambda hidden, address, r=recorder: self._observe(r, hidden, address))
            for recorder in self.recorders
            for site in getattr(recorder, "sites", ())
        )

    def update(self, event: StepEvent) -> None:
        """Fold a step in."""
        for recorder in self.recorders:
            self.states[recorder.name] = recorder.update(self.states[recorder.name], event)

    def forked(self) -> "Folds":
        """The same recorders with states of their own."""
        shared = {id(self.info): self.info}  # samples and grid are the same on both sides
        return Folds(self.recorders, self.info, copy.deepcopy(self.states, shared))

    def finish(self) -> dict[str, Any]:
        """What they made of the run, by name."""
        return {recorder.name: recorder.finish(self.states[recorder.name]) for recorder in self.recorders}

    def _observe(self, recorder: Recorder, hidden: torch.Tensor, address: Address) -> None:
        self.states[recorder.name] = recorder.update(self.states[recorder.name], SiteEvent(address, hidden))
