"""What an ensemble may merge, its controls, and the branches that carry them out.

    recipe          what blocks put out, third quarter of the depth: the published kind
    copies          the recipe with copies of the lead for donors: must change nothing, bit for bit
    matched, pooled the recipe with lengths kept; with nothing but the mean over tokens
    all-layers, random-layers, self-attention, feed-forward
    velocity, clean-estimate, latents      without layers; latents, at step 0 the noise, keep their length

The pool of seeds is cut into disjoint groups of `size`: a *lead*, and the donors that are merged into it.  The recipe
runs in every group, copies and rivals in the first.  Test seeds are the first 60 bits of sha256(options, number of
steps, place in the pool), so that an option that is changed after looking changes the seeds as well.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stepscope.interventions import AbstractMerge, MergeEstimates, MergeLatents, MergeLayers
from stepscope.scope import Branch
from stepscope.store import canonical_json

__all__ = ["COPIES", "LAYERED", "RECIPE", "VARIANTS", "branches_of", "leads", "merged", "pool_name", "pool_seeds"]

RECIPE, COPIES = "recipe", "copies"

LAYERED: Mapping[str, AbstractMerge] = {
    RECIPE: MergeLayers(),
    COPIES: MergeLayers(),
    "matched": MergeLayers(matched=True),
    "pooled": MergeLayers(pooled=True),
    "all-layers": MergeLayers(depth=(0.0, 1.0)),
    "random-layers": MergeLayers(scatter=0),
    "self-attention": MergeLayers(site="self_attn"),
    "feed-forward": MergeLayers(site="mlp"),
}
"""Those that need layers."""

VARIANTS: Mapping[str, AbstractMerge] = {
    **LAYERED,
    "velocity": MergeEstimates(of="velocity"),
    "clean-estimate": MergeEstimates(of="clean-estimate"),
    "latents": MergeLatents(matched=True),
}
"""Every variant by name; for a model without layers the recipe merges clean estimates."""


def pool_seeds(options: Mapping[str, Any], num_steps: int, count: int) -> list[int]:
    """The test seeds of a frozen strategy."""
    frozen = canonical_json({"options": options, "num_steps": num_steps})
    return [int(hashlib.sha256(f"{frozen}/{place}".encode()).hexdigest()[:15], 16) for place in range(count)]


def leads(pool: int, size: int) -> range:
    """The places in the pool that lead a group."""
    return range(0, pool - size + 1, size)


def pool_name(place: int) -> str:
    """Name of the branch of a place in the pool."""
    return f"pool-{place}"


def merged(variant: str, lead: int) -> str:
    """Name of the branch of a variant in the group of a lead."""
    return f"{variant}-{lead}"


def branches_of(
    variants: Sequence[str], seeds: Sequence[int], size: int, steps: Sequence[int], layered: bool
) -> Iterator[Branch]:
    """The pool, then every variant in its groups, copies with the copies that they need.

    Args:
        variants: names of `VARIANTS`; recipe and copies are always among what is run.
        seeds: of the pool.
        size: of a group.
        steps: at which seeds are merged.
        layered: whether the model has layers.
    """
    for place, seed in enumerate(seeds):
        yield Branch(pool_name(place), seed=seed)
    yield from (Branch(_twin(place), seed=seeds[0]) for place in range(1, size))
    for lead in leads(len(seeds), size):
        others = [pool_name(place) for place in range(lead + 1, lead + size)]
        for variant in (RECIPE,) if lead else dict.fromkeys((RECIPE, COPIES, *variants)):
            donors = map(_twin, range(1, size)) if variant == COPIES else others
            edit = replace(_merge(variant, layered), donors=tuple(donors), steps=tuple(steps))  # type: ignore[call-arg]
            yield Branch(merged(variant, lead), [edit], seed=seeds[lead])


def _merge(variant: str, layered: bool) -> AbstractMerge:
    by_default = variant in (RECIPE, COPIES)
    return MergeEstimates(of="clean-estimate") if by_default and not layered else VARIANTS[variant]


def _twin(place: int) -> str:
    """Name of a copy of the first lead."""
    return f"twin-{place}"
