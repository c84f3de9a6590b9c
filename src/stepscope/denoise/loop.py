"""The loop: one denoising run, from a state to the end of its grid.

    for k = 0 ... N-1:   x_k   <- edits of x_k                    (a change is a jump for the solver)
                         v_k   <- model(x_k, sigma_k, condition)  (sites tapped by edits, then by recorders)
                         x_k+1 <- solver(x_k, v_k)

Never calls a pipeline's `__call__`, keeps nothing between steps but the state, and counts every model call.
Cost: N predictions, plus those that interventions and solver ask for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepscope.denoise.denoiser import AbstractDenoiser, Prediction, SiteTap, Taps
from stepscope.denoise.folds import Folds
from stepscope.denoise.intervention import AbstractExchange, AbstractIntervention, View, no_codec
from stepscope.denoise.recorder import PairedRecorder, Recorder, RunInfo, StepEvent
from stepscope.denoise.schedule import Grid
from stepscope.denoise.solver import AbstractSolver
from stepscope.denoise.state import DenoisingState
from stepscope.errors import PlanError
from stepscope.shapes import Frames, Latents, LatentsBatch

__all__ = ["Conditions", "Run", "Step", "denoise", "denoise_pair", "edits_of", "steps"]


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
        encode: frames -> latents of one video, for interventions that bring a video.
    """

    denoiser: AbstractDenoiser
    grid: Grid
    solver: AbstractSolver
    samples: Sequence[Any]
    seeds: Sequence[int]
    guidance: float = 1.0
    negative_prompt: str | None = None
    interventions: Sequence[AbstractIntervention] = ()
    encode: Callable[[Frames], Latents] = no_codec

    def start(self, latents: LatentsBatch, step: int = 0) -> DenoisingState:
        """The state from which `latents` are denoised, at `step`, with a solver that remembers nothing yet."""
        latents = latents.to(self.denoiser.device)
        if step == 0:
            latents = self.denoiser.begin(latents, self.grid)
        return DenoisingState(latents, step, self.solver.start(self.grid, self.seeds))

    @property
    def info(self) -> RunInfo:
        """What recorders may know beforehand."""
        branches = ("cond",) if self.guidance == 1 else ("cond", "uncond")
        return RunInfo(self.grid, self.samples, self.seeds, self.denoiser.num_layers, branches)

    def active(self, step: int) -> list[AbstractIntervention]:
        """The interventions that act at `step`."""
        acting = [i for i in self.interventions if not i.is_zero and i.acts_at(step, self.grid.num_steps)]
        return [i for i in acting if "expert" not in i.reaches or self._hands_over(i, step)]

    def _hands_over(self, intervention: AbstractIntervention, step: int) -> bool:
        """Whether another expert answers at `step` than the model's own choice."""
        own = self.denoiser.expert(self.grid, step)
        if own is None:
            raise PlanError(
                f"{intervention!r} came for a model with one expert. It moves the boundary between two. Leave it out."
            )
        return self.denoiser.expert(self.grid, step, intervention.expert_boundary()) != own


@dataclass
class Step:
    """One step being taken: the only place where calls are counted."""

    run: Run
    step: int
    conditions: "Conditions"
    calls: int = 0

    def predict(self, latents: LatentsBatch, step: int, taps: Taps) -> Prediction:
        """Ask the model, given what it is shown at this step."""
        run, condition = self.run, self.conditions.at(self.step)
        prediction = run.denoiser.predict(latents, step, run.grid, condition, run.guidance, taps)
        self.calls += prediction.model_calls
        return prediction

    def edited(self, state: DenoisingState) -> DenoisingState:
        """The state with its latents edited, its solver told."""
        run, grid = self.run, self.run.grid
        active = [i for i in run.active(state.step) if not isinstance(i, AbstractExchange)]
        editors = [i for i in active if "latents" in i.reaches]
        if not editors:
            return state
        unedited, latents = state.latents, state.latents
        view = View(
            state.step,
            grid.num_steps,
            grid.sigma(state.step),
            run.samples,
            run.seeds,
            lambda: self.predict(unedited, state.step, Taps(boundary=edits_of(run, state.step).boundary)).clean,
            run.encode,
        )
        for editor in editors:
            latents = editor.edit_latents(latents, view)
        memory = run.solver.jump(state.solver_state, grid, state.step)
        return replace(state, latents=latents, solver_state=memory)

    def taken(self, state: DenoisingState, prediction: Prediction, edits: Taps) -> tuple[StepEvent, DenoisingState]:
        """The step's event and the state after it, given what the model says of the edited state."""
        run = self.run
        following = run.solver.step(
            state, prediction, run.grid, lambda latents, step: self.predict(latents, step, edits)
        )
        if following.step == run.grid.num_steps:
            final = run.denoiser.finish(following.latents, self.conditions.at(state.step))
            following = replace(following, latents=final)
        return _event(run, state, prediction, following, self.calls, edits.boundary), following


@dataclass
class Conditions:
    """Encoded inputs, encoded again only when an intervention hands the model another sample."""

    run: Run
    samples: tuple[Any, ...] | None = None
    encoded: Any = None

    def at(self, step: int) -> Any:
        """The condition of a step."""
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
    state, conditions = start, Conditions(run)
    while state.step < run.grid.num_steps:
        now = Step(run, state.step, conditions)
        state = now.edited(state)
        edits = edits_of(run, state.step)
        prediction = now.predict(state.latents, state.step, replace(edits, sites=(*edits.sites, *observers)))
        event, following = now.taken(state, prediction, edits)
        yield event, following
        state = following


def denoise(
    run: Run, start: DenoisingState, recorders: Sequence[Recorder] = ()
) -> tuple[list[StepEvent], DenoisingState, dict[str, Any]]:
    """Take every step and fold the recorders: the events, the last state, and {recorder name: result}."""
    folds = Folds.begun(recorders, run.info)
    events, state = [], start
    for event, following in steps(run, start, folds.observers()):
        folds.update(event)
        events.append(event)
        state = following
    return events, state, folds.finish()


def denoise_pair(
    first: tuple[Run, DenoisingState], second: tuple[Run, DenoisingState], recorders: Sequence[PairedRecorder]
) -> dict[str, Any]:
    """Take two runs in step with each other and fold paired recorders over them."""
    folds = {recorder.name: recorder.init(first[0].info) for recorder in recorders}
    for (event_a, _), (event_b, _) in zip(steps(*first), steps(*second), strict=True):
        for recorder in recorders:
            folds[recorder.name] = recorder.update(folds[recorder.name], event_a, event_b)
    return {recorder.name: recorder.finish(folds[recorder.name]) for recorder in recorders}


def edits_of(run: Run, step: int) -> Taps:
    """What the interventions of a run attach to the insides of the model at `step`."""
    active = run.active(step)
    sites = tuple(tap for i in active if "site" in i.reaches for tap in i.site_taps())
    masks = tuple(i.attention_mask for i in active if "attention" in i.reaches)
    boundaries = [i.expert_boundary() for i in active if "expert" in i.reaches]
    return Taps(sites, masks, boundaries[-1] if boundaries else None)


def _event(
    run: Run,
    state: DenoisingState,
    prediction: Prediction,
    following: DenoisingState,
    calls: int,
    boundary: float | None,
) -> StepEvent:
    """What recorders are told of a step."""
    return StepEvent(
        step=state.step,
        sigma=run.grid.sigma(state.step),
        expert=run.denoiser.expert(run.grid, state.step, boundary),
        latents=state.latents,
        clean=prediction.clean,
        cond=prediction.cond,
        following=following.latents,
        model_calls=calls,
    )
