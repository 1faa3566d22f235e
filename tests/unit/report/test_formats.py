"""How numbers are written: rounding, signs, and what is not there."""

import pytest

from stages.report.formats import fixed, signed, typeset


@pytest.mark.parametrize(
    ("value", "as_fixed", "as_signed", "as_typeset"),
    [
        (None, "–", "–", "–"),
        (97.165, "97.16", "+97.16", "97.16"),  # half to even
        (97.175, "97.18", "+97.18", "97.18"),
        (-1.5, "-1.50", "−1.50", "−1.50"),
        (-0.004, "-0.00", "0.00", "0.00"),
        (0.0, "0.00", "0.00", "0.00"),
        (float("inf"), "inf", "+inf", "inf"),
    ],
)
def test_two_decimals(value: float | None, as_fixed: str, as_signed: str, as_typeset: str) -> None:
    assert (fixed(value, 2), signed(value, 2), typeset(value)) == (as_fixed, as_signed, as_typeset)
