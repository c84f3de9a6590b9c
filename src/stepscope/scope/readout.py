"""Knowledge and choice of a run, step by step, beside the two ideal observers.

    model          R, hull weights, multiplicity of its conditional clean estimates (a guided one is no posterior mean)
    state-matched  what the observer believes when shown the model's own latents x_k
    rollout        what the observer believes when it denoises by itself from the model's own noise

Nothing is decoded.  Cost: the encoding of all solutions once a sample (`encode_solutions`), then dot products.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.analysis import (
    commitment_step,
    hull_coordinates,
    ideal_observer,
    knowledge,
    knowledge_step,
    multiplicity,
    observer_rollout,
    read_out,
    separation,
    signal_to_noise,
)
from stepscope.errors import BadInputError
from stepscope.scope.model import Model
from stepscope.scope.trace import Trace
from stepscope.shapes import Candidates, Latents, WeightsPerStep

__all__ = ["Reading", "Solutions", "encode_solutions", "read"]

PerStep = Float64[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class Solutions:
    """What is known about a sample, in a model's latents.

    Attributes:
        candidates: every valid solution, [S, C, F, H, W].
        still: the first frame held still, [C, F, H, W].
    """

    candidates: Candidates
    still: Latents


@dataclass(frozen=True, eq=False)
class Reading:
    """What a run knew and chose at each of its N steps, and what the ideal observers would have.

    Attributes:
        signal_to_noise: the observer's clock, [N].
        knowledge: R of the model, [N]; 0 inside the hull of the solutions, 1 as far as the still video.
        weights: hull weights of the model, [N, S].
        multiplicity: how many solutions these weights are spread over, [N].
        observer_weights: of the state-matched observer, [N, S].
        observer_knowledge: R of the state-matched observer, [N]; 0 but for rounding.
        observer_multiplicity: [N].
        rollout_weights: of the seed-matched observer, [N, S].
        rollout_multiplicity: [N].
        final_knowledge: R of the result.
        final_weights: hull weights of the result, [S].
    """

    signal_to_noise: PerStep
    knowledge: PerStep
    weights: WeightsPerStep
    multiplicity: PerStep
    observer_weights: WeightsPerStep
    observer_knowledge: PerStep
    observer_multiplicity: PerStep
    rollout_weights: WeightsPerStep
    rollout_multiplicity: PerStep
    final_knowledge: float
    final_weights: Float64[np.ndarray, " S"]

    @property
    def answers(self) -> tuple[int | None, ...]:
        """Which solution each clean estimate shows by the latent read-out, None for none."""
        return tuple(read_out(row, r) for row, r in zip(self.weights, self.knowledge, strict=True))

    @property
    def final_answer(self) -> int | None:
        """Which solution the result shows by the latent read-out."""
        return read_out(self.final_weights, self.final_knowledge)

    @property
    def commitment_step(self) -> int | None:
        """When the model's choice was made; None if never."""
        return commitment_step(self.weights)

    @property
    def knowledge_step(self) -> int | None:
        """When the model knew; None if never."""
        return knowledge_step(self.knowledge)

    @property
    def observer_commitment_step(self) -> int | None:
        """When the state-matched observer's choice was made; None if never."""
        return commitment_step(self.observer_weights)

    @property
    def rollout_commitment_step(self) -> int | None:
        """When the seed-matched observer's choice was made; None if never."""
        return commitment_step(self.rollout_weights)


def encode_solutions(model: Model, sample: Any) -> Solutions:
    """Encode all that is known about a sample; do it once for all its seeds.

    Raises:
        BadInputError: If the sample has no solutions.
    """
    solutions = getattr(sample, "solutions", ())
    if not len(solutions):
        raise BadInputError(
            "The sample came without solutions. Knowledge and choice are measured against all valid solution videos. "
            "Take a sample of a task that lists them."
        )
    still = np.repeat(sample.first_frame[None], sample.num_frames, axis=0)
    return Solutions(torch.stack([model.encode(frames) for frames in solutions]), model.encode(still))


def read(trace: Trace, solutions: Solutions) -> Reading:
    """Read knowledge and choice off a trace.

    Raises:
        BadInputError: If the solutions are no latents of the run's shape, or the still video is one of them.
    """
    candidates, still, sigmas = solutions.candidates, solutions.still, trace.sigmas
    if candidates.shape[1:] != trace.latents.shape[1:]:
        raise BadInputError(
            f"The solutions came as latents {list(candidates.shape[1:])} for a run of {list(trace.latents.shape[1:])}. "
            "They must have the same shape. Choose a sample of the size and number of frames that the model makes."
        )
    beliefs, observer_weights = ideal_observer(trace.latents[:-1], sigmas[:-1], candidates)
    rollout = observer_rollout(trace.latents[0], sigmas, candidates)
    weights, distances = hull_coordinates(trace.cond_estimates, candidates, still)
    final_weights, final_distance = hull_coordinates(trace.latents[-1], candidates, still)
    return Reading(
        signal_to_noise=signal_to_noise(sigmas[:-1], separation(candidates, still)),
        knowledge=np.asarray(distances),
        weights=weights,
        multiplicity=np.asarray(multiplicity(weights)),
        observer_weights=observer_weights,
        observer_knowledge=np.asarray(knowledge(beliefs, candidates, still)),
        observer_multiplicity=np.asarray(multiplicity(observer_weights)),
        rollout_weights=rollout.weights,
        rollout_multiplicity=np.asarray(multiplicity(rollout.weights)),
        final_knowledge=float(final_distance),
        final_weights=final_weights,
    )
