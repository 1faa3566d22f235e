"""What a printed number may have been before it was rounded: interval arithmetic on exact fractions.

A number printed to so many decimals stands for everything within half a unit of its last digit, both ends included, so
that any way of rounding halves is allowed. What the rules compute rises (or does not change) with each of its inputs:
its interval is then its value at all the low ends and at all the high ends, and no tolerance has to be chosen.
"""

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

_MILLION = 10**6


class RoundingInterval(NamedTuple):
    """All numbers from `low` to `high`, both included."""

    low: Fraction
    high: Fraction

    @property
    def middle(self) -> Fraction:
        """What lies as far from one end as from the other."""
        return (self.low + self.high) / 2

    def overlaps(self, other: "RoundingInterval") -> bool:
        """Whether some number lies in both."""
        return self.low <= other.high and other.low <= self.high

    def intersection(self, other: "RoundingInterval") -> "RoundingInterval":
        """What lies in both. They must meet."""
        return RoundingInterval(max(self.low, other.low), min(self.high, other.high))

    def scaled(self, factor: int | Fraction) -> "RoundingInterval":
        """Both ends times a factor, which must not be negative."""
        return RoundingInterval(self.low * factor, self.high * factor)

    def integers(self) -> range:
        """The whole numbers in it."""
        return range(ceil(self.low), floor(self.high) + 1)


def decimals(text: str) -> int:
    """How many digits stand after the point."""
    return len(text.partition(".")[2])


def resolution(text: str) -> Fraction:
    """One unit of the last printed digit."""
    return Fraction(1, 10 ** decimals(text))


def rounded(text: str) -> RoundingInterval:
    """What a number printed to these decimals may have been."""
    value, half = Fraction(text), resolution(text) / 2
    return RoundingInterval(value - half, value + half)


def share(text: str) -> RoundingInterval:
    """A rounded fraction of something: never below 0 or above 1."""
    return rounded(text).intersection(RoundingInterval(Fraction(0), Fraction(1)))


def percent(text: str) -> RoundingInterval:
    """A rounded percentage, as a share from 0 to 1."""
    return rounded(text).scaled(Fraction(1, 100)).intersection(RoundingInterval(Fraction(0), Fraction(1)))


def significant(text: str) -> RoundingInterval:
    """A number of the prose, like `224`, `140M` or `0.01`: zeros at the end of a whole number are no digits of it.

    Raises ValueError for anything else.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(M?)", text)
    if match is None:
        raise ValueError(f"{text!r} is no number like 224, 140M or 0.01")
    digits, millions = match.groups()
    value = Fraction(digits)
    zeros = 0 if "." in digits else len(digits) - len(digits.rstrip("0") or digits)
    half = resolution(digits) * 10**zeros / 2
    return RoundingInterval(value - half, value + half).scaled(_MILLION if millions else 1)


def monotone(compute: Callable[[list[Fraction]], Fraction], inputs: Iterable[RoundingInterval]) -> RoundingInterval:
    """The interval of something that never falls when one of its inputs rises."""
    intervals = list(inputs)
    return RoundingInterval(compute([each.low for each in intervals]), compute([each.high for each in intervals]))


def as_percent(interval: RoundingInterval, digits: int) -> str:
    """An interval of shares for the reader, in percent; one number where both ends print the same."""
    low, high = (f"{float(100 * end):.{digits}f}" for end in interval)
    return low if low == high else f"{low} to {high}"
