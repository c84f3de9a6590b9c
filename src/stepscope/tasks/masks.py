"""Masks that are made when they are first looked at: training draws many samples and looks at none."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

__all__ = ["LazyMasks"]


class LazyMasks(Mapping[str, np.ndarray]):
    """A mapping {name: bool [T, H, W]} whose content `build()` returns, called at most once."""

    def __init__(self, build: Callable[[], Mapping[str, np.ndarray]]) -> None:
        self._build = build
        self._built: Mapping[str, np.ndarray] | None = None

    def _content(self) -> Mapping[str, np.ndarray]:
        if self._built is None:
            self._built = self._build()
        return self._built

    def __getitem__(self, name: str) -> np.ndarray:
        return self._content()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content())

    def __len__(self) -> int:
        return len(self._content())
