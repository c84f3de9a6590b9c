"""The registry of claims: what stepscope tests about a model, fixed in code before any run.

    supported      the 95% interval of the value lies above delta, the smallest effect of interest
    contradicted   it lies below
    inconclusive   it holds delta, or the control failed or was not run
    not-tested     the model lacks what the claim is about; the reason is said

Each value is defined so that larger is more of what the claim says.  Experiments measure and emit; the verdict falls
here and nowhere else.  The claims are those of *Demystifying Video Reasoning* (arXiv 2603.16870), turned into numbers
that can come out against them.
"""

from dataclasses import asdict, dataclass
from operator import index
from typing import SupportsFloat, SupportsIndex

import numpy as np

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError, UnknownNameError

__all__ = ["Claim", "Verdict", "get", "ids", "verdict"]


@dataclass(frozen=True)
class Claim:
    """A statement that a number decides.

    Attributes:
        id: Its name.
        statement: What is claimed, one sentence.
        metric: The number that decides; larger is more of what is claimed.
        delta: Smallest effect of interest, in the units of the metric.
        control: What has to hold for the number to mean anything.
        bounds: Least and largest value that the metric can take in a puzzle; None where the puzzles decide.
    """

    id: str
    statement: str
    metric: str
    delta: float
    control: str
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Verdict:
    """What the evidence says about a claim; the fields of `claims.json`.

    Attributes:
        id: Name of the claim.
        statement: What is claimed.
        value: The measured number; None if not tested.
        ci95: Its 95% interval (low, high); None where there is none.
        n: Number of puzzles.
        control: What had to hold.
        control_passed: Whether it did; None if it was not run.
        verdict: "supported", "contradicted", "inconclusive" or "not-tested".
        why: The reason, one line.
    """

    id: str
    statement: str
    value: float | None
    ci95: tuple[float, float] | None
    n: int
    control: str
    control_passed: bool | None
    verdict: str
    why: str

    def as_json(self) -> dict[str, object]:
        """Return the fields by name, ready for JSON."""
        return {**asdict(self), "ci95": None if self.ci95 is None else list(self.ci95)}


_CLAIMS = (
    Claim(
        "cos-over-cof",
        "The model reasons along the denoising steps, not frame by frame.",
        "1 - A, A the share by which changing one latent frame moves later frames more than earlier ones in one step",
        0.5,
        "a denoiser built to work frame by frame scores below delta",
        (0.0, 2.0),
    ),
    Claim(
        "exploration-then-convergence",
        "Clean estimates begin spread over several solutions and end on one.",
        "multiplicity of the clean estimate at step 0 minus that at the last step, puzzles with several solutions",
        0.25,
        "weights on the solutions of another puzzle show no such fall",
    ),
    Claim(
        "excess-multiplicity",
        "The model keeps several candidates alive where the ideal observer has already chosen.",
        "share of all steps with model multiplicity >= 1.5 and state-matched observer <= 1.1, several solutions",
        0.05,
        "the observer's own estimates, read in the same way, show none",
        (0.0, 1.0),
    ),
    Claim(
        "middle-step-sensitivity",
        "Disturbing the middle steps hurts the answer most.",
        "loss of success in the middle third of the steps minus that in the outer two thirds",
        0.05,
        "the peak stays where it is when the boundary between two experts moves",
        (-1.0, 1.0),
    ),
    Claim(
        "superposition",
        "Early clean estimates overlay several answers more often than an ideal observer would.",
        "share of the first quarter of the steps with several candidates visible, model minus state-matched observer",
        0.05,
        "the results of the same runs, read in the same way, show none",
        (-1.0, 1.0),
    ),
    Claim(
        "working-memory",
        "The model holds on to an object while it is hidden.",
        "share of results with what was first shown minus share with what it was switched to at half of the steps",
        0.1,
        "switched from step 0 on, results are what they were switched to; unheeded, two decoys' looks come out alike",
        (-1.0, 1.0),
    ),
    Claim(
        "self-correction",
        "Wrong intermediate answers turn right more often than right ones turn wrong.",
        "share of runs with a finished wrong answer that turns right minus share with a right one that turns wrong",
        0.02,
        "the observer's rollout from the same noise shows no such surplus",
        (-1.0, 1.0),
    ),
    Claim(
        "perception-before-action",
        "The model finds the object before it plans the motion.",
        "step at which the motion is known minus step at which the objects are, model minus observer",
        1.0,
        "the rest of the scene, in which nothing has to move, shows no lag",
    ),
    Claim(
        "early-layers-global",
        "The first layers spread over the whole scene.",
        "energy inside over outside the task's objects, later three quarters of the layers minus the first",
        0.05,
        "masks of another puzzle show no difference",
    ),
    Claim(
        "middle-layers-objects",
        "The middle layers concentrate on the objects of the task.",
        "energy inside over outside the task's objects in the middle half of the layers, minus 1",
        0.05,
        "masks of another puzzle show no concentration",
    ),
    Claim(
        "late-layers-consolidate",
        "The last layers only consolidate an answer that earlier layers have reached.",
        "share of the fall of R through the layer lens that is done after three quarters of the layers",
        0.75,
        "the lens at the last layer is the model's own estimate",
    ),
    Claim(
        "decisive-layer",
        "One layer decides the answer more than the others do.",
        "flip rate of the layer chosen on one half of the puzzles, on the other half, minus the mean over layers",
        0.1,
        "swapping a run with itself flips nothing",
        (-1.0, 1.0),
    ),
    Claim(
        "frames-matter-little",
        "Fewer frames cost little success.",
        "success with half of the frames minus success with all of them",
        -0.05,
        "both frame counts are within the model's training range",
        (-1.0, 1.0),
    ),
    Claim(
        "compression-collapses-exploration",
        "Few-step models explore less.",
        "mean multiplicity of the first quarter of the noise levels, full number of steps minus four steps",
        0.1,
        "the state-matched observer shows no such difference",
    ),
    Claim(
        "seed-ensemble-helps",
        "Merging seeds in early steps gives better answers for the same compute.",
        "success of the ensemble minus success of the best single-seed strategy at equal model calls",
        0.01,
        "merging copies of one seed changes nothing",
        (-1.0, 1.0),
    ),
    Claim(
        "ensemble-stabilises",
        "Merging seeds makes the answer depend less on the seed.",
        "variance of success over seeds within a puzzle, single minus ensemble",
        0.01,
        "merging copies of one seed changes nothing",
        (-1.0, 1.0),
    ),
    Claim(
        "shared-seed-bias",
        "One seed leans the same way on different puzzles.",
        "agreement of the chosen direction between puzzles with equal seeds minus that with different seeds",
        0.05,
        "seeds shuffled between puzzles show no surplus",
        (-1.0, 1.0),
    ),
    Claim(
        "early-commitment",
        "The answer is settled in the first half of the steps.",
        "share of all runs, censored ones included, committed before half of the steps, several solutions",
        0.5,
        "answers of another puzzle's candidates are not committed",
        (0.0, 1.0),
    ),
    Claim(
        "serial-depth-gap",
        "Success falls with the number of dependent steps that a puzzle needs, beyond its length.",
        "success on the length-matched control without dependencies minus success on the dependent puzzles",
        0.05,
        "both have equal lengths",
        (-1.0, 1.0),
    ),
)
_BY_ID = {claim.id: claim for claim in _CLAIMS}


def ids() -> tuple[str, ...]:
    """List the names of all claims."""
    return tuple(_BY_ID)


def get(id: str) -> Claim:
    """Return a claim by name.

    Raises:
        UnknownNameError: If there is none.
    """
    if id not in _BY_ID:
        raise UnknownNameError.of("claim", id, ids())
    return _BY_ID[id]


def verdict(
    id: str,
    value: SupportsFloat | None,
    ci95: Values | None,
    n: SupportsIndex,
    control_passed: bool | np.bool_ | None,
    reason: str = "the model or the data lack what it is about",
) -> Verdict:
    """Hold evidence against a claim.

    Args:
        id: Name of the claim.
        value: The measured number, in the units of the claim's metric; None if it could not be measured.
        ci95: Its 95% interval (low, high); None if there is too little data for one.
        n: Number of puzzles.
        control_passed: Whether the claim's control held; None if it was not run.
        reason: Why there is no value.

    Raises:
        UnknownNameError: If there is no such claim.
        BadInputError: If the interval is not one.
    """
    claim = get(id)
    measured = None if value is None else float(value)
    interval = None if ci95 is None else _interval(id, ci95)
    passed = None if control_passed is None else bool(control_passed)
    word, why = _judge(claim, measured, interval, passed, reason)
    return Verdict(id, claim.statement, measured, interval, index(n), claim.control, passed, word, why)


def _interval(id: str, ci95: Values) -> tuple[float, float]:
    ends = float64(ci95)
    if ends.shape != (2,) or not ends[0] <= ends[1]:
        raise BadInputError(
            f"The interval {ends.tolist()} came for claim {id!r}. Allowed is (low, high), low <= high. Measure again."
        )
    return float(ends[0]), float(ends[1])


def _judge(
    claim: Claim,
    value: float | None,
    interval: tuple[float, float] | None,
    control_passed: bool | None,
    reason: str,
) -> tuple[str, str]:
    if value is None:
        return "not-tested", f"Not measured: {reason}."
    if not control_passed:
        return "inconclusive", f"The control {'was not run' if control_passed is None else 'failed'}: {claim.control}."
    if interval is None:
        return "inconclusive", "There is too little data for an interval."
    low, high = interval
    if low > claim.delta:
        return "supported", f"The interval [{low:.3g}, {high:.3g}] lies above {claim.delta:g}."
    if high < claim.delta:
        return "contradicted", f"The interval [{low:.3g}, {high:.3g}] lies below {claim.delta:g}."
    return "inconclusive", f"The interval [{low:.3g}, {high:.3g}] holds {claim.delta:g}."
