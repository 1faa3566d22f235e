"""Whether a mean lies on one side of a bound: the p for it and the p against it, which are not each other's opposite.

A p for it at or below the level shows that it does, a p against it that it does not; with neither, nothing is shown.
Over seeds the tests are Student's; where a single training can decide (see `claims`), those of its images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, median

from stages.stats.intervals import FEWEST_SEEDS, Interval, alike, student, wilson

_ALIKE = "no spread over the seeds to test against"


@dataclass(frozen=True)
class Bounded:
    """A value, whether it is as asked, its interval, and the p values for and against; None where none can be had.

    `note` says why there is no p, where that is not for want of seeds.
    """

    value: float | None
    met: bool
    interval: Interval | None
    p_for: float | None
    p_against: float | None
    note: str = ""

    @classmethod
    def unknown(cls, note: str) -> "Bounded":
        """What cannot even be measured, and why; it is not as asked."""
        return cls(None, False, None, None, None, note)

    def scaled(self, factor: float) -> "Bounded":
        """The same in another unit."""
        value = None if self.value is None else factor * self.value
        interval = self.interval and Interval(factor * self.interval.low, factor * self.interval.high)
        return replace(self, value=value, interval=interval)


def above(values: Sequence[float], bound: float, level: float) -> Bounded:
    """Whether the mean is above a bound: one-sided t-tests from three values on. The interval ends at their limits.

    Values that are all alike have neither: they do not tell how far they spread, and t's limit would be certainty.
    """
    mean = fmean(values)
    if len(values) < FEWEST_SEEDS:
        return Bounded(mean, mean > bound, None, None, None)
    if alike(values):
        return Bounded(mean, mean > bound, None, None, None, _ALIKE)
    from scipy.stats import ttest_1samp

    p = float(ttest_1samp(values, bound, alternative="greater").pvalue)
    return Bounded(mean, mean > bound, student(values, 1 - 2 * level), p, 1 - p)


def below(values: Sequence[float], bound: float, level: float) -> Bounded:
    """Whether the mean is below a bound, as `above`."""
    found = above([-value for value in values], -bound, level)
    interval = found.interval and Interval(-found.interval.high, -found.interval.low)
    return replace(found, value=fmean(values), interval=interval)


def within(values: Sequence[float], margin: float, level: float) -> Bounded:
    """Whether the mean is within a margin of 0 on either side: two one-sided t-tests.

    D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987: equivalent when both show their side, which is
    when the interval at 1 - 2 * level lies inside. Against it, twice the smaller p, since either side would do.
    """
    over, under = above(values, -margin, level), below(values, margin, level)
    both = replace(over, met=over.met and under.met)
    if over.p_for is None or under.p_for is None:
        return both
    p_against = min(1.0, 2 * min(1 - over.p_for, 1 - under.p_for))
    return replace(both, p_for=max(over.p_for, under.p_for), p_against=p_against)


def f1(hits: int, wrong: int) -> float:
    """One class's F1; its arguments are those of `f1_above`."""
    return 2 * hits / (2 * hits + wrong)


def f1_above(hits: int, wrong: int, bound: float, level: float) -> Bounded:
    """Whether one class's F1 is above a bound, from one network's images.

    `hits` are the class's images that were named so, `wrong` those that were not and other images that were (false
    negatives and false positives); not both are 0. F1 is 2h / (2h + w), which grows with the share s = h / (h + w):
    F1 = 2s / (1 + s). So a bound on F1 is one on s, a binomial share of the images that are of the class or named so,
    and gets the exact binomial test and Wilson's interval.
    """
    from scipy.stats import binomtest

    images, share, value = hits + wrong, bound / (2 - bound), f1(hits, wrong)
    p_for, p_against = (float(binomtest(hits, images, share, alternative=side).pvalue) for side in ("greater", "less"))
    low, high = (2 * end / (1 + end) for end in wilson(hits, images, 1 - 2 * level))
    return Bounded(value, value > bound, Interval(low, high), p_for, p_against)


def gap_below(first: tuple[int, int], second: tuple[int, int], bound: float, level: float) -> Bounded:
    """Whether one share exceeds another by less than a bound; each is (hits, images), of images of its own.

    A normal test with one hit and one miss added to each share (A. Agresti and B. Caffo, The American Statistician 54,
    2000), which keeps its level at shares near 1 too. Value, bound and interval are fractions.
    """
    from scipy.stats import norm

    (hits, images), (others, other_images) = first, second
    one, two = (hits + 1) / (images + 2), (others + 1) / (other_images + 2)
    error = sqrt(one * (1 - one) / (images + 2) + two * (1 - two) / (other_images + 2))
    half = float(norm.ppf(1 - level)) * error
    p = float(norm.cdf((one - two - bound) / error))
    gap, interval = hits / images - others / other_images, Interval(one - two - half, one - two + half)
    return Bounded(gap, gap < bound, interval, p, 1 - p)


def worst_case(trainings: Sequence[Bounded]) -> Bounded:
    """What too few trainings say of a claim that has no exception: the clearest one may be the exception.

    The smallest p against, times their number (Bonferroni); none for it, since no few cases show that there is none.
    """
    against = [found.p_against for found in trainings if found.p_against is not None]
    values = [found.value for found in trainings if found.value is not None]
    return Bounded(
        fmean(values) if values else None,
        all(found.met for found in trainings),
        trainings[0].interval if len(trainings) == 1 else None,
        None,
        min(1.0, len(trainings) * min(against)) if against else None,
    )


def faster(seconds: Sequence[float], others: Sequence[float]) -> Bounded:
    """Whether trainings take less time than others: how many times the others' median is theirs, and rank tests.

    H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18, 1947. Times have long tails, ranks do not mind.
    """
    ratio = median(others) / median(seconds)
    if len({*seconds, *others}) == 1:
        return Bounded(ratio, False, None, None, None, "all take the same time")
    from scipy.stats import mannwhitneyu

    p_for, p_against = (float(mannwhitneyu(others, seconds, alternative=side).pvalue) for side in ("greater", "less"))
    return Bounded(ratio, ratio > 1, None, p_for, p_against)
