"""From steps to rates, and from the rates of several repetitions to one number."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median


def per_second(steps: Iterator[int], seconds: float, clock: Callable[[], float]) -> float:
    """Take whole steps until `seconds` have passed; returns how much they were per second of what they took."""
    done, start, spent = 0, clock(), 0.0
    while spent < seconds:
        done += next(steps)
        spent = clock() - start
    return done / spent


def paired_ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The ratio within each repetition: a machine that changes between repetitions changes both."""
    return [left / right for left, right in zip(one, other, strict=True)]


def paired_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Their median."""
    return median(paired_ratios(one, other))


def significant(value: float, digits: int = 4) -> float:
    """Round to a number of significant digits: more than that is noise."""
    return float(f"{value:.{digits}g}")
