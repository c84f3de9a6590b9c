"""A plan: branches over samples and seeds, what they cost, and how they are run.

    plan(model, samples, branches, seeds).run()  ->  {(sample.seed, seed, branch): Trace}

    model calls   N + N(N+1)/2 for an edit at each of N steps; every branch from step 0, the clean one included: N(N+1)
    bytes         (3N + 1) latents in float32 a trace

A plan is rehearsed when it is made, sample by sample and without a model call: what its run would refuse is refused
then, and its calls are counted by taking every step with a model that predicts nothing.  A trace counts the calls of
its branch alone, as `model.denoise` would make them; the clean estimate that `renoise` asks for is one of those, but a
tree takes it from the trunk's own prediction and makes no call for it.

Where a call has several rows (`chunk`), the trees of several samples are grown together, as many as `scope.forest`
allows, so that calls are full.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat

import torch

from stepscope.denoise import Fork, Rehearsal, Run, Taps, Tree, grow, grow_forest
from stepscope.errors import PlanError
from stepscope.scope.branch import CLEAN, Branch, with_clean
from stepscope.scope.checks import check_attached, check_sample, whole_number
from stepscope.scope.forest import puzzles_at_once, rows_in_a_call
from stepscope.scope.model import Model, once_each
from stepscope.scope.trace import Trace
from stepscope.shapes import Frames, Latents

__all__ = ["Grown", "Key", "Plan", "grown_together", "plan"]

Key = tuple[int | None, int, str]
"""(sample.seed, seed of the plan, name of the branch)."""

Grown = tuple[dict[tuple[int, str], Trace], int]
"""Every branch of one sample, {(seed, name of the branch): trace}, and the model calls that were made."""

_BYTES = 4  # float32


@dataclass(frozen=True, eq=False)
class Plan:
    """Branches over samples and seeds, ready to run; made by `plan`.

    Attributes:
        model: the model.
        samples: the samples.
        branches: the branches, the clean one first.
        seeds: seeds of the noise.
        settings: keyword arguments of `Model.run_of`: num_steps, guidance, solver, schedule, shift, negative_prompt.
        recorders: folds over every branch.
        paired: folds over the clean run and every branch in step.
        chunk: rows in every model call.
        costs: (model calls of the tree, of every branch from step 0) for each sample.
    """

    model: Model
    samples: tuple[Any, ...]
    branches: tuple[Branch, ...]
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    recorders: tuple[Any, ...]
    paired: tuple[Any, ...]
    chunk: int
    costs: tuple[tuple[int, int], ...]

    def __repr__(self) -> str:
        return (
            f"Plan({len(self.samples)} samples, {len(self.seeds)} seeds, {len(self.branches)} branches: "
            f"{self.model_calls()} of {self.naive_calls()} model calls)"
        )

    def model_calls(self) -> int:
        """Model calls that `run` makes; rows that pad a chunk are not counted."""
        return sum(made for made, _ in self.costs)

    def naive_calls(self) -> int:
        """Model calls if every branch, the clean one included, were run from step 0."""
        return sum(naive for _, naive in self.costs)

    def keys(self) -> list[Key]:
        """The keys of all results, in their order."""
        return [key for sample in self.samples for key in self._keys(sample)]

    def bytes(self) -> int:
        """Bytes of the traces that `run` gives back, records not counted."""
        steps, cells = self.settings["num_steps"], len(self.seeds) * len(self.branches)
        return sum(cells * _trace_bytes(self.model, sample, steps) for sample in self.samples)

    def at_once(self) -> int:
        """How many samples `results` takes at a time."""
        cells = len(self.seeds) * len(self.branches)
        size = cells * _trace_bytes(self.model, self.samples[0], self.settings["num_steps"])
        return puzzles_at_once(self.model, self.chunk, len(self.seeds), size)

    def seconds(self) -> float:
        """An estimate of the time that `run` takes in model calls, from one of `chunk` rows that is timed here."""
        run = self._run(self.samples[0], self.branches[0], self.seeds[0], None)
        latents = self.model.start_of(run).latents.repeat(self.chunk, 1, 1, 1, 1)
        condition = run.denoiser.condition(self.samples[:1] * self.chunk, run.guidance, run.negative_prompt)
        made, elapsed = 0, 0.0
        for _ in range(2):  # the first warms up
            begun = time.perf_counter()
            with torch.no_grad():
                told = run.denoiser.predict(latents, 0, run.grid, condition, run.guidance, Taps())
            told.velocity.flatten()[0].item()  # waits for an accelerator
            made, elapsed = told.model_calls, time.perf_counter() - begun
        forests = math.ceil(len(self.samples) / self.at_once())
        return elapsed * max(self.model_calls() / made, forests * self.settings["num_steps"])

    def results(self, done: Iterable[Key] = ()) -> Iterator[tuple[Key, Trace]]:
        """The results one by one, sample after sample: no more than those of `at_once` samples are held.

        Args:
            done: keys that are there already; a sample of which all are is left out.
        """
        held = set(done)
        missing = [sample for sample in self.samples if not held.issuperset(self._keys(sample))]
        for first in range(0, len(missing), size := self.at_once()):
            together = missing[first : first + size]
            grown = grown_together([(self, sample) for sample in together])
            for sample, (traces, _) in zip(together, grown, strict=True):
                yield from (((getattr(sample, "seed", None), *key), trace) for key, trace in traces.items())

    def grown(self, sample: Any) -> Grown:
        """Every branch of one sample, and the model calls that were made."""
        (grown,) = grown_together([(self, sample)])
        return grown

    def run(self, done: Mapping[Key, Trace] | None = None) -> dict[Key, Trace]:
        """All results.

        Args:
            done: results that are there already, for example of a part; they are taken as they are.
        """
        found = {**(done or {})}
        found.update(self.results(found))
        return self.merge(found)

    def parts(self, count: int) -> "list[Plan]":
        """The plan cut into at most `count` plans of whole samples."""
        whole_number("count", count, 1)
        size = math.ceil(len(self.samples) / count)
        return [self._cut(slice(first, first + size)) for first in range(0, len(self.samples), size)]

    def merge(self, *results: Mapping[Key, Trace]) -> dict[Key, Trace]:
        """The results of parts as those of the whole, in its order.

        Raises:
            PlanError: If one is missing.
        """
        found = {key: trace for each in results for key, trace in each.items()}
        missing = [key for key in self.keys() if key not in found]
        if missing:
            raise PlanError(
                f"Results of {len(missing)} branches are missing, the first {missing[0]}. All parts of a plan are "
                "merged together. Run the parts that lack."
            )
        return {key: found[key] for key in self.keys()}

    def _keys(self, sample: Any) -> list[Key]:
        name = getattr(sample, "seed", None)
        return [(name, seed, branch.name) for seed in self.seeds for branch in self.branches]

    def _cut(self, where: slice) -> "Plan":
        return replace(self, samples=self.samples[where], costs=self.costs[where])

    def _run(self, sample: Any, branch: Branch, seed: int, encode: Callable[[Frames], Latents] | None) -> Run:
        return self.model.run_of(
            sample if branch.sample is None else branch.sample,
            seed=seed if branch.seed is None else branch.seed,
            interventions=tuple(branch.interventions),
            encode=encode,
            **self.settings,
        )

    def _rehearsed(self, sample: Any) -> tuple[int, int]:
        """What one sample costs; whatever its run would refuse is refused."""
        shape = self.model.loaded.denoiser.latents_shape(sample)
        # Seeds cost the same, unless a branch with a seed of its own is shared among them.
        seeds = self.seeds if any(branch.seed is not None for branch in self.branches) else self.seeds[:1]
        stand_in = Rehearsal(self.model.loaded.denoiser)
        forks = self._forks(sample, seeds, lambda _: torch.zeros(shape), lambda run: replace(run, denoiser=stand_in))
        with torch.no_grad():
            leaves, made = grow(list(forks.values()))
        naive = sum(event.model_calls for leaf in leaves.values() for event in leaf.events)
        return made * len(self.seeds) // len(seeds), naive * len(self.seeds) // len(seeds)

    def _forks(
        self, sample: Any, seeds: Sequence[int], encode: Callable[[Frames], Latents], by: Callable[[Run], Run]
    ) -> dict[tuple[int, str], Fork]:
        """The branches of one sample for the engine; those of one question and seed share their start."""
        starts, forks = {}, {}
        for seed in seeds:
            for branch in self.branches:
                run = by(self._run(sample, branch, seed, encode))
                origin = (id(run.samples[0]), run.seeds[0])
                if origin not in starts:
                    starts[origin] = self.model.start_of(run)
                donors = {donor: (seed, donor) for donor in branch.donors}
                forks[seed, branch.name] = Fork((seed, branch.name), run, starts[origin], (seed, CLEAN), donors)
        return forks


def grown_together(parts: Sequence[tuple[Plan, Any]]) -> Iterator[Grown]:
    """The trees of several samples, each of its own plan, grown side by side; then given one by one and let go.

    Args:
        parts: plans on one model with one number of steps and rows in a call, each with one of its samples.
    """
    planted = [made._forks(each, made.seeds, once_each(made.model.encode), lambda run: run) for made, each in parts]
    trees = [
        Tree(list(forks.values()), made.recorders, made.paired) for (made, _), forks in zip(parts, planted, strict=True)
    ]
    with torch.no_grad():
        forest = grow_forest(trees, parts[0][0].chunk)
    for (made, _), forks in zip(parts, planted, strict=True):
        leaves, calls = forest.pop(0)
        traces = {key: made.model.trace_of(fork.run, leaves[key], branch=key[1]) for key, fork in forks.items()}
        yield traces, calls


def plan(
    model: Model,
    samples: Iterable[Any],
    branches: Iterable[Branch],
    seeds: Iterable[int] = (0,),
    num_steps: int = 20,
    *,
    guidance: SupportsFloat | None = None,
    solver: str = "euler",
    schedule: str = "paper",
    shift: SupportsFloat | None = None,
    negative_prompt: str | None = None,
    recorders: Sequence[Any] = (),
    paired: Sequence[Any] = (),
    chunk: int | None = None,
    memory: int | None = None,
    encode: bool = True,
) -> Plan:
    """Plan the branches of samples and seeds; the clean branch is always among them.

    Args:
        model: a loaded model.
        samples: what it is asked; their seeds tell results apart, so they differ.
        branches: what is to be done otherwise.
        seeds: seeds of the noise.
        num_steps: N >= 1.
        guidance: classifier-free guidance, 1 for none; None for the model's own.
        solver: `euler`, `heun`, `unipc` or `pipeline`.
        schedule: `paper` or `pipeline`.
        shift: shift of the grid; None for the model's own.
        negative_prompt: prompt of the unconditional forward.
        recorders: folds over every branch.
        paired: folds over the clean run (first) and a branch (second) in step.
        chunk: rows in every model call; None for 1 on a CPU, where a branch then equals a rerun bit for bit, and as
            many as a model of this size gains from on an accelerator, see `scope.forest`.
        memory: budget in bytes for what `run` gives back; None for none.
        encode: whether the inputs of the first sample are encoded, since some refusals (of guidance, of a prompt) come
            only then; False where those of one with the same prompt and size have been.

    Raises:
        UserError: If anything cannot be run as asked; nothing has been computed then.
    """
    steps = whole_number("num_steps", num_steps, 1)
    names = ("num_steps", "guidance", "solver", "schedule", "shift", "negative_prompt")
    settings: dict[str, Any] = dict(
        zip(names, (steps, guidance, solver, schedule, shift, negative_prompt), strict=True)
    )
    drawn = _samples(samples)
    made = Plan(
        model=model,
        samples=drawn,
        branches=with_clean(branches),
        seeds=tuple(dict.fromkeys(whole_number("seed", seed) for seed in seeds)),
        settings=settings,
        recorders=tuple(recorders),
        paired=tuple(paired),
        chunk=rows_in_a_call(model, drawn[0]) if chunk is None else whole_number("chunk", chunk, 1),
        costs=(),
    )
    _check(made, memory, encode)
    return replace(made, costs=tuple(made._rehearsed(sample) for sample in made.samples))


def _samples(samples: Iterable[Any]) -> tuple[Any, ...]:
    given = tuple(samples)
    for sample in given:
        check_sample(sample)
    seeds = [getattr(sample, "seed", None) for sample in given]
    if not given or len(set(seeds)) < len(seeds):
        raise PlanError(
            f"A plan came with {len(given)} samples of the seeds {seeds}. Results are told apart by the sample's seed. "
            "Give at least one sample, and each a seed of its own."
        )
    return given


def _check(made: Plan, memory: int | None, encode: bool) -> None:
    """Refuse what the rehearsal does not see: layers, recorders, sizes, the budget."""
    if not made.seeds:
        raise PlanError("A plan came without seeds. It needs one at least. Give seeds=(0,).")
    if made.settings["solver"] == "heun" and any(branch.donors for branch in made.branches):
        raise PlanError("A swap came with solver 'heun'. It asks twice a step, donors once. Choose solver 'euler'.")
    for branch in made.branches:
        check_attached([*made.recorders, *made.paired], tuple(branch.interventions), made.model.num_layers)
    for sample in made.samples:
        _check_sizes(made, sample)
    if memory is not None and made.bytes() > memory:
        raise PlanError(
            f"The plan's traces take {made.bytes():,} bytes. The budget is {memory:,}. Plan fewer samples at "
            "a time, fewer branches or steps, or raise the budget."
        )
    run = made._run(made.samples[0], made.branches[0], made.seeds[0], None)
    for recorder in (*made.recorders, *made.paired):
        recorder.init(run.info)
    if encode:
        with torch.no_grad():
            run.denoiser.condition(run.samples, run.guidance, run.negative_prompt)


def _check_sizes(made: Plan, sample: Any) -> None:
    shape = made.model.loaded.denoiser.latents_shape(sample)
    for branch in made.branches:
        own = shape if branch.sample is None else made.model.loaded.denoiser.latents_shape(branch.sample)
        if own != shape:
            raise PlanError(
                f"Branch {branch.name!r} has a sample with latents {list(own)}. Those of the plan have {list(shape)}. "
                "Choose one of the same size."
            )


def _trace_bytes(model: Model, sample: Any, num_steps: int) -> int:
    return (3 * num_steps + 1) * math.prod(model.loaded.denoiser.latents_shape(sample)) * _BYTES
