"""Memory under a switch: is an answer kept when what it came from is taken out of the model's input from step k on?

    picture-switched   the first frame shows the same scene with a decoy's shapes   puzzles with hidden shapes
    picture-emptied    the first frame shows the same scene without any shape       puzzles with hidden shapes
    prompt-switched    the same picture is asked the other question                 puzzles whose prompt decides

    kept       share of what comes out that is what the run was first shown
    followed   share that is what it was shown from step k on
    reader     weight of the first answer for the ideal observer who knows both, and the latents of step k alone

Steps are 0, N/4, N/2, 3N/4 of N.  A run whose memory is its input follows every switch; one whose memory is its latents
follows the switch at step 0, where there is nothing to remember, and keeps what it has once the reader could read it.
A switch at step 0 that leaves the result where it was is not heeded: such a model has its answer from elsewhere (a
denoiser in closed form, which is given the solutions), and says nothing here.

Cost: N + 3N/4 + N/2 + N/4 model calls a kind, two kinds with hidden shapes, one with a prompt; they share the clean
run's steps.  One encoding of each answer to the other prompt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepscope.analysis import candidate_weights, ideal_observer, knowledge, read_out
from stepscope.executors import Puzzle
from stepscope.experiments.commitment.memory import Known, first_frame, has_screen, recall
from stepscope.interventions import SwitchCondition, SwitchPrompt
from stepscope.scope import Branch, Trace
from stepscope.shapes import Candidates, Latents
from stepscope.tasks import find_shape, tic_tac_toe
from stepscope.tasks import get as get_task

__all__ = [
    "EMPTIED",
    "PROMPT",
    "SWITCHED",
    "asked_otherwise",
    "branch_name",
    "decisive",
    "middle",
    "switch_steps",
    "switched",
    "switches",
]

SWITCHED, EMPTIED, PROMPT = "picture-switched", "picture-emptied", "prompt-switched"
_SHOWN_INSTEAD = {SWITCHED: "other", EMPTIED: "nothing"}

_HEEDED = 0.1
"""How far a switch at step 0 has to move the result to count as heeded, as a share of the way to the nearest answer to
what was switched to.  On an accelerator two equal runs beside other company differ by rounding: by up to 2e-2 of their
velocities in bfloat16, which in latents three times as long as that way is 6% of it.  A result that follows the switch
moves all of the way, and one that follows with one shape of four still by half."""

Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Rival:
    """What runs are switched to: its videos, and the name under which each shape shows it; None of a prompt."""

    videos: Candidates
    look: str | None


def switch_steps(num_steps: int) -> list[int]:
    """The steps from which on inputs are switched."""
    return sorted({0, num_steps // 4, num_steps // 2, 3 * num_steps // 4})


def middle(steps: Sequence[int]) -> int:
    """The place in `switch_steps` of the switch on which the claim rests: at half of the steps."""
    return len(steps) // 2


def switches(sample: Any, num_steps: int) -> list[Branch]:
    """The branches in which the input of a puzzle is switched; none where nothing is hidden and no prompt decides."""
    edits: list[tuple[str, Any, dict[str, Any]]] = []
    if has_screen(sample):
        edits += [
            (kind, SwitchCondition, {"first_frame": first_frame(sample, look)}) for kind, look in _SHOWN_INSTEAD.items()
        ]
    other = asked_otherwise(sample)
    if other is not None:
        edits += [(PROMPT, SwitchPrompt, {"prompt": other.prompt})]
    return [
        Branch(branch_name(kind, step), [switch(steps=range(step, num_steps), **fields)])
        for kind, switch, fields in edits
        for step in switch_steps(num_steps)
    ]


def asked_otherwise(sample: Any) -> Any | None:
    """The same picture under another prompt that makes another answer right; None if there is none."""
    task, state = getattr(sample, "task", None), getattr(sample, "state", None)
    if task == "find-shape" and state is not None and sample.prompt != find_shape.ODD_PROMPT:
        return find_shape.with_prompt(sample)
    if task == "tic-tac-toe" and state is not None and sample.prompt != tic_tac_toe.PROMPTS["implied"]:
        (prompt,) = set(tic_tac_toe.PROMPTS.values()) - {sample.prompt, tic_tac_toe.PROMPTS["implied"]}
        other = get_task(task).from_state(state, prompt, num_frames=sample.num_frames, seed=sample.seed)  # type: ignore[attr-defined]
        return other if other.solutions else None
    return None


def switched(puzzle: Puzzle, lined: Known | None) -> list[Facts]:
    """What became of the switches of each run: [run][kind]{"heeded", "steps", "kept", "followed", "reader", "shown"}.

    Args:
        puzzle: A puzzle, denoised with the branches of `switches`.
        lined: Its line-up, see `memory.known`; None where no shape is hidden.
    """
    rivals: dict[str, _Rival] = {}
    if lined is not None:
        rivals |= {kind: _Rival(lined.video(look)[None], look) for kind, look in _SHOWN_INSTEAD.items()}
    other = asked_otherwise(puzzle.sample)
    if other is not None:
        rivals[PROMPT] = _Rival(torch.stack([puzzle.model.encode(video) for video in other.solutions]), None)
    return [{kind: _outcome(puzzle, runs, kind, rivals[kind], lined) for kind in rivals} for runs in puzzle.runs]


def decisive(found: Mapping[str, Facts]) -> Facts | None:
    """The switch on which the claim rests: of the picture, else of the prompt; None if none was heeded."""
    return next((found[kind] for kind in (SWITCHED, PROMPT) if kind in found and found[kind]["heeded"]), None)


def _outcome(puzzle: Puzzle, runs: Mapping[str, Trace], kind: str, rival: _Rival, lined: Known | None) -> Facts:
    """One kind of switch in one run."""
    clean = runs["clean"]
    steps = switch_steps(clean.num_steps)
    results = [runs[branch_name(kind, step)].latents[-1] for step in steps]
    shown = [_shown(result, puzzle, rival, lined) for result in results]
    both = torch.cat([puzzle.solutions.candidates, rival.videos])
    first = len(puzzle.solutions.candidates)
    reader = [ideal_observer(clean.latents[step], float(clean.sigmas[step]), both)[1][:first].sum() for step in steps]
    return {
        "heeded": _is_heeded(results[0] - clean.latents[-1], puzzle.solutions.candidates, rival),
        "steps": steps,
        "kept": [looks.count("same") / len(looks) for looks in shown],
        "followed": [looks.count(rival.look or "other") / len(looks) for looks in shown],
        "reader": [float(weight) for weight in reader],
        "shown": [", ".join(looks) for looks in shown],
    }


def _is_heeded(moved: Latents, own: Candidates, rival: _Rival) -> bool:
    """Whether a result was moved by more than rounding would."""
    way = torch.cdist(own.double().flatten(1), rival.videos.double().flatten(1)).min()
    return bool(moved.double().norm() > _HEEDED * way)


def _shown(result: Latents, puzzle: Puzzle, rival: _Rival, lined: Known | None) -> Sequence[str]:
    """What comes out: the look of each hidden shape, or which prompt is answered ("same", "other" or "neither")."""
    if rival.look is not None:
        return [shape["emerging"][0] for shape in recall(result[None], lined)]
    both, first = torch.cat([puzzle.solutions.candidates, rival.videos]), len(puzzle.solutions.candidates)
    answer = read_out(candidate_weights(result, both), float(knowledge(result, both, puzzle.solutions.still)))
    return ["neither" if answer is None else "same" if answer < first else "other"]


def branch_name(kind: str, step: int) -> str:
    """Name of the branch that is switched from a step on."""
    return f"{kind}-{step}"
