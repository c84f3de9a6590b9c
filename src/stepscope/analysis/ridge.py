"""Ridge regression from one set of features to another, on rows that come in parts.

    y ~ mean_y + (x - mean_x) W,     W = argmin  sum ||(y - mean_y) - (x - mean_x) W||^2 + p ||W||^2
                                       = (S_xx + p I)^-1 S_xy,          p = penalty * trace(S_xx) / D

S are the scatter matrices of the rows, in float64; parts are joined exactly (Chan, Golub, LeVeque 1979), so W does not
depend on how the rows were cut.  The penalty is relative to the mean variance of the features and does not depend on
how many rows there are.  Cost: n D (D + E) operations for n rows, and D^3 for the solution.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64

from stepscope.errors import BadInputError

__all__ = ["Affine", "Regression"]


@dataclass(frozen=True)
class Affine:
    """A map x -> after + (x - before) W.

    Attributes:
        weights: W [D, E].
        before: [D].
        after: [E].
    """

    weights: Float[torch.Tensor, "D E"]
    before: Float[torch.Tensor, " D"]
    after: Float[torch.Tensor, " E"]

    def __call__(self, rows: Float[torch.Tensor, "... D"]) -> Float[torch.Tensor, "... E"]:
        """The images of rows, in their number type."""
        moved = rows - self.before.to(rows)
        return self.after.to(rows) + moved @ self.weights.to(rows)


@dataclass(frozen=True)
class Regression:
    """What is known of the rows so far.

    Attributes:
        count: rows.
        mean_x: [D].
        mean_y: [E].
        xx: scatter of the features [D, D].
        xy: scatter of features and targets [D, E].
    """

    count: int
    mean_x: Float64[torch.Tensor, " D"]
    mean_y: Float64[torch.Tensor, " E"]
    xx: Float64[torch.Tensor, "D D"]
    xy: Float64[torch.Tensor, "D E"]

    @classmethod
    def of(cls, features: Float[torch.Tensor, "n D"], targets: Float[torch.Tensor, "n E"]) -> "Regression":
        """That of some rows."""
        x, y = features.double(), targets.double()
        mean_x, mean_y = x.mean(0), y.mean(0)
        x, y = x - mean_x, y - mean_y
        return cls(len(x), mean_x, mean_y, x.T @ x, x.T @ y)

    def joined(self, other: "Regression") -> "Regression":
        """That of the rows of both."""
        count = self.count + other.count
        apart_x, apart_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        share, weight = other.count / count, self.count * other.count / count
        return Regression(
            count,
            self.mean_x + share * apart_x,
            self.mean_y + share * apart_y,
            self.xx + other.xx + weight * torch.outer(apart_x, apart_x),
            self.xy + other.xy + weight * torch.outer(apart_x, apart_y),
        )

    def solved(self, penalty: float | int) -> Affine:
        """The best map.

        Args:
            penalty: In units of the mean variance of the features, above 0.

        Raises:
            BadInputError: If the penalty is not above 0.
        """
        if not penalty > 0:
            raise BadInputError(f"penalty came as {penalty}. It is above 0. Give 1e-4 for example.")
        size = len(self.xx)
        ridge = penalty * self.xx.trace() / size * torch.eye(size, dtype=self.xx.dtype, device=self.xx.device)
        return Affine(torch.linalg.solve(self.xx + ridge, self.xy), self.mean_x, self.mean_y)
