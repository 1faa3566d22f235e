"""The exact tests against enumeration and the textbook, Holm's correction against R's."""

import random
from itertools import product
from math import comb

import numpy as np
import pytest

from stages.stats.paired import MOST_SEEDS, holm, mcnemar, paired_interval, sign_flip

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]  # maize, crossed less selfed, 1/8 inch


def hits(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return np.array(first), np.array(second)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 5), (3, 14), (60, 31)])
def test_mcnemar_counts_the_splits_at_least_as_uneven(one: int, other: int) -> None:
    first, second = hits(40, one, other, 7)
    found = mcnemar(first, second)
    decided = one + other
    uneven = sum(comb(decided, k) for k in range(decided + 1) if abs(2 * k - decided) >= abs(one - other))
    assert found[:2] == (one, other)
    assert found.p == pytest.approx(uneven / 2**decided)
    assert mcnemar(second, first).p == pytest.approx(found.p)


def test_mcnemar_knows_nothing_of_images_that_both_name_alike() -> None:
    assert mcnemar(*hits(0, 9, 2, 0)) == mcnemar(*hits(5000, 9, 2, 800))


def test_mcnemar_refuses_other_images() -> None:
    with pytest.raises(ValueError, match="not on the same images"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))


def test_sign_flip_is_fishers_count_of_darwins_maize() -> None:
    """The Design of Experiments, 1935, section 21: 863 of the 32768 flips to either side."""
    found = sign_flip(DARWIN)
    assert found
    assert found.p == pytest.approx(2 * 863 / 32768)
    assert found.smallest == pytest.approx(2 / 32768)


def test_sign_flip_is_the_enumeration() -> None:
    drawn = random.Random(0)  # noqa: S311
    for seeds in range(1, 8):
        differences = [drawn.gauss(0.5, 1) for _ in range(seeds)]
        flips = [
            abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=seeds)
        ]
        found = sign_flip(differences)
        assert found
        assert found.p == pytest.approx(np.mean([flip >= abs(sum(differences)) - 1e-12 for flip in flips]))
        assert found.p >= found.smallest


@pytest.mark.parametrize(("seeds", "smallest"), [(1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_so_many_seeds_is_reached(seeds: int, smallest: float) -> None:
    assert sign_flip([3.0] * seeds) == (smallest, smallest)


def test_sign_flip_of_no_seed_or_too_many_is_none() -> None:
    assert sign_flip([]) is None
    assert sign_flip([1.0] * (MOST_SEEDS + 1)) is None


def test_holm_is_rs_p_adjust() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.3]) == [0.3]
    assert holm([]) == []


def test_holm_keeps_order_and_lowers_nothing() -> None:
    drawn = random.Random(0)  # noqa: S311
    ps = [drawn.random() ** 3 for _ in range(30)]
    adjusted = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    assert [q for _, q in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)
    assert min(adjusted) == pytest.approx(30 * min(ps))


def test_the_paired_interval_holds_its_level() -> None:
    """Of networks whose accuracies differ by a known share, the interval misses it about as often as it says."""
    draws = np.random.default_rng(0).multinomial(200, [0.15, 0.05, 0.8], size=2000)
    intervals = [paired_interval(int(first), int(second), 200, 0.95) for first, second, _ in draws]
    covered = np.mean([low <= 0.05 - 0.15 <= high for low, high in intervals])
    assert 0.93 < covered < 0.97
    assert paired_interval(0, 0, 500, 0.95).low < 0 < paired_interval(0, 0, 500, 0.95).high
