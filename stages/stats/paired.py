"""Two settings compared pair by pair: on the same test images, or over the same seeds. Exact tests all."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.stats.intervals import Interval

MOST_SEEDS = 16  # 65536 flips; with more seeds than that Student's interval needs no support
_SAME = 1e-9


class McNemar(NamedTuple):
    """Images that only the first and only the second network got right, and the two-sided p."""

    only_first: int
    only_second: int
    p: float


class SignFlip(NamedTuple):
    """The two-sided p, and the smallest that so many seeds can come to."""

    p: float
    smallest: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test (Q. McNemar, Psychometrika 12, 1947) of which images two trained networks got right.

    Both arrays have shape (images,). Of the images that one got right and the other did not, each falls to either with
    probability 1/2 if the two are equally good. It says nothing of how another training would have come out. Raises
    ValueError for arrays of different shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"hits of shapes {first.shape} and {second.shape}: not on the same images")
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    decided = only_first + only_second
    return McNemar(only_first, only_second, float(binomtest(only_first, decided).pvalue) if decided else 1.0)


def paired_interval(only_first: int, only_second: int, images: int, confidence: float) -> Interval:
    """The interval of the second network's accuracy less the first's on the same images, as fractions.

    Wald's with one image more in each of the two counts (D. G. Bonett and R. M. Price, Journal of Educational and
    Behavioral Statistics 37, 2012). It is about other test images, not about other trainings.
    """
    from scipy.stats import norm

    first, second = (only_first + 1) / (images + 2), (only_second + 1) / (images + 2)
    gap = second - first
    half = float(norm.ppf((1 + confidence) / 2)) * sqrt((first + second - gap**2) / (images + 2))
    return Interval(max(-1.0, gap - half), min(1.0, gap + half))


def sign_flip(differences: Sequence[float]) -> SignFlip | None:
    """Fisher's exact test of paired differences (The Design of Experiments, 1935, section 21): all 2^n sign flips.

    p is the share of the flips whose sum is at least as far from 0 as the observed one. The observed signs and their
    opposites are always among them, so p is at least 2 / 2^n: 1 for one seed, 0.0625 for five. None for more seeds than
    MOST_SEEDS.
    """
    seeds = len(differences)
    if not 1 <= seeds <= MOST_SEEDS:
        return None
    flips = (np.arange(2**seeds)[:, None] >> np.arange(seeds)) & 1
    sums = np.abs((1 - 2 * flips) @ np.asarray(differences, np.float64))
    return SignFlip(float(np.mean(sums >= abs(sum(differences)) - _SAME)), 2 / 2**seeds)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given: the chance of any false alarm stays below what they are held to.

    S. Holm, Scandinavian Journal of Statistics 6, 1979: the smallest times n, the next times n - 1, never decreasing.
    """
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted
