"""What is put to the test: strategies, puzzles, and seeds that follow from both.

A *frontier* is frozen before a single test puzzle is drawn: its JSON says which single runs, pools and ensembles are
run on which cells, and which strategies are the ones that were chosen.  The seeds of test puzzles and of their noise
are the first 60 bits of sha256(that JSON, purpose, number), so that whatever is changed after looking changes the test.
Candidates are compared on a validation split of its own, whose seeds follow from the candidates' JSON in the same way.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cells import CELLS, Cell
from mixtures import MIXTURES
from stepscope.interventions import AbstractMerge, MergeEstimates, MergeLatents, MergeLayers, from_json
from stepscope.store import canonical_json

__all__ = ["FAMILIES", "Ensemble", "Frontier", "candidates", "controls", "families_of"]

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "maze": ("maze-7", "maze-9-long", "maze-11-longer", "maze-11-longest"),
    "maze-two-goals": ("two-9", "two-11"),
    "find-shape": ("find-4", "find-6"),
    "tic-tac-toe": ("tic-tac-toe", "tic-tac-toe-implied"),
    "size-pattern": ("size-pattern", "size-pattern-two"),
    "rotate": ("rotate", "rotate-45-other"),
    "occlusion": ("occlusion", "occlusion-crossing"),
    "bounce": ("bounce", "bounce-4"),
}
"""The cells of each family: its default dials, and the hard ones, where something is left to gain."""

SINGLES = (1, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Ensemble:
    """Seeds merged into the first of them.

    Attributes:
        num_steps: N.
        size: seeds, the lead included.
        merge: what is merged, and when; its donors are filled in here.
    """

    num_steps: int
    size: int
    merge: Any

    @property
    def calls(self) -> int:
        """Model calls, as `stepscope.generate` counts them."""
        last = max(self.merge.steps) + 1
        return self.size * last + self.num_steps - last

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"num_steps": self.num_steps, "size": self.size, "merge": self.merge.to_json()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Ensemble":
        """What `to_json` wrote."""
        return cls(said["num_steps"], said["size"], from_json(said["merge"]))


@dataclass(frozen=True)
class Frontier:
    """All that is run on a puzzle.

    Attributes:
        weights_hash: of the model.
        families: the families with their cells.
        count: puzzles a family.
        singles: numbers of steps of the single runs.
        pools: numbers of steps of the runs that best-of-K and pruning choose from.
        pool: seeds of those.
        ensembles: by name.
        chosen: what validation chose: the ensemble, and (strategy, K, N, verifier) of a selection.
    """

    weights_hash: str
    families: Mapping[str, tuple[str, ...]]
    count: int
    singles: tuple[int, ...]
    pools: tuple[int, ...]
    pool: int
    ensembles: Mapping[str, Ensemble]
    chosen: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        told = {name: value for name, value in vars(self).items() if name != "ensembles"}
        return {**told, "ensembles": {name: each.to_json() for name, each in self.ensembles.items()}}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Frontier":
        """What `to_json` wrote."""
        ensembles = {name: Ensemble.from_json(each) for name, each in said["ensembles"].items()}
        whole = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
        return cls(**{**whole, "ensembles": ensembles})

    @property
    def names(self) -> list[str]:
        """The videos that are decoded and scored: single runs, the rest of the pool, what pruning sees, ensembles."""
        return [
            *(f"single-{count}" for count in self.singles),
            *(f"pool-{count}-{place}" for count in self.pools for place in range(1, self.pool)),
            *(f"look-{place}" for place in range(self.pool)),
            *self.ensembles,
        ]

    @property
    def digest(self) -> str:
        """sha256 of its JSON."""
        return hashlib.sha256(canonical_json(json.loads(json.dumps(self.to_json()))).encode()).hexdigest()

    def seed(self, purpose: str, number: int) -> int:
        """A seed that follows from all of this."""
        return int(hashlib.sha256(f"{self.digest}/{purpose}/{number}".encode()).hexdigest()[:15], 16)

    def jobs(self) -> list[tuple[Cell, int]]:
        """Cells and seeds of its puzzles; families and cells in turn, so that any beginning holds some of all."""
        by_name = {cell[0]: cell for cell in CELLS}
        return [
            (by_name[cells[number % len(cells)]], self.seed(family, number))
            for number in range(self.count)
            for family, cells in self.families.items()
        ]

    def noise_seeds(self, puzzle_seed: int) -> list[int]:
        """The pool's seeds of a puzzle."""
        return [self.seed(f"noise/{puzzle_seed}", place) for place in range(self.pool)]


def families_of(edition: int) -> dict[str, tuple[str, ...]]:
    """The families that an edition was trained on."""
    known = {name for name, *_ in MIXTURES[edition]}
    return {family: cells for family, cells in FAMILIES.items() if family in known}


def candidates(weights_hash: str, edition: int, count: int) -> Frontier:
    """What is compared on the validation split."""
    merges: dict[str, AbstractMerge] = {
        "recipe": MergeLayers(),
        "first-quarter": MergeLayers(depth=(0, 0.25)),
        "second-quarter": MergeLayers(depth=(0.25, 0.5)),
        "last-quarter": MergeLayers(depth=(0.75, 1)),
        "all-layers": MergeLayers(depth=(0, 1)),
        "matched": MergeLayers(matched=True),
        "pooled": MergeLayers(pooled=True),
        "self-attention": MergeLayers(site="self_attn"),
        "feed-forward": MergeLayers(site="mlp"),
        "velocity": MergeEstimates(of="velocity"),
        "clean-estimate": MergeEstimates(of="clean-estimate"),
        "latents": MergeLatents(matched=True),
    }
    ensembles = {
        f"{name}-{size}-of-{num_steps}": Ensemble(num_steps, size, merge)
        for size, num_steps in ((2, 2), (3, 4))
        for name, merge in merges.items()
    }
    families = families_of(edition)
    return Frontier(weights_hash, families, count, SINGLES, (2, 4), 8, ensembles, {})


def controls(num_steps: int, size: int) -> dict[str, Ensemble]:
    """What stands beside the chosen ensemble: the published recipe and its controls."""
    merges: dict[str, AbstractMerge] = {
        "recipe": MergeLayers(),
        "all-layers": MergeLayers(depth=(0, 1)),
        "random-layers": MergeLayers(scatter=0),
        "clean-estimate": MergeEstimates(of="clean-estimate"),
        "velocity": MergeEstimates(of="velocity"),
        "latents": MergeLatents(matched=True),
    }
    return {f"{name}-{size}-of-{num_steps}": Ensemble(num_steps, size, merge) for name, merge in merges.items()}
