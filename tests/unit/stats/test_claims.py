"""Every way in which comparisons can decide a claim, or not, and which of them is named."""

import pytest

from stages.stats.bounds import Bounded
from stages.stats.claims import FAILS, HOLDS, OPEN, Check, ClaimResult, Part


def check(p_for: float | None, p_against: float | None) -> Check:
    met = p_for is not None and p_for < 0.5
    return Check(f"{p_for} {p_against}", "above 0", "points", Bounded(1.0, met, None, p_for, p_against))


def part(needs: str, *ps: tuple[float | None, float | None]) -> Part:
    assert needs in ("all", "any")
    return Part("a sentence", "a rule", needs, 0.05, tuple(check(*pair) for pair in ps))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "outcome", "decisive", "p"),
    [
        (part("all", (0.01, 0.99), (0.04, 0.96)), HOLDS, 1, 0.04),
        (part("all", (0.01, 0.99), (0.06, 0.94)), OPEN, 1, 0.06),
        (part("all", (0.01, 0.99), (0.98, 0.02)), FAILS, 1, 0.04),
        (part("all", (0.5, 0.5), (0.97, 0.03)), OPEN, 1, 0.97),  # 0.03 of two is 0.06
        (part("all", (0.01, 0.99), (None, None)), OPEN, 1, None),
        (part("all", (None, None), (0.99, 0.01)), FAILS, 1, 0.01),
        (part("all", (None, 0.5), (None, 0.001)), FAILS, 1, 0.002),
        (part("any", (0.01, 0.99), (0.9, 0.1)), HOLDS, 0, 0.02),
        (part("any", (0.03, 0.97), (0.9, 0.1)), OPEN, 0, 0.06),
        (part("any", (0.97, 0.03), (0.96, 0.04)), FAILS, 1, 0.04),
        (part("any", (0.99, 0.01), (None, None)), OPEN, 0, 0.99),
        (part("any", (None, None), (0.01, 0.99)), HOLDS, 1, 0.01),
        (part("any", (None, None)), OPEN, 0, None),
    ],
)
def test_a_part(found: Part, outcome: str, decisive: int, p: float | None) -> None:
    assert found.outcome == outcome
    assert found.decisive is found.checks[decisive]
    assert found.p == (None if p is None else pytest.approx(p))


@pytest.mark.parametrize("needs", ["all", "any"])
def test_nothing_to_compare_tells_nothing(needs: str) -> None:
    found = part(needs)
    assert (found.outcome, found.decisive, found.p) == (OPEN, None, None)


@pytest.mark.parametrize(
    ("outcomes", "expected", "decisive"),
    [
        ([HOLDS, HOLDS], HOLDS, 0),
        ([HOLDS, OPEN], OPEN, 1),
        ([OPEN, FAILS], FAILS, 1),
        ([FAILS, HOLDS], FAILS, 0),
    ],
)
def test_a_claim_is_the_sum_of_its_parts(outcomes: list[str], expected: str, decisive: int) -> None:
    ps = {HOLDS: (0.01, 0.99), OPEN: (0.5, 0.5), FAILS: (0.99, 0.01)}
    parts = tuple(part("all", ps[outcome]) for outcome in outcomes)  # type: ignore[index]
    result = ClaimResult("C0", "a claim", parts)
    assert result.outcome == expected
    assert result.decisive is parts[decisive]
