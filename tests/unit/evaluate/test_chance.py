"""Whether an accuracy is at chance, against the binomial distribution summed by hand."""

from math import comb

import numpy as np
import pytest

from stages.evaluate.chance import LEVEL, at_chance


def labels_of(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts).astype(np.uint8)


def p_value(hits: int, images: int, share: float) -> float:
    return sum(comb(images, k) * share**k * (1 - share) ** (images - k) for k in range(hits, images + 1))


@pytest.mark.parametrize("counts", [(50,) * 10, (30, 70), (40, 45, 51, 44, 60), (90, 10)])
def test_the_fewest_hits_that_guessing_does_not_explain(counts: tuple[int, ...]) -> None:
    labels, images = labels_of(*counts), sum(counts)
    fewest = next(hits for hits in range(images + 1) if p_value(hits, images, max(counts) / images) <= LEVEL)
    assert fewest > max(counts)
    assert [at_chance(labels, hits) for hits in (0, max(counts), fewest - 1, fewest, images)] == [True] * 3 + [
        False
    ] * 2


def test_a_few_hundred_images_tell_20_percent_of_ten_classes_from_chance() -> None:
    labels = labels_of(*(50,) * 10)
    assert at_chance(labels, 65)
    assert not at_chance(labels, 100)


@pytest.mark.parametrize("counts", [(20,), (1,), (1, 1), (9, 1)])
def test_where_nothing_can_be_shown_it_is_at_chance(counts: tuple[int, ...]) -> None:
    """One class alone, or fewer images than any evidence takes."""
    assert at_chance(labels_of(*counts), sum(counts))


def test_it_is_a_plain_bool_for_json() -> None:
    assert at_chance(labels_of(50, 50), 50) is True
    assert at_chance(labels_of(50, 50), 100) is False
