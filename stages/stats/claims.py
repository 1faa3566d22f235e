"""What becomes of a claim: it holds, it does not hold, or that cannot be told, with the comparison that decides it.

A claim is about trainings, so the spread that counts is that over seeds, and fewer than three seeds tell nothing. The
exception are claims that no case is like this: one training that clearly is, by its images, is a case, and refutes.

A claim that all of its comparisons must bear out holds when the largest p is at or below the level (an intersection-
union test, R. L. Berger, Technometrics 24, 1982: no correction); one that fails, or one that any comparison can bear
out, is told by the smallest p after Holm's correction for their number.

A claim of which a comparison lacks a training cannot be told, whatever the others show: the correction is for all of
them, and looking before they are all there would need another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from stages.stats.bounds import Bounded
from stages.stats.paired import holm

Outcome = Literal["holds", "does not hold", "cannot be told"]
HOLDS: Outcome = "holds"
FAILS: Outcome = "does not hold"
OPEN: Outcome = "cannot be told"


@dataclass(frozen=True)
class Check:
    """One comparison behind a claim: what is compared, what the claim asks of it, and what was found.

    `unit` is of the value, its interval and what is asked. `paired_p` is the answer of an exact test beside: McNemar's
    on the test images of one seed, or the sign flips over several, with the `smallest` p that it could have come to.
    `seeds` is how many of each cell are compared, and `lacks` names the cells without a training.
    """

    name: str
    asks: str
    unit: str
    found: Bounded
    paired_p: float | None = None
    smallest: float | None = None
    seeds: int = 0
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One sentence of a claim, and the comparisons of which all must, or any can, bear it out.

    `rule` says in words what is compared, and by which test.
    """

    sentence: str
    rule: str
    needs: Literal["all", "any"]
    level: float
    checks: tuple[Check, ...]

    @cached_property
    def outcome(self) -> Outcome:
        """What the comparisons show."""
        if self.lacking:
            return OPEN
        if self.needs == "all":
            return HOLDS if self._every(self._for) else FAILS if self._some(self._against) else OPEN
        return HOLDS if self._some(self._for) else FAILS if self._every(self._against) else OPEN

    @cached_property
    def decisive(self) -> Check | None:
        """The comparison that decides, or that stands in the way of a decision; None where there is none."""
        unknown = [check for check, p in zip(self.checks, self._ps, strict=True) if p is None]
        known = [(p, place) for place, p in enumerate(self._ps) if p is not None]
        if unknown and (self.uses_max_p or not known):
            return next((check for check in unknown if check.found.met != self.uses_max_p), unknown[0])
        return self.checks[(max(known) if self.uses_max_p else min(known))[1]] if known else None

    @cached_property
    def p(self) -> float | None:
        """The p that decides, or that is too large to: Holm's where any comparison could decide."""
        if self.lacking:
            return None
        ps = self._ps if self.uses_max_p else corrected(self._ps)
        return ps[self.checks.index(self.decisive)] if self.decisive else None

    @property
    def lacking(self) -> list[str]:
        """The cells that have no training and are to be compared, each once."""
        return list(dict.fromkeys(name for check in self.checks for name in check.lacks))

    @property
    def uses_max_p(self) -> bool:
        """Whether `p` is the largest of all comparisons, uncorrected; else it is the smallest, corrected for many."""
        return (self.needs == "all") != (self.outcome == FAILS)

    @property
    def _ps(self) -> list[float | None]:
        return self._against if self.outcome == FAILS else self._for

    @property
    def _for(self) -> list[float | None]:
        return [check.found.p_for for check in self.checks]

    @property
    def _against(self) -> list[float | None]:
        return [check.found.p_against for check in self.checks]

    def _every(self, ps: list[float | None]) -> bool:
        return bool(ps) and all(p is not None and p <= self.level for p in ps)

    def _some(self, ps: list[float | None]) -> bool:
        return any(p is not None and p <= self.level for p in corrected(ps))


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper, in our words, and what these numbers say of it."""

    name: str
    claim: str
    parts: tuple[Part, ...]

    @property
    def outcome(self) -> Outcome:
        """It holds when every part does, and does not when one does not."""
        found = {part.outcome for part in self.parts}
        return FAILS if FAILS in found else HOLDS if found == {HOLDS} else OPEN

    @property
    def decisive(self) -> Part:
        """The part that decides, or that stands in the way of a decision; of several that hold, the least clear."""
        matching = [part for part in self.parts if part.outcome == self.outcome]
        return max(matching, key=lambda part: part.p or 0.0) if self.outcome == HOLDS else matching[0]


def corrected(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p values of those that are known."""
    adjusted = iter(holm([p for p in ps if p is not None]))
    return [None if p is None else next(adjusted) for p in ps]
