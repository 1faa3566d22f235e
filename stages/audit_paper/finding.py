"""What a rule finds: two printed things that do not go together, and how sure that is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from stages.config.params import Params
from stages.paper.schema import Paper


class Confidence(StrEnum):
    """How sure a finding is."""

    CERTAIN = "certain"  # both cannot be true, whatever the rounding; or a coincidence that nobody would believe
    LIKELY = "likely"  # follows from an assumption that the rule states, a statistic, or another publication
    READING = "a matter of reading"  # depends on what a word of the prose is taken for
    NOT_SHOWN = "not shown"  # no contradiction: the prose speaks of something that nothing printed shows


@dataclass(frozen=True)
class Finding:
    """What a rule found: where, what is printed there, what that contradicts or lacks, and why, in a sentence."""

    rule: str
    confidence: Confidence
    places: tuple[str, ...]
    printed: str
    contradicts: str
    sentence: str


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it compares, what makes it sure, and the function that looks."""

    name: str
    compares: str
    basis: str
    find: Callable[[Paper, Params], Iterable[Finding]]
