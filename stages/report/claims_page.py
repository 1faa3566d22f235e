"""`claims.md`: each claim of the paper, what these numbers say of it, and the comparisons behind that."""

from typing import NamedTuple

from stages.report.captions import done_sentence
from stages.report.claims import table_cells, under_paper_conditions
from stages.report.evidence import Evidence
from stages.report.formats import NOTHING, listed, typeset
from stages.report.markdown import escape
from stages.report.render import RenderedText, markdown
from stages.stats.claims import FAILS, HOLDS, Check, ClaimResult, Part, corrected
from stages.stats.intervals import FEWEST_SEEDS

_SMALLEST_SHOWN = 0.001  # p values below it are printed as such
_FEW = 6  # names of cells that have not run, in a sentence


def claims_page(evidence: Evidence, results: list[ClaimResult]) -> RenderedText:
    """The whole page."""
    cells = table_cells(evidence)
    return markdown(
        "claims",
        budget=evidence.budget_name,
        as_paper=under_paper_conditions(evidence),
        level=f"{evidence.params.claims.level:g}",
        on_seeds=_on_seeds(evidence),
        lacking=done_sentence(cells) if any(not cell.has_run for cell in cells) else "",
        claims=results,
        statistic=statistic,
        reason=reason,
        paired_column=paired_column,
        number=typeset,
        p=_p,
    )


def _on_seeds(evidence: Evidence) -> str:
    counts = {len(cell.results) for cell in table_cells(evidence)} - {0}
    if not counts:
        return ""
    n = f"n = {min(counts)}" if len(counts) == 1 else f"n from {min(counts)} to {max(counts)}"
    if min(counts) >= FEWEST_SEEDS:
        return f"Tests are over the {n} seeds, those of times over the cells."
    return (
        f"**{n}: how far seeds spread is unknown below {FEWEST_SEEDS} of them**, so what is said of trainings "
        "in general cannot be told. What is said to have no exception can be refuted by one training, and times need "
        "no seeds."
    )


def statistic(part: Part) -> str:
    """The p that decides, or that is too large to, and of how many comparisons it is which; a dash for none."""
    if part.p is None:
        return NOTHING
    which = "largest" if part.uses_max_p else "smallest, by Holm,"
    p = f"p {_p(part.p)}" if part.p < _SMALLEST_SHOWN else f"p = {_p(part.p)}"
    return f"{p} ({which} of {len(part.checks)})" if len(part.checks) > 1 else p


def reason(part: Part) -> str:
    """A sentence or two: the comparison that decides a part, or that stands in the way, with its number."""
    check = part.decisive
    if check is None:
        return "There is nothing to compare."
    met = sum(one.found.met for one in part.checks)
    if part.lacking:
        made = sum(not one.lacks for one in part.checks)
        asked = f", of which {met} came out as asked" if made else ""
        return f"{made} of {len(part.checks)} comparisons can be made{asked}. Not run: {_few(part.lacking)}."
    found = NOTHING if check.found.value is None else value_text(check)
    number = f"{escape(check.name)}, {found}, where {check.asks} is asked"
    if part.outcome == HOLDS:
        shown = "The least clear" if part.uses_max_p else "The clearest"
        return f"{shown} of the comparisons that bear it out: {number}."
    if part.outcome == FAILS:
        return f"Refuted by {number}." if not part.uses_max_p else f"No comparison bears it out; at best {number}."
    counted = f"{met} of {len(part.checks)} comparisons came out as asked; {_missing(check)}"
    least = "The least clear is" if part.uses_max_p else "The clearest is"
    return f"{counted}. {least if check.found.met else 'What keeps it open is'} {number}."


def _few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    shown, more = [escape(name) for name in names[:_FEW]], len(names) - _FEW
    return listed([*shown, f"{more} more"] if more > 0 else shown)


def _missing(check: Check) -> str:
    if check.found.note:
        return f"one has no p ({check.found.note})"
    if check.found.p_for is not None or check.seeds >= FEWEST_SEEDS:
        return "chance cannot be excluded"
    return f"with {check.seeds} seed{'s' if check.seeds > 1 else ''}, chance cannot be excluded either way"


def value_text(check: Check) -> str:
    """A comparison's value with its unit, and its interval."""
    interval = check.found.interval
    ends = f" [{typeset(interval.low)} to {typeset(interval.high)}]" if interval else ""
    return f"{typeset(check.found.value)} {check.unit}{ends}"


class PairedColumn(NamedTuple):
    """The column of the exact tests beside."""

    title: str
    entries: list[str]


def paired_column(part: Part) -> PairedColumn | None:
    """The column of the exact tests beside: its title and one entry a comparison; None where no comparison has any.

    McNemar's are corrected for their number; a sign flip's p stands beside the smallest that the seeds could come to.
    """
    if all(check.paired_p is None for check in part.checks):
        return None
    adjusted = corrected([check.paired_p for check in part.checks])
    of_one_seed = all(check.smallest is None for check in part.checks)
    return PairedColumn(
        "McNemar's p (Holm's)" if of_one_seed else "sign-flip p (smallest possible)",
        [
            _p(p) if check.smallest is None else f"{_p(check.paired_p)} ({_p(check.smallest)})"
            for check, p in zip(part.checks, adjusted, strict=True)
        ],
    )


def _p(p: float | None) -> str:
    return NOTHING if p is None else f"&lt; {_SMALLEST_SHOWN:g}" if p < _SMALLEST_SHOWN else f"{p:.3f}"
