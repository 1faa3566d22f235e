"""Confidence intervals of accuracies: over the test images for one training, over the trainings from three on.

The two answer different questions. One training's interval says how far its accuracy would move on other test images;
how far another seed would move it, one training cannot say. Two trainings leave one degree of freedom, with which an
interval is 12.7 standard errors wide on either side: none is given. Nor is one of trainings that all came out alike:
that a spread was not seen does not make it nothing.
"""

from collections.abc import Sequence
from functools import cache
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

FEWEST_SEEDS = 3  # from which on the spread over seeds is judged
_NO_SPREAD = 1e-9  # accuracies of whole images differ by far more, floating point's noise by far less


class Interval(NamedTuple):
    """Both ends, in the unit of the estimate."""

    low: float
    high: float


@cache
def wilson(hits: int, images: int, confidence: float) -> Interval:
    """Wilson's score interval of a share, as fractions (E. B. Wilson, JASA 22, 1927, pp. 209-212)."""
    from scipy.stats import binomtest  # here: what only names a result must not wait for scipy

    found = binomtest(hits, images).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def alike(values: Sequence[float]) -> bool:
    """Whether values show no spread, so that they do not tell how far another one would lie from them."""
    return max(values) - min(values) < _NO_SPREAD


def student(values: Sequence[float], confidence: float) -> Interval | None:
    """Student's t-interval of the mean; None for fewer than three values, and for values that are all alike."""
    if len(values) < FEWEST_SEEDS or alike(values):
        return None
    from scipy.stats import t

    half = t.ppf((1 + confidence) / 2, len(values) - 1) * stdev(values) / sqrt(len(values))
    return Interval(float(fmean(values) - half), float(fmean(values) + half))


def accuracy_interval(hits: Sequence[int], images: int, confidence: float) -> Interval | None:
    """The interval of a mean test accuracy in percent, from each seed's hits on so many images.

    Wilson's for one seed, None for two, Student's from three on, cut at 0 and 100 %; None if all have the same hits.
    """
    if len(hits) == 1:
        low, high = wilson(hits[0], images, confidence)
        return Interval(100 * low, 100 * high)
    found = student([100 * count / images for count in hits], confidence)
    return found and Interval(max(0.0, found.low), min(100.0, found.high))
