"""The loop: one denoising run, from a state to the end of its grid.

    for k = 0 ... N-1:   x_k   <- edits of x_k                    (a change is a jump for the solver)
                         v_k   <- model(x_k, sigma_k, condition)  (sites tapped by edits, then by recorders)
                         x_k+1 <- solver(x_k, v_k)

Never calls a pipeline's `__call__`, keeps nothing between steps but the state, and counts every model call.
Cost: N predictions, plus those that interventions and solver ask for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stepscope.denoise.denoiser import AbstractDenoiser, Address, Prediction, SiteTap, Taps
from stepscope.denoise.intervention import AbstractIntervention, View
from stepscope.denoise.recorder import PairedRecorder, Recorder, RunInfo, SiteEvent, StepEvent
from stepscope.denoise.schedule import Grid
from stepscope.denoise.solver import AbstractSolver
from stepscope.denoise.state import DenoisingState
from stepscope.shapes import LatentsBatch

__all__ = ["Run", "denoise", "denoise_pair", "steps"]


@dataclass(frozen=True)
class Run:
    """All that defines a run besides the state it starts from.

    Attributes:
        denoiser: the model.
        grid: the noise levels.
        solver: how to move between them.
        samples: one sample for each row of the batch.
        seeds: one seed for each row, known to recorders and interventions.
        guidance: classifier-free guidance; 1 makes one forward a prediction.
        negative_prompt: prompt of the unconditional forward.
        interventions: applied in this order.
    """

    denoiser: AbstractDenoiser
    grid: Grid
    solver: AbstractSolver
    samples: Sequence[Any]
    seeds: Sequence[int]
    guidance: float = 1.0
    negative_prompt: str | None = None
    interventions: Sequence[AbstractIntervention] = ()

    def start(self, latents: LatentsBatch, step: int = 0) -> DenoisingState:
        """The state from which `latents` are denoised, at `step`, with a solver that remembers nothing yet."""
        return DenoisingState(latents.to(self.denoiser.device), step, self.solver.init(self.grid))

    @property
    def info(self) -> RunInfo:
        """What recorders may know beforehand."""
        branches = ("cond",) if self.guidance == 1 else ("cond", "uncond")
        return RunInfo(self.grid, self.samples, self.seeds, self.denoiser.num_layers, branches)

    def active(self, step: int) -> list[AbstractIntervention]:
        """The interventions that act at `step`."""
        return [i for i in self.interventions if not i.is_zero and i.acts_at(step, self.grid.num_steps)]


@dataclass
class _Step:
    """One step being taken: the only place where calls are counted."""

    run: Run
    step: int
    conditions: "_Conditions"
    taps: Taps = field(default_factory=Taps)
    calls: int = 0

    def predict(self, latents: LatentsBatch, step: int, taps: Taps) -> Prediction:
        run, condition = self.run, self.conditions.at(self.step)
        prediction = run.denoiser.predict(latents, step, run.grid, condition, run.guidance, taps)
        self.calls += prediction.model_calls
        return prediction

    def edited(self, state: DenoisingState) -> DenoisingState:
        """The state with its latents edited, its solver told."""
        run, grid = self.run, self.run.grid
        editors = [i for i in run.active(state.step) if "latents" in i.reaches]
        if not editors:
            return state
        unedited, latents = state.latents, state.latents
        view = View(
            state.step,
            grid.num_steps,
            grid.sigma(state.step),
            run.samples,
            run.seeds,
            lambda: self.predict(unedited, state.step, Taps()).clean,
        )
        for editor in editors:
            latents = editor.edit_latents(latents, view)
        memory = run.solver.jump(state.solver_state, grid, state.step)
        return replace(state, latents=latents, solver_state=memory)


@dataclass
class _Conditions:
    """Encoded inputs, encoded again only when an intervention hands the model another sample."""

    run: Run
    samples: tuple[Any, ...] | None = None
    encoded: Any = None

    def at(self, step: int) -> Any:
        run = self.run
        samples = tuple(run.samples)
        for editor in run.active(step):
            if editor.reaches & {"condition", "prompt"}:
                samples = tuple(editor.edit_sample(sample, step) for sample in samples)
        if self.samples is None or any(a is not b for a, b in zip(samples, self.samples, strict=True)):
            self.samples = samples
            self.encoded = run.denoiser.condition(samples, run.guidance, run.negative_prompt)
        return self.encoded


def steps(
    run: Run, start: DenoisingState, observers: Sequence[SiteTap] = ()
) -> Iterator[tuple[StepEvent, DenoisingState]]:
    """Take the steps of a run one by one, giving each step's event and the state after it."""
    state, conditions = start, _Conditions(run)
    while state.step < run.grid.num_steps:
        now = _Step(run, state.step, conditions)
        state = now.edited(state)
        edits = _edits(run, state.step)
        prediction = now.predict(state.latents, state.step, replace(edits, sites=(*edits.sites, *observers)))
        following = run.solver.step(
            state, prediction, run.grid, lambda latents, step, now=now, edits=edits: now.predict(latents, step, edits)
        )
        if following.step == run.grid.num_steps:
            final = run.denoiser.finish(following.latents, conditions.at(state.step))
            following = replace(following, latents=final)
        yield _event(run, state, prediction, following, now.calls), following
        state = following


def denoise(
    run: Run, start: DenoisingState, recorders: Sequence[Recorder] = ()
) -> tuple[list[StepEvent], DenoisingState, dict[str, Any]]:
    """Take every step and fold the recorders: the events, the last state, and {recorder name: result}."""
    folds = {recorder.name: recorder.init(run.info) for recorder in recorders}

    def observe(recorder: Recorder, hidden: Any, address: Address) -> None:
        folds[recorder.name] = recorder.update(folds[recorder.name], SiteEvent(address, hidden))

    observers = [
        SiteTap(site, lambda hidden, address, r=recorder: observe(r, hidden, address))
        for recorder in recorders
        for site in getattr(recorder, "sites", ())
    ]
    events, state = [], start
    for event, following in steps(run, start, observers):
        for recorder in recorders:
            folds[recorder.name] = recorder.update(folds[recorder.name], event)
        events.append(event)
        state = following
    return events, state, {recorder.name: recorder.finish(folds[recorder.name]) for recorder in recorders}


def denoise_pair(
    first: tuple[Run, DenoisingState], second: tuple[Run, DenoisingState], recorders: Sequence[PairedRecorder]
) -> dict[str, Any]:
    """Take two runs in step with each other and fold paired recorders over them."""
    folds = {recorder.name: recorder.init(first[0].info) for recorder in recorders}
    for (event_a, _), (event_b, _) in zip(steps(*first), steps(*second), strict=True):
        for recorder in recorders:
            folds[recorder.name] = recorder.update(folds[recorder.name], event_a, event_b)
    return {recorder.name: recorder.finish(folds[recorder.name]) for recorder in recorders}


def _edits(run: Run, step: int) -> Taps:
    active = run.active(step)
    sites = tuple(SiteTap(site, i.edit_site) for i in active if "site" in i.reaches for site in i.sites)
    return Taps(sites, tuple(i.attention_mask for i in active if "attention" in i.reaches))


def _event(run: Run, state: DenoisingState, prediction: Prediction, following: DenoisingState, calls: int) -> StepEvent:
    return StepEvent(
        step=state.step,
        sigma=run.grid.sigma(state.step),
        expert=run.denoiser.expert(run.grid, state.step),
        latents=state.latents,
        clean=prediction.clean,
        cond=prediction.cond,
        following=following.latents,
        model_calls=calls,
    )
