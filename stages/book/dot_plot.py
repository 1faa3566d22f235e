"""The small drawing beside a number: ours as a dot on its interval, the paper's as a ring, on its table's scale."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

_STEP = 10  # percent: scales begin at a multiple of it and end at 100


@dataclass(frozen=True)
class DotPlot:
    """Places from the left, in percent of the drawing's width. What is None is not drawn."""

    ours: float | None
    paper: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Scale:
    """The accuracies in percent that a table's dot plots reach over."""

    start: int
    end: int = 100

    @classmethod
    def of(cls, values: Iterable[float]) -> "Scale":
        """The scale that holds all of these accuracies."""
        return cls(min(100 - _STEP, _STEP * floor(min(values, default=100) / _STEP)))

    def dot_plot(self, ours: float | None, paper: float | None, interval: tuple[float, float] | None) -> DotPlot:
        """The places of these accuracies."""
        low, high = interval or (None, None)
        return DotPlot(*(self._maybe(value) for value in (ours, paper, low, high)))

    def place(self, value: float) -> float:
        """Where an accuracy stands."""
        return round(100 * (value - self.start) / (self.end - self.start), 2)

    def _maybe(self, value: float | None) -> float | None:
        return None if value is None else self.place(value)
