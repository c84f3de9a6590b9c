"""The course of a strategy: which runs set out, where they halt, who is asked, and who goes on.

    single, best-of    all to the end, then one is chosen
    prune              all to `look`, some are chosen, those to the end, one is chosen
    ensemble           all through the merged steps, the first `keep` to the end, one is chosen

Runs advance side by side in a tree (`denoise.grow`), which halts and goes on without a trace of it in the latents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stepscope.denoise import Fork, Leaf, Run, grow
from stepscope.errors import PlanError
from stepscope.interventions import AbstractMerge
from stepscope.scope.checks import check_attached
from stepscope.scope.generate_verifiers import Judge
from stepscope.scope.model import Model
from stepscope.scope.trace import Trace
from stepscope.shapes import Latents

__all__ = ["Course", "Itinerary", "Look"]


@dataclass(frozen=True, eq=False)
class Look:
    """What a verifier said of a seed.

    Attributes:
        seed: seed of the noise.
        step: whose clean estimate was judged; None for the result.
        value: larger is better.
        kept: whether the seed went on, or was the answer.
        estimate: what was judged, latents [C, F, H, W] on the CPU; see `generate_preview`.
    """

    seed: int
    step: int | None
    value: float
    kept: bool
    estimate: Latents = field(repr=False)


@dataclass(frozen=True, eq=False)
class Itinerary:
    """Where the runs of a strategy go.

    Attributes:
        model: who answers.
        sample: the question.
        strategy: name of the strategy.
        seeds: seeds of the noise, one a run.
        num_steps: N.
        look: steps that `prune` takes before it chooses.
        keep: runs that `prune` and `ensemble` go on with.
        merge: what `ensemble` does to them; its donors are filled in.
        settings: guidance, solver, schedule, shift, negative_prompt.
    """

    model: Model
    sample: Any
    strategy: str
    seeds: tuple[int, ...]
    num_steps: int
    look: int
    keep: int
    merge: AbstractMerge
    settings: Mapping[str, Any]

    def check(self) -> None:
        """Refuse what cannot be gone.

        Raises:
            UserError: If numbers do not fit each other, or the model lacks what is merged.
        """
        _check_counts(self)
        if self.strategy == "ensemble":
            _check_merge(self)

    @property
    def halt(self) -> int:
        """The step before which runs are looked at; N where they go to the end."""
        match self.strategy:
            case "prune":
                return self.look
            case "ensemble":
                steps = self.merge.steps
                return self.num_steps if steps is None else max(steps) + 1  # type: ignore[arg-type]
        return self.num_steps

    def fork(self, index: int, by: Callable[[Run], Run]) -> Fork:
        """The run of one seed, with what is merged into it."""
        merges = self.strategy == "ensemble" and index < self.keep
        others = [str(other) for other in range(len(self.seeds)) if other != index]
        edits = (replace(self.merge, donors=tuple(others)),) if merges else ()  # type: ignore[call-arg]
        run = by(self.run(self.seeds[index], edits))
        return Fork(index, run, self.model.start_of(run), index, {other: int(other) for other in others})

    def run(self, seed: int, edits: Sequence[Any] = ()) -> Run:
        """A run of one seed."""
        return self.model.run_of(self.sample, seed=seed, num_steps=self.num_steps, interventions=edits, **self.settings)


class Course:
    """A strategy being carried out: the only place where its calls are added up.

    Attributes:
        calls: model calls that were made.
        looks: what the verifier said.
    """

    def __init__(
        self, asked: Itinerary, judge: Judge | None, chunk: int = 1, by: Callable[[Run], Run] = lambda run: run
    ) -> None:
        """Set out; `by` may put another denoiser into each run."""
        self.asked, self.judge, self.chunk, self.by = asked, judge, chunk, by
        self.calls, self.looks = 0, list[Look]()
        self.forks = {index: asked.fork(index, by) for index in range(len(asked.seeds))}
        self.leaves: dict[int, Leaf] = {}

    def taken(self) -> int:
        """Go the whole way; the index of the seed that is the answer."""
        asked = self.asked
        self._advance(self.forks, asked.halt)
        going = range(len(asked.seeds))
        if asked.strategy == "ensemble":
            going = range(asked.keep)
        elif asked.strategy == "prune" and asked.keep < len(going):
            estimates = [self.leaves[index].events[-1].clean[0] for index in going]
            going = self._chosen(going, asked.look - 1, estimates, asked.keep)
        if asked.halt < asked.num_steps:
            rest = {index: self._onward(index) for index in going}
            self._advance(rest, None)
        results = [self.leaves[index].end.latents[0] for index in going]
        return going[0] if len(going) == 1 else self._chosen(going, None, results, 1)[0]

    def trace(self, index: int) -> Trace:
        """The trace of one seed's run."""
        merged = self.asked.strategy == "ensemble"
        return self.asked.model.trace_of(
            self.forks[index].run, self.leaves[index], branch="ensemble" if merged else "clean"
        )

    def _advance(self, forks: Mapping[int, Fork], stop: int | None) -> None:
        leaves, made = grow(list(forks.values()), chunk=self.chunk, stop=stop)
        self.calls += made
        for index in forks:
            before = self.leaves[index].events if index in self.leaves else ()
            self.leaves[index] = replace(leaves[index], events=(*before, *leaves[index].events))

    def _onward(self, index: int) -> Fork:
        """The rest of a run; what had to be merged has been."""
        run = replace(self.forks[index].run, interventions=())
        return Fork(index, run, self.leaves[index].end, index)

    def _chosen(
        self, going: Sequence[int], step: int | None, estimates: Sequence[Latents], count: int
    ) -> Sequence[int]:
        """The most promising, best first; the first of equals."""
        values = [0.0] * len(going) if self.judge is None else self.judge(estimates)
        ranked = sorted(range(len(going)), key=lambda place: -values[place])
        best = [going[place] for place in ranked[:count]]
        seeds = self.asked.seeds
        self.looks += [
            Look(seeds[index], step, value, index in best, estimate.detach().cpu().float())
            for index, value, estimate in zip(going, values, estimates, strict=True)
        ]
        return best


def _check_counts(asked: Itinerary) -> None:
    count = len(asked.seeds)
    if not count or (asked.strategy == "single" and count > 1):
        allowed = "one" if asked.strategy == "single" else "one or more"
        raise PlanError(
            f"Strategy {asked.strategy!r} came with {count} seeds. It takes {allowed}. Give that many, or another "
            "strategy."
        )
    if asked.strategy in ("prune", "ensemble") and asked.keep > count:
        raise PlanError(f"keep came as {asked.keep} for {count} seeds. Allowed is 1 to {count}. Give fewer.")
    if asked.strategy == "prune" and asked.look >= asked.num_steps:
        raise PlanError(
            f"look came as {asked.look} in a run of {asked.num_steps} steps. Allowed is 1 to {asked.num_steps - 1}. "
            "Look earlier, or choose strategy 'best-of'."
        )


def _check_merge(asked: Itinerary) -> None:
    check_attached((), (asked.merge,), asked.model.num_layers)
    asked.merge.acts_at(0, asked.num_steps)
    if asked.settings.get("solver") == "heun":
        raise PlanError("Strategy 'ensemble' came with solver 'heun'. Seeds meet once a step. Choose solver 'euler'.")
