"""The findings as a page of markdown."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.rules import RULES

_MEANING = {
    Confidence.CERTAIN: "Both cannot be true, whatever the rounding.",
    Confidence.LIKELY: "Follows from an assumption, a statistic or another publication, which the rule states.",
    Confidence.READING: "Depends on the number that a word of the prose is taken for.",
    Confidence.NOT_SHOWN: "The prose speaks of it, and nothing printed shows it.",
}
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "\n": " "}
_FIGURE_OR_ROW = re.compile(r"Fig\. |Table [IVX]+: ")
_TEMPLATES = Path(__file__).parent / "templates"


def paper_audit_page(findings: Sequence[Finding]) -> str:
    """The findings, the surest first, then the rules with how many each has found; they need not be sorted."""
    groups = [
        {"name": confidence.value, "title": confidence.capitalize(), "meaning": meaning, "findings": found}
        for confidence, meaning in _MEANING.items()
        if (found := [each for each in findings if each.confidence == confidence])
    ]
    counts = {rule.name: sum(each.rule == rule.name for each in findings) for rule in RULES}
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        finalize=_escape,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (no HTML)
    )
    page = environment.get_template("paper_audit.md.j2")
    return page.render(findings=findings, groups=groups, rules=RULES, counts=counts, often=_often(findings))


def _often(findings: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """The figures and rows that more than one rule accuses, the most accused first."""
    rules: dict[str, list[str]] = defaultdict(list)
    for each in findings:
        for place in each.places:
            if _FIGURE_OR_ROW.match(place) and each.rule not in rules[place]:
                rules[place].append(each.rule)
    often = [(place, names) for place, names in rules.items() if len(names) > 1]
    return sorted(often, key=lambda accused: -len(accused[1]))


def _escape(value: object) -> object:
    """Text that may hold `<` or `|`, which a table of markdown would swallow."""
    return "".join(_ESCAPES.get(character, character) for character in value) if isinstance(value, str) else value
