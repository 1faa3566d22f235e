"""Tests of bounds: against published numbers and enumeration, and in agreement with the intervals printed beside."""

import random
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import f1_score

from stages.stats.bounds import Bounded, above, below, f1_above, faster, gap_below, within, worst_case

LEVEL = 0.05
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student, Biometrika 6, 1908: hours gained, pairs


def samples() -> list[list[float]]:
    drawn = random.Random(0)  # noqa: S311
    return [[drawn.gauss(drawn.uniform(-3, 3), 1) for _ in range(5)] for _ in range(200)]


def test_above_is_the_t_test_of_students_own_data() -> None:
    """R: t.test(extra ~ group, data = sleep, paired = TRUE) has p = 0.002833 for both sides."""
    found = above(SLEEP, 0.0, LEVEL)
    assert found.p_for == pytest.approx(0.002833 / 2, abs=1e-6)
    assert found.p_against == pytest.approx(1 - 0.002833 / 2, abs=1e-6)
    assert (found.value, found.met) == (pytest.approx(1.58), True)


def test_one_sided_tests_agree_with_the_interval_and_mirror_each_other() -> None:
    for values in samples():
        found, mirrored = above(values, 0.5, LEVEL), below([-value for value in values], -0.5, LEVEL)
        assert found.interval
        assert found.p_for is not None
        assert found.p_against is not None
        assert (found.p_for <= LEVEL) == (found.interval.low >= 0.5)
        assert (found.p_against <= LEVEL) == (found.interval.high <= 0.5)
        assert (mirrored.p_for, mirrored.p_against) == pytest.approx((found.p_for, found.p_against))
        assert mirrored.interval == pytest.approx((-found.interval.high, -found.interval.low))
        assert found.value is not None
        assert mirrored.met == found.met == (found.value > 0.5)


def test_equivalence_is_the_interval_within_the_margin_and_symmetric() -> None:
    seen = set()
    for values in samples():
        found, mirrored = within(values, 1.5, LEVEL), within([-value for value in values], 1.5, LEVEL)
        assert found.interval
        assert found.p_for is not None
        assert found.p_against is not None
        inside = found.interval.low >= -1.5 and found.interval.high <= 1.5
        outside = found.interval.low >= 1.5 or found.interval.high <= -1.5
        assert (found.p_for <= LEVEL) == inside
        assert found.p_against > LEVEL or outside
        assert (mirrored.p_for, mirrored.p_against) == pytest.approx((found.p_for, found.p_against))
        seen.add((inside, outside))
    assert len(seen) == 3


def test_equivalence_is_refuted_no_more_often_than_the_level_at_its_edge() -> None:
    drawn = random.Random(1)  # noqa: S311
    ps = [within([drawn.gauss(1.0, 1.0) for _ in range(5)], 1.0, LEVEL).p_against for _ in range(400)]
    assert np.mean([p is not None and p <= LEVEL for p in ps]) <= 0.06


@pytest.mark.parametrize("test", [above, below, within])
@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_too_few_values_say_nothing(test: object, values: list[float]) -> None:
    assert callable(test)
    found = test(values, 5.0, LEVEL)
    assert (found.p_for, found.p_against, found.interval) == (None, None, None)
    assert found.met == (test is not above)


@pytest.mark.parametrize("test", [above, below, within])
@pytest.mark.parametrize("bound", [0.9, 1.0, 1.1])
def test_values_that_are_all_alike_say_nothing(test: object, bound: float) -> None:
    assert callable(test)
    found = test([1.0, 1.0, 1.0, 1.0], bound, LEVEL)
    assert (found.value, found.p_for, found.p_against, found.interval) == (1.0, None, None, None)
    assert found.note == "no spread over the seeds to test against"
    assert test([1.0, 1.0, 1.0, 1.1], bound, LEVEL).p_for is not None


def test_f1_is_scikit_learns_and_its_test_the_binomial_sum() -> None:
    labels = np.repeat([1, 0], [50, 450])
    named = np.concatenate([np.repeat([1, 0], [30, 20]), np.repeat([1, 0], [5, 445])])
    found = f1_above(30, 25, 0.8, LEVEL)
    assert found.value == pytest.approx(f1_score(labels, named))
    share = 0.8 / 1.2
    tail = sum(comb(55, k) * share**k * (1 - share) ** (55 - k) for k in range(30, 56))
    assert found.p_for == pytest.approx(tail)
    assert found.interval
    assert found.value is not None
    assert found.interval.low < found.value < found.interval.high
    assert not found.met


@pytest.mark.parametrize(("hits", "wrong"), [(0, 40), (40, 0), (500, 3), (20, 5)])
def test_f1_at_its_edges(hits: int, wrong: int) -> None:
    found = f1_above(hits, wrong, 0.8, LEVEL)
    assert found.interval
    assert found.value is not None
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert (found.p_against is not None and found.p_against <= LEVEL) == (hits == 0)
    assert (found.p_for is not None and found.p_for <= LEVEL) == (wrong < 5)


@pytest.mark.parametrize(("training", "validation"), [(0.97, 0.92), (0.6, 0.55), (1.0, 0.95)])
def test_the_gap_of_shares_keeps_its_level(training: float, validation: float) -> None:
    """Enumerated: of two trainings whose true gap is the bound, how many the test takes for larger."""
    images, wrongly = 60, 0.0
    chances = [binom.pmf(range(images + 1), images, share) for share in (training, validation)]
    for hits in np.flatnonzero(chances[0] > 1e-6):
        for others in np.flatnonzero(chances[1] > 1e-6):
            p = gap_below((int(hits), images), (int(others), images), 0.05, LEVEL).p_against
            wrongly += chances[0][hits] * chances[1][others] * (p is not None and p <= LEVEL)
    assert 0.005 < wrongly < 0.06


def test_the_gap_of_shares_agrees_with_its_interval() -> None:
    for hits in range(60, 101, 5):
        found = gap_below((hits, 100), (70, 100), 0.1, LEVEL)
        assert found.interval
        assert found.p_against is not None
        assert found.value == pytest.approx((hits - 70) / 100)
        assert (found.p_against <= LEVEL) == (found.interval.low >= 0.1)


def test_times_are_compared_by_the_ranks_of_every_split() -> None:
    seconds, others = [1.0, 1.2, 1.4, 2.5], [1.3, 2.0, 3.0]
    pooled = sorted(seconds + others)
    wins = sum(other > own for other in others for own in seconds)
    splits = [
        sum(pooled[k] > pooled[j] for k in split for j in set(range(7)) - set(split))
        for split in combinations(range(7), 3)
    ]
    found = faster(seconds, others)
    assert found.value == pytest.approx(2.0 / 1.3)
    assert found.p_for == pytest.approx(np.mean([split >= wins for split in splits]))
    assert found.p_against == pytest.approx(np.mean([split <= wins for split in splits]))
    assert faster([1.0, 1.0], [1.0]) == Bounded(1.0, False, None, None, None, "all take the same time")


def test_few_trainings_refute_by_their_clearest_case_and_show_nothing() -> None:
    cases = [Bounded(1.0, True, None, 0.01, 0.99), Bounded(9.0, False, None, 0.9, 0.02)]
    assert worst_case(cases) == Bounded(5.0, False, None, None, 0.04)
    assert worst_case(cases[1:]) == Bounded(9.0, False, None, None, 0.02)
    assert worst_case([Bounded(0.0, True, None, None, None)]).p_against is None


def test_what_cannot_be_measured_has_no_number_and_is_not_as_asked() -> None:
    found = Bounded.unknown("nothing there")
    assert found == Bounded(None, False, None, None, None, "nothing there")
    assert found.scaled(100) == found
    assert worst_case([found]).value is None
