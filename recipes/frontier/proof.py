"""The proof that the batched way is the published one: the same answers as `stepscope.generate`, puzzle by puzzle.

Single runs, the recipe, an ensemble of each kind, pruning and best-of-K by what the model alone knows: of each, the
seed that is the answer, the latents, and success.  Latents differ by rounding alone (batches, a softmax over padding
that is counted instead of computed).
"""

from pathlib import Path

import numpy as np
import torch

import cells
from advance import Runs
from batched import Batched, noise_of
from bench import drawn
from check_codec import to_clip
from menu import Ensemble
from outcomes import _distances, _multiplicity
from stepscope.interventions import MergeEstimates, MergeLatents, MergeLayers
from stepscope.scope import Generation, generate, load_model
from stepscope.tasks import get as get_task

__all__ = ["prove"]

CASES = ("maze-7", "two-9", "two-11", "find-4")
TOLERANCE = 5e-3  # of the largest difference of two results, in standardised latents
MERGES = (
    MergeLayers(), MergeLayers(site="mlp"), MergeLayers(site="self_attn", matched=True), MergeEstimates(of="velocity"),
    MergeEstimates(of="clean-estimate"), MergeLatents(matched=True),
)  # fmt: skip
NUM_STEPS, SEEDS = 2, (11, 12, 13)


def prove(batched: Batched, folder: Path, count: int = 8) -> None:
    """Compare on `count` puzzles, and stop at the first that differs."""
    model = load_model(str(folder), device=str(batched.device), dtype="float32")
    by_name = {cell[0]: cell for cell in cells.CELLS}
    rows = drawn([(by_name[CASES[i % len(CASES)]], 5_000_000 + i) for i in range(count)], 1)
    samples = [cells.sample_of(row) for row in rows]
    runs, still = _runs(batched, samples, [row["prompt"] for row in rows])
    ways = {place: runs.way(place, NUM_STEPS) for place in range(len(SEEDS))}
    pools = {
        "best-of": [way.latents[-1] for way in ways.values()],
        "prune": [way.estimate(0) for way in ways.values()],
    }
    worst = 0.0
    for merge in MERGES:
        mine = runs.merged(Ensemble(NUM_STEPS, len(SEEDS), merge)).latents[-1]
        for i, sample in enumerate(samples):
            made = generate(model, sample, strategy="ensemble", seeds=SEEDS, num_steps=NUM_STEPS, merge=merge)
            worst = max(worst, _apart(batched, mine[i], made, sample, f"ensemble {merge}"))
    for strategy, seen in pools.items():
        for verifier, values in {
            "multiplicity": _multiplicity(seen, still),
            "agreement": -_distances(seen).sum(2),
        }.items():
            for i, sample in enumerate(samples):
                made = generate(
                    model, sample, strategy=strategy, seeds=SEEDS, num_steps=NUM_STEPS, verifier=verifier,
                    **({"look": 1} if strategy == "prune" else {}),
                )  # fmt: skip
                place = int(np.argmax(values[i]))
                if made.seed != SEEDS[place]:
                    raise SystemExit(
                        f"{strategy} by {verifier}, puzzle {i}: seed {SEEDS[place]} here, {made.seed} there."
                    )
                worst = max(worst, _apart(batched, ways[place].latents[-1][i], made, sample, f"{strategy} {verifier}"))
    print(
        f"{count} puzzles, {len(MERGES) + 4} strategies: same seeds, same success, latents within {worst:.1e}",
        flush=True,
    )


@torch.no_grad()
def _runs(batched: Batched, samples: list, prompts: list[str]) -> tuple[Runs, torch.Tensor]:
    first = to_clip(np.stack([sample.first_frame for sample in samples])[:, None], batched.device)
    noise = torch.stack([noise_of([seed] * len(samples), batched.shape, batched.device) for seed in SEEDS])
    runs = Runs(batched, noise, batched.condition(first), batched.prompts(prompts))
    return runs, batched.encode(first.expand(-1, -1, batched.card.num_frames, -1, -1))


def _apart(batched: Batched, mine: torch.Tensor, made: Generation, sample: object, what: str) -> float:
    """The largest difference of two results; refuses what is another answer."""
    apart = (mine.cpu() - made.trace.latents[-1].cpu()).abs().max().item()
    task = get_task(sample.task)  # type: ignore[attr-defined]
    verdicts = [
        task.score(frames, sample).success for frames in (batched.decode(mine[None])[0].cpu().numpy(), made.frames)
    ]
    if apart > TOLERANCE or verdicts[0] != verdicts[1]:
        raise SystemExit(f"{what}: results differ by {apart:.2g}, success {verdicts[0]} here, {verdicts[1]} there.")
    return apart
