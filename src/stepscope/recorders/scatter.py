"""Mean and scatter of rows that come in parts, as if they had come at once.

    scatter = sum (x - mean)(x - mean)'
    of a + b = n rows:   mean = mean_a + d b/n,   scatter = scatter_a + scatter_b + d d' ab/n,   d = mean_b - mean_a

In float64 throughout, whatever the rows are in.  Cost a row of D numbers: D operations along the diagonal, D^2 for all.

Source: Chan, Golub, LeVeque 1979, *Updating formulae and a pairwise algorithm for computing sample variances*.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64

from stepscope.recorders.places import parts_of

__all__ = ["Scatter"]


@dataclass(frozen=True)
class Scatter:
    """What is known of the rows so far.

    Attributes:
        count: rows.
        mean: [D].
        scatter: its diagonal [D], or the whole matrix [D, D].
    """

    count: int
    mean: Float64[torch.Tensor, " D"]
    scatter: Float64[torch.Tensor, "*D"]

    @classmethod
    def of(cls, rows: Float[torch.Tensor, "n D"], *, whole: bool) -> "Scatter":
        """That of rows, with the whole matrix or its diagonal alone."""
        made: Scatter | None = None
        for part in parts_of(rows, torch.float64):
            mean = part.mean(0)
            apart = part - mean
            scatter = apart.T @ apart if whole else apart.square().sum(0)
            made = cls(len(part), mean, scatter).joined(made)
        assert made is not None, "a layer has at least one token"
        return made

    def joined(self, other: "Scatter | None") -> "Scatter":
        """That of both sets of rows; of this one alone for None."""
        if other is None:
            return self
        count = self.count + other.count
        apart = other.mean - self.mean
        product = torch.outer(apart, apart) if self.scatter.ndim == 2 else apart.square()
        return Scatter(
            count,
            self.mean + apart * (other.count / count),
            self.scatter + other.scatter + product * (self.count * other.count / count),
        )
