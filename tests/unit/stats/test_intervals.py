"""Intervals against published ones, and what must hold of every one."""

import random
from statistics import fmean

import pytest

from stages.stats.intervals import accuracy_interval, student, wilson

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student, Biometrika 6, 1908: hours gained, pairs


@pytest.mark.parametrize(
    ("hits", "images", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_newcombes_method_3(hits: int, images: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17, 1998, Table I."""
    assert wilson(hits, images, 0.95) == pytest.approx((low, high), abs=6e-5)


def test_student_is_rs_t_test_of_students_own_data() -> None:
    """R's documentation of `sleep`: t.test(extra ~ group, data = sleep, paired = TRUE)."""
    assert student(SLEEP, 0.95) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)


@pytest.mark.parametrize("images", [1, 10, 500, 10000])
def test_wilson_holds_its_share_grows_with_confidence_and_mirrors(images: int) -> None:
    for hits in {0, 1, images // 3, images}:
        low, high = wilson(hits, images, 0.95)
        assert 0 <= low <= hits / images <= high <= 1
        wider = wilson(hits, images, 0.99)
        assert wider.low <= low
        assert wider.high >= high
        mirrored = wilson(images - hits, images, 0.95)
        assert mirrored == pytest.approx((1 - high, 1 - low))


def test_student_is_symmetric_and_follows_shifts_and_scales() -> None:
    drawn = random.Random(0)  # noqa: S311
    for seeds in (3, 5, 20):
        values = [drawn.gauss(80, 2) for _ in range(seeds)]
        found = student(values, 0.95)
        assert found
        assert fmean(found) == pytest.approx(fmean(values))
        assert student([2 * value - 5 for value in values], 0.95) == pytest.approx([2 * end - 5 for end in found])


def test_student_covers_as_often_as_it_says() -> None:
    drawn = random.Random(1)  # noqa: S311
    covered = 0
    for _ in range(1000):
        found = student([drawn.gauss(0, 1) for _ in range(3)], 0.9)
        covered += bool(found and found.low <= 0 <= found.high)
    assert 870 <= covered <= 930


@pytest.mark.parametrize("values", [[80.0], [80.0, 81.0]])
def test_too_few_values_have_no_interval(values: list[float]) -> None:
    assert student(values, 0.95) is None


def test_values_that_are_all_alike_have_no_interval() -> None:
    assert student([80.0, 80.0, 80.0], 0.95) is None
    assert student([0.1 + 0.2, 0.3, 0.3], 0.95) is None
    assert student([80.0, 80.0, 80.0 + 1e-6], 0.95) == pytest.approx((80.0, 80.0), abs=1e-5)
    assert accuracy_interval([800, 800, 800], 1000, 0.95) is None


def test_an_accuracy_has_the_interval_of_its_number_of_seeds() -> None:
    assert accuracy_interval([81], 263, 0.95) == pytest.approx((25.53, 36.62), abs=6e-3)
    assert accuracy_interval([81, 85], 263, 0.95) is None
    assert accuracy_interval([800, 810, 820], 1000, 0.95) == student([80.0, 81.0, 82.0], 0.95)
    assert accuracy_interval([0, 0, 2], 1000, 0.95) == pytest.approx((0.0, 0.354), abs=1e-3)
    assert accuracy_interval([1000, 1000, 998], 1000, 0.95) == pytest.approx((99.646, 100.0), abs=1e-3)
