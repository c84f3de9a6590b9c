"""What happened in a run, in two sentences that are true of its numbers and say nothing else.

    chosen from step k      weight of the candidate the model ended on ≥ 0.9 from k to the last step
    known from step k       R ≤ 0.1 from k to the last step
    settled from step k     squared distance to the last clean estimate ≤ 0.1 of that at step 0, from k on
    open                    a second candidate held ≥ 0.25 at some step before the choice

A threshold that is never reached for good is said to be never reached (censored); it is not replaced by the last step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepscope.report.series import Points

__all__ = ["CHOSEN", "KNOWN", "OPEN", "SETTLED", "Facts", "detail", "from_here_on", "headline", "letter"]

CHOSEN, KNOWN, OPEN, SETTLED = 0.9, 0.1, 0.25, 0.1


@dataclass(frozen=True)
class Facts:
    """The numbers that the sentences are made of.

    Attributes:
        num_steps: N.
        weights: The model's weight curve of each candidate, points [step, weight]; empty without candidates.
        observer: The state-matched observer's weight curves, likewise.
        knowledge: The model's R curve; empty when not measured.
        settling: Squared distance to the last clean estimate, relative to step 0.
        success: Of the result; None when unscored or without a task.
        progress: Of the result, 0–1; None without a task.
    """

    num_steps: int
    weights: Sequence[Points] = ()
    observer: Sequence[Points] = ()
    knowledge: Points = ()
    settling: Points = ()
    success: bool | None = None
    progress: float | None = None

    @property
    def final_candidate(self) -> int | None:
        """Return the candidate with the largest weight at the last measured step."""
        return _heaviest(self.weights)

    @property
    def choice_step(self) -> int | None:
        """Return the step from which the final candidate holds `CHOSEN` for good; None when never."""
        return _choice_step(self.weights)

    @property
    def knowledge_step(self) -> int | None:
        """Return the step from which R stays at or below `KNOWN`; None when never."""
        return from_here_on(self.knowledge, lambda r: r <= KNOWN)


def from_here_on(points: Points, holds: Callable[[int | float], bool]) -> int | None:
    """Return the first step from which a condition holds at every later point; None when it fails at the end."""
    first = None
    for step, value in reversed(points):
        if not holds(value):
            break
        first = int(step)
    return first


def letter(candidate: int) -> str:
    """Name a candidate: A, B, …, Z, then #27."""
    return chr(ord("A") + candidate) if candidate < 26 else f"#{candidate + 1}"


def headline(facts: Facts) -> str:
    """Return one line: how the answer came about, and whether it is right."""
    if len(facts.weights) > 1:
        return f"{_choice(facts)} {_ending(facts)}".strip()
    if facts.knowledge:
        return f"{_discovery(facts)} {_ending(facts)}".strip()
    return f"{_settling(facts)} {_ending(facts)}".strip()


def detail(facts: Facts) -> str:
    """Return the second line: knowledge in numbers, and the observer beside the choice."""
    return " ".join(filter(None, (_knowledge_line(facts), _observer_line(facts))))


def _choice(facts: Facts) -> str:
    chosen, step = facts.final_candidate, facts.choice_step
    assert chosen is not None
    if step is None:
        return f"The model never chose for good: {_shares(facts.weights)} at the last step."
    if step == 0:
        return f"The model had chosen solution {letter(chosen)} at the very first step."
    if not _was_open(facts.weights, step):
        return f"The model settled on solution {letter(chosen)} at step {step} of {facts.num_steps}."
    several = "Both solutions" if len(facts.weights) == 2 else "Several solutions"
    return f"{several} stayed open until step {step}; then the model chose {letter(chosen)}."


def _discovery(facts: Facts) -> str:
    step = facts.knowledge_step
    if step is None:
        return "The model never reached the solution for good."
    if step == 0:
        return "The model knew the solution at the very first step."
    return f"The model reached the solution at step {step} of {facts.num_steps} and kept it."


def _settling(facts: Facts) -> str:
    step = from_here_on(facts.settling, lambda d: d <= SETTLED)
    if step is None:
        return f"A video takes shape over {facts.num_steps} denoising steps."
    return f"By step {step} of {facts.num_steps}, nine tenths of the way to the final video were done."


def _ending(facts: Facts) -> str:
    if facts.success is None:
        return ""
    if facts.success:
        return "Solved."
    return "Not solved." if facts.progress is None else f"Not solved: {round(100 * facts.progress)}% of the way."


def _knowledge_line(facts: Facts) -> str:
    if not facts.knowledge:
        return ""
    first, last = facts.knowledge[0][1], facts.knowledge[-1][1]
    return f"Its distance to the valid solutions, R, went from {first:.2f} at the first step to {last:.2f} at the last."


def _observer_line(facts: Facts) -> str:
    if len(facts.observer) < 2 or facts.choice_step is None:
        return ""
    step = _choice_step(facts.observer)
    if step is None:
        return "Reading the same latents, the ideal observer had not chosen at the last step."
    if step == 0:
        return "Reading the same latents, the ideal observer knew which one it would be at the first step."
    return f"Reading the same latents, the ideal observer had chosen at step {step}."


def _heaviest(weights: Sequence[Points]) -> int | None:
    last = [points[-1][1] if points else 0.0 for points in weights]
    return last.index(max(last)) if last else None


def _choice_step(weights: Sequence[Points]) -> int | None:
    heaviest = _heaviest(weights)
    return None if heaviest is None else from_here_on(weights[heaviest], lambda w: w >= CHOSEN)


def _was_open(weights: Sequence[Points], step: int) -> bool:
    by_step: dict[int | float, list[int | float]] = {}
    for points in weights:
        for at, value in points:
            by_step.setdefault(at, []).append(value)
    return any(sorted(values)[-2] >= OPEN for at, values in by_step.items() if at < step and len(values) > 1)


def _shares(weights: Sequence[Points]) -> str:
    return ", ".join(f"{letter(i)} holds {round(100 * points[-1][1])}%" for i, points in enumerate(weights) if points)
