"""Rates of steps, medians and ratios, and who is measured when; no test here looks at a real clock."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from benchmarks.machine import Usage, elsewhere
from benchmarks.race import alternate
from benchmarks.rates import paired_ratio, per_second, significant


class Clock:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_rate_is_that_of_whole_steps_over_the_time_they_took() -> None:
    assert per_second(repeat(32), 3.0, Clock()) == 32.0
    assert per_second(iter([10, 20, 60, 99]), 2.5, Clock()) == 30.0  # three steps, three seconds


def test_a_piece_has_at_least_one_step() -> None:
    assert per_second(repeat(5), 0.001, Clock()) == 5.0


def test_ratios_are_taken_within_repetitions() -> None:
    """A machine that is twice as slow in the second repetition changes no ratio, but would change that of medians."""
    assert paired_ratio([200.0, 100.0, 210.0], [100.0, 50.0, 70.0]) == 2.0
    assert paired_ratio([1.0, 4.0], [1.0, 2.0]) == 1.5
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("value", "kept"), [(1234.56, 1235.0), (0.123456, 0.1235), (1.5e12, 1.5e12), (0.0, 0.0)])
def test_numbers_keep_four_digits(value: float, kept: float) -> None:
    assert significant(value) == kept


def test_turns_go_there_and_back() -> None:
    order: list[str] = []

    def turn(name: str, values: Iterator[float]) -> float:
        order.append(name)
        return next(values)

    values = {"a": iter([1.0, 2.0, 3.0]), "b": iter([4.0, 5.0, 6.0])}
    rates = alternate({"a": lambda: turn("a", values["a"]), "b": lambda: turn("b", values["b"])}, 3)
    assert "".join(order) == "abbaab"
    assert rates == {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}


def test_what_others_used_is_neither_idle_nor_ours() -> None:
    """Ten seconds on two processors, 15 of the 20 busy, 11 of them ours."""
    assert elsewhere(Usage(100.0, 50.0, 3.0), Usage(110.0, 65.0, 14.0), 2) == 0.2
    assert elsewhere(Usage(100.0, 50.0, 3.0), Usage(110.0, 65.0, 18.5), 2) == 0.0
