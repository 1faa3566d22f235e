"""`claims.md`: each claim of the paper, what these numbers say of it, and the comparisons behind that."""

from typing import NamedTuple

from stages.report.captions import done_sentence
from stages.report.claims import table_cells, under_paper_conditions
from stages.report.evidence import Evidence
from stages.report.formats import MINUS, NOTHING, listed
from stages.report.markdown import document, escape, folded, table
from stages.stats.claims import FAILS, HOLDS, Check, ClaimResult, Part, corrected
from stages.stats.intervals import FEWEST_SEEDS

_SMALLEST_SHOWN = 0.001  # p values below it are printed as such
_FEW = 6  # names of cells that have not run, in a sentence


def claims_page(evidence: Evidence, results: list[ClaimResult]) -> str:
    """The whole page."""
    return document(
        f"# The paper's claims, budget `{evidence.budget_name}`",
        _warning(evidence),
        _introduction(evidence),
        summary(evidence, results),
        *(_section(evidence, result) for result in results),
    )


def summary(evidence: Evidence, results: list[ClaimResult]) -> str:
    """The claims as a table: outcome, statistic, and the comparison that decides."""
    rows = [
        [result.name, escape(result.claim), f"**{result.outcome}**", *_deciding(evidence, result.decisive)]
        for result in results
    ]
    return table(["", "claim", "outcome", "statistic", "why"], rows)


def _deciding(evidence: Evidence, part: Part) -> list[str]:
    return [statistic(part), reason(evidence, part)]


def _warning(evidence: Evidence) -> str:
    if under_paper_conditions(evidence):
        return ""
    return (
        f"> **This judges the numbers of budget `{evidence.budget_name}`, not the paper.** They were not trained under "
        "the paper's conditions (see the tables' captions), so a claim that fails here may well hold there, and the "
        "other way round."
    )


def _introduction(evidence: Evidence) -> str:
    level = evidence.params.claims.level
    sentences = (
        "What the paper says in words, as tests with thresholds that stand in `params.yaml` (`claims`) before any run.",
        f"A claim holds, or does not, when the p value of the test that could show so is at most {level:g}; with "
        "neither, it cannot be told. Where all comparisons must bear a claim out, the largest p counts; where any "
        "could decide, the smallest after Holm's correction for their number.",
        _on_seeds(evidence),
        _lacking(evidence),
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _on_seeds(evidence: Evidence) -> str:
    counts = {len(cell.results) for cell in table_cells(evidence)} - {0}
    if not counts:
        return ""
    n = f"n = {min(counts)}" if len(counts) == 1 else f"n from {min(counts)} to {max(counts)}"
    if min(counts) >= FEWEST_SEEDS:
        return f"Tests are over the {n} seeds."
    return (
        f"**{n}: how far seeds spread is unknown below {FEWEST_SEEDS} of them**, so what is said of trainings "
        "in general cannot be told. What is said to have no exception can be refuted by one training, and times need "
        "no seeds."
    )


def _lacking(evidence: Evidence) -> str:
    cells = table_cells(evidence)
    if all(cell.has_run for cell in cells):
        return ""
    return f"{done_sentence(cells)} A claim cannot be told while a cell that it compares has not run."


def _section(evidence: Evidence, result: ClaimResult) -> str:
    several = len(result.parts) > 1
    parts = [_part(evidence, part, several) for part in result.parts]
    return document(f"## {result.name}. {escape(result.claim)}", f"**Outcome: {result.outcome}.**", *parts).rstrip()


def _part(evidence: Evidence, part: Part, several: bool) -> str:
    sentence = f"*{escape(part.sentence)}* {part.outcome.capitalize()}." if several else ""
    title = f"{len(part.checks)} comparison{'s' if len(part.checks) != 1 else ''}"
    listing = folded(title, checks_table(part)) if part.checks else ""
    because = f"{statistic(part)}. {reason(evidence, part)}".removeprefix(f"{NOTHING}. ")
    return document(sentence, f"How: {escape(part.rule)}", because, listing).rstrip()


def statistic(part: Part) -> str:
    """The p that decides, or that is too large to, and of how many comparisons it is which; a dash for none."""
    if part.p is None:
        return NOTHING
    which = "largest" if part.is_of_every else "smallest, by Holm,"
    p = f"p {_p(part.p)}" if part.p < _SMALLEST_SHOWN else f"p = {_p(part.p)}"
    return f"{p} ({which} of {len(part.checks)})" if len(part.checks) > 1 else p


def reason(evidence: Evidence, part: Part) -> str:
    """A sentence or two: the comparison that decides a part, or that stands in the way, with its number."""
    check = part.decisive
    if check is None:
        return "There is nothing to compare."
    met = sum(one.found.as_asked for one in part.checks)
    if part.lacking:
        made = sum(not one.lacks for one in part.checks)
        asked = f", of which {met} came out as asked" if made else ""
        return f"{made} of {len(part.checks)} comparisons can be made{asked}. Not run: {_few(part.lacking)}."
    found = NOTHING if check.found.value is None else value_text(check)
    number = f"{escape(check.name)}, {found}, where {check.asks} is asked"
    if part.outcome == HOLDS:
        shown = "The least clear" if part.is_of_every else "The clearest"
        return f"{shown} of the comparisons that bear it out: {number}."
    if part.outcome == FAILS:
        return f"Refuted by {number}." if not part.is_of_every else f"No comparison bears it out; at best {number}."
    doubt = f"{met} of {len(part.checks)} comparisons came out as asked, but {_missing(check)}"
    return f"{doubt}. {'The least clear is' if check.found.as_asked else 'In the way of an answer stands'} {number}."


def _few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    shown, more = [escape(name) for name in names[:_FEW]], len(names) - _FEW
    return listed([*shown, f"{more} more"] if more > 0 else shown)


def _missing(check: Check) -> str:
    if check.found.note:
        return f"one has no p ({check.found.note})"
    if check.found.p_for is not None or check.seeds >= FEWEST_SEEDS:
        return "that may be luck"
    return f"with {check.seeds} seed{'s' if check.seeds > 1 else ''} that may be luck, either way"


def value_text(check: Check) -> str:
    """A comparison's value with its unit, and its interval."""
    interval = check.found.interval
    ends = f" [{_number(interval.low)} to {_number(interval.high)}]" if interval else ""
    return f"{_number(check.found.value)} {check.unit}{ends}"


def checks_table(part: Part) -> str:
    """Every comparison behind a part, as a table."""
    interval = f"{100 * (1 - 2 * part.level):g} % interval"
    header = ["comparison", "asked", "value", interval, "p for", "p against"]
    paired = paired_column(part)
    titles = [paired.title] if paired else []
    beside = [[entry] for entry in paired.entries] if paired else [[] for _ in part.checks]
    rows = [[*_row(check), *entry, check.found.note] for check, entry in zip(part.checks, beside, strict=True)]
    return table([*header, *titles, "note"], rows, numbers=range(2, len(header) + len(titles)))


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


def _row(check: Check) -> list[str]:
    interval = check.found.interval
    return [
        escape(check.name),
        f"{check.asks} {check.unit}",
        _number(check.found.value),
        f"{_number(interval.low)} to {_number(interval.high)}" if interval else NOTHING,
        _p(check.found.p_for),
        _p(check.found.p_against),
    ]


def _p(p: float | None) -> str:
    return NOTHING if p is None else f"&lt; {_SMALLEST_SHOWN:g}" if p < _SMALLEST_SHOWN else f"{p:.3f}"


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)  # + 0.0: what rounds to zero has no sign
