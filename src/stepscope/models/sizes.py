"""Sizes: the heights and widths, in pixels, that a model takes, and the one of them that suits a picture.

    height = round(s sqrt(A a)) // m_y * m_y,   width = round(s sqrt(A / a)) // m_x * m_x

A the area that the model was made for, a = height / width of the picture, m the multiples that the model allows: the
recipe of the stock pipeline's own documentation.  s <= 1 shrinks both where the model has a largest size.  The
proportions stay within one multiple, but for a model of one size: that takes every picture stretched, as its stock call
does.
"""

import math
from dataclasses import dataclass

from stepscope.errors import BadInputError

__all__ = ["Sizes"]


@dataclass(frozen=True)
class Sizes:
    """What a model takes; all sizes are (height, width).

    Attributes:
        multiple: both must be multiples of these.
        largest: neither may be more; None for no limit.
        only: the one size that is allowed; None for any.
    """

    multiple: tuple[int, int]
    largest: tuple[int, int] | None = None
    only: tuple[int, int] | None = None

    def __str__(self) -> str:
        """As in "this model takes …"."""
        if self.only is not None:
            return f"only {_told(self.only)}"
        multiples = f"multiples of {_told(self.multiple)}"
        return multiples if self.largest is None else f"{multiples} up to {_told(self.largest)}"

    def check(self, height: int, width: int) -> None:
        """Refuse a size that is not allowed.

        Raises:
            BadInputError: saying what is, and the nearest.
        """
        if not self._allows(height, width):
            raise BadInputError(
                f"The first frame came as {height}x{width} (height x width). This model takes {self}. Resize it to "
                f"{_told(self._nearest(height, width))}."
            )

    def fitted(self, height: int, width: int, area: int) -> tuple[int, int]:
        """The size for a picture of `height` x `width`, for a model made for about `area` pixels."""
        if self.only is not None:
            return self.only
        rows, columns = math.sqrt(area * height / width), math.sqrt(area * width / height)
        shrunk = 1.0 if self.largest is None else min(1.0, self.largest[0] / rows, self.largest[1] / columns)
        return self._floor(round(shrunk * rows), round(shrunk * columns))

    def _allows(self, height: int, width: int) -> bool:
        if self.only is not None:
            return (height, width) == self.only
        inside = self.largest is None or (height <= self.largest[0] and width <= self.largest[1])
        return inside and min(height, width) > 0 and (height, width) == self._floor(height, width)

    def _nearest(self, height: int, width: int) -> tuple[int, int]:
        if self.only is not None:
            return self.only
        most = (height, width) if self.largest is None else self.largest
        return self._floor(min(height, most[0]), min(width, most[1]))

    def _floor(self, height: int, width: int) -> tuple[int, int]:
        rows, columns = self.multiple
        return max(rows, height // rows * rows), max(columns, width // columns * columns)


def _told(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
