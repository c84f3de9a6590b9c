"""Better answers for the same compute: strategies over seeds, each with the model calls that it spends.

With N steps, K seeds, one call a prediction (two under guidance):

    single     one seed, to the end                                                    N
    best-of    all seeds to the end; a verifier chooses                                K N
    prune      all seeds for `look` steps; a verifier reads their clean estimates,     K look + keep (N - look)
               and the `keep` most promising go on
    ensemble   seeds run side by side through the steps in which they are merged;      K M + keep (N - M)
               then the first `keep` go on                                             M: the last merged step + 1

Merged seeds that are kept are asked once more in each merged step for the hidden states that they lend, if `keep` > 1.
A strategy without a verifier decodes nothing and never touches a scorer.  Calls are those that the denoiser counts.
Pruning by early plans after *Video Models Reason Early* (Newman, Zhu, Russakovsky 2026, arXiv 2603.30043), merging
after *Demystifying Video Reasoning* (arXiv 2603.16870).  Memory: the traces of all seeds while they run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, SupportsIndex

import torch

from stepscope.denoise import Rehearsal
from stepscope.errors import UnknownNameError
from stepscope.interventions import AbstractMerge
from stepscope.scope.checks import check_sample, whole_number
from stepscope.scope.generate_course import Course, Itinerary, Look
from stepscope.scope.generate_merging import merge_of
from stepscope.scope.generate_verifiers import Judge, judge_named
from stepscope.scope.model import Model
from stepscope.scope.trace import Trace
from stepscope.shapes import Frames
from stepscope.tasks import Task

__all__ = ["STRATEGIES", "Generation", "default_seeds", "generate", "generation_calls"]

STRATEGIES = ("single", "ensemble", "prune", "best-of")
"""The strategies, cheapest first."""

_SEEDS = {"single": 1, "ensemble": 3, "prune": 8, "best-of": 8}
_CHUNK = 8


@dataclass(frozen=True, eq=False)
class Generation:
    """What a strategy came to.

    Attributes:
        trace: the run that is the answer.
        model_calls: all calls that the strategy spent, those for runs that were given up included.
        strategy: its name.
        verifier: who chose; None if nobody had to.
        looks: what the verifier said, in the order in which it was asked.
    """

    trace: Trace
    model_calls: int
    strategy: str
    verifier: str | None
    looks: tuple[Look, ...]

    @property
    def seed(self) -> int:
        """Seed of the run that is the answer."""
        return self.trace.seed

    @property
    def frames(self) -> Frames:
        """The answer, uint8 [T, Y, X, 3]; decoded when it is first asked for."""
        return self.trace.frames()


def generate(
    model: Model,
    sample: Any,
    *,
    strategy: str = "single",
    seeds: SupportsIndex | Iterable[SupportsIndex] | None = None,
    num_steps: int = 20,
    verifier: Any = None,
    look: int = 3,
    keep: int = 1,
    merge: str | AbstractMerge = "block",
    merge_steps: int | Iterable[int] | None = None,
    task: Task | str | None = None,
    chunk: int | None = None,
    **settings: Any,
) -> Generation:
    """Answer a sample by a strategy.

    Args:
        model: a loaded model.
        sample: a prompt, a first frame and a number of frames.
        strategy: one of `STRATEGIES`.
        seeds: seeds of the noise, one or several; None for 0, 1, … (1 for `single`, 3 for `ensemble`, else 8). A seed
            that is named twice is run twice.
        num_steps: N >= 1.
        verifier: who chooses among seeds: `multiplicity`, `agreement`, `rule`, `oracle`, or f(frames, sample) -> float;
            None for `multiplicity`. Nobody, where there is nothing to choose.
        look: steps that `prune` takes before it chooses, 1 to N-1.
        keep: seeds that `prune` and `ensemble` go on with.
        merge: what `ensemble` merges: `block` or another site, `velocity`, `clean-estimate`, `latents`, or an
            intervention such as `MergeLayers(depth=(0, 1))`.
        merge_steps: step indices at which it merges; None for the first step, or those of the intervention.
        task: who scores, or its name, for the verifiers `oracle` and `rule`; None for the task that the sample names.
        chunk: rows in a model call; None for 1 on a CPU and 8 elsewhere.
        settings: guidance, solver, schedule, shift, negative_prompt, as in `Model.denoise`.

    Raises:
        UserError: If anything cannot be done as asked; no step was taken then.
    """
    asked = _Question(strategy, seeds, num_steps, verifier, look, keep, merge, merge_steps, task, settings)
    itinerary, name, judge = asked.put(model, sample)
    _rehearsed(itinerary)
    rows = (1 if model.loaded.denoiser.device.type == "cpu" else _CHUNK) if chunk is None else chunk
    course = Course(itinerary, judge, whole_number("chunk", rows, 1))
    with torch.no_grad():
        winner = course.taken()
    return Generation(course.trace(winner), course.calls, strategy, name, tuple(course.looks))


def generation_calls(model: Model, sample: Any, **asked: Any) -> int:
    """Count the model calls of `generate` with the same arguments, `chunk` aside, without making one.

    Raises:
        UserError: If anything cannot be done as asked.
    """
    named = {name: asked.pop(name) for name in _QUESTION & set(asked)}
    itinerary, *_ = _Question(**named, settings=asked).put(model, sample)
    return _rehearsed(itinerary)


def default_seeds(strategy: str) -> range:
    """The seeds that a strategy takes if none are named."""
    return range(_SEEDS[strategy])


@dataclass(frozen=True)
class _Question:
    """What `generate` is asked, in its words; see there."""

    strategy: str = "single"
    seeds: SupportsIndex | Iterable[SupportsIndex] | None = None
    num_steps: int = 20
    verifier: Any = None
    look: int = 3
    keep: int = 1
    merge: str | AbstractMerge = "block"
    merge_steps: int | Iterable[int] | None = None
    task: Task | str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def put(self, model: Model, sample: Any) -> tuple[Itinerary, str | None, Judge | None]:
        """The way to go and who chooses, if anybody has to; refuses all that can be refused before a step is taken."""
        if self.strategy not in STRATEGIES:
            raise UnknownNameError.of("strategy", self.strategy, STRATEGIES)
        check_sample(sample)
        seeds = default_seeds(self.strategy) if self.seeds is None else self.seeds
        made = Itinerary(
            model,
            sample,
            self.strategy,
            _listed(seeds),
            whole_number("num_steps", self.num_steps, 1),
            whole_number("look", self.look, 1),
            whole_number("keep", self.keep, 1),
            merge_of(self.merge, self.merge_steps),
            self.settings,
        )
        made.check()
        name, judge = judge_named(self.verifier, model, sample, self.task)
        most = {"single": 1, "ensemble": made.keep}.get(made.strategy, len(made.seeds))
        return (made, name, judge) if most > 1 else (made, None, None)


def _listed(seeds: Any) -> tuple[int, ...]:
    """The seeds; one by itself is a list of one."""
    try:
        several = tuple(seeds)
    except TypeError:
        several = (seeds,)
    return tuple(whole_number("seed", seed) for seed in several)


_QUESTION = {each.name for each in fields(_Question)} - {"settings"}


def _rehearsed(asked: Itinerary) -> int:
    """The calls of a course, taken without a model; what it would refuse is refused."""
    denoiser = Rehearsal(asked.model.loaded.denoiser)
    course = Course(asked, None, by=lambda run: replace(run, denoiser=denoiser))
    with torch.no_grad():
        course.taken()
    return course.calls
