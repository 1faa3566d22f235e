"""How close a number comes to the one that the paper prints, by tolerances that were fixed before it was made."""

from dataclasses import dataclass
from typing import Literal

Word = Literal["close", "near", "far", "cannot be judged"]
CLOSE: Word = "close"
NEAR: Word = "near"
FAR: Word = "far"
UNJUDGED: Word = "cannot be judged"
UNJUDGED_SHORT = "not judged"  # the same in a narrow column
_SAME = 1e-9  # points: 79.8 is 2.5 from 82.3, whatever floating point makes of it


@dataclass(frozen=True)
class Verdict:
    """Our number held against a printed one."""

    word: Word
    why: str


def judge(paper: str, ours: float, close: float, near: float, as_paper: bool) -> Verdict:
    """The verdict on a mean accuracy in percent. `paper` is the number as it is printed, `close` and `near` are points.

    A printed number stands for all that round to it: `83` for 82.5 to 83.5. The distance is to the nearest of them.
    Trained under other conditions than the paper's (`as_paper` false), a number cannot be judged.
    """
    if not as_paper:
        return Verdict(UNJUDGED, "not trained under the paper's conditions")
    distance = max(0.0, abs(ours - float(paper)) - rounding(paper) - _SAME)
    if distance <= close:
        return Verdict(CLOSE, f"{distance:.2f} points away, at most {close:g}")
    if distance <= near:
        why = f"{distance:.2f} points away, more than {close:g}, at most {near:g}"
        return Verdict(NEAR, why)
    return Verdict(FAR, f"{distance:.2f} points away, more than {near:g}")


def rounding(printed: str) -> float:
    """By how many points a printed number may have been rounded: half a unit of its last digit."""
    _, _, decimals = printed.partition(".")
    return 0.5 * 10 ** -len(decimals)
