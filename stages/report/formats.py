"""How numbers are printed: as many decimals as the number of images behind a percentage supports."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import ceil, isfinite, log10

MINUS = "\N{MINUS SIGN}"
EXACT = 6  # decimals in files: more than any number of images supports, less than floating point's noise
NOTHING = "\N{EN DASH}"  # stands where there is no number


def decimals(images: int) -> int:
    """Decimals of a percentage of so many images: 1 for 1000, 2 for 10000."""
    return max(0, ceil(log10(images)) - 2)


def fixed(value: float | None, places: int) -> str:
    """A number with so many decimals, or a dash for None."""
    return NOTHING if value is None else f"{_decimal(value):.{places}f}"


def signed(value: float | None, places: int) -> str:
    """A difference with its sign, or a dash for None. What rounds to zero has no sign."""
    if value is None:
        return NOTHING
    text = f"{_decimal(value):+.{places}f}"
    return text[1:] if not float(text) else text.replace("-", MINUS)


def typeset(value: float | None, places: int = 2) -> str:
    """A number as print has it, with a minus sign; what rounds to zero has none."""
    return signed(value, places).removeprefix("+")


def _decimal(value: float) -> Decimal | float:
    """The value as files have it, to be rounded half to even (97.165 to 97.16).

    As a float it may lie just above or below the half, and the mean of two numbers with two decimals often ends in one.
    """
    return Decimal(str(exact(value))) if isfinite(value) else value


def exact(value: float | None) -> float | None:
    """A number as files have it."""
    return None if value is None else round(value, EXACT)


def csv_text(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Lines as CSV, in this order of columns; what is None or not there is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def listed(items: list[str], last: str = "and") -> str:
    """Items as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
