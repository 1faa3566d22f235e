"""What the prose says, without a test of its numbers: two places of it, its sources, and what no row shows."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import combinations

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.matching import TableAccuracy, table_accuracies
from stages.audit_paper.rounding import RoundingInterval, significant
from stages.config.params import Params
from stages.core.errors import ParamError
from stages.paper.reading import PAPER_FOLDER
from stages.paper.schema import Claim, Paper

CLAIM_AND_CLAIM = "claim-and-claim"
CLAIM_AND_SOURCE = "claim-and-source"
CLAIM_WITHOUT_ROW = "claim-without-row"
_FILE = PAPER_FOLDER / "claims.csv"


def refusal(claim: Claim, column: str, value: str | Iterable[str], allowed: str) -> ParamError:
    """The error for a claim that cannot be tested, because of this value, or these names, in a column."""
    text = value if isinstance(value, str) else ";".join(value)
    return ParamError(f"{_FILE}: {claim.says!r}, {column}", text, f"{allowed} for {claim.quantity}")


def rows_of(claim: Claim, paper: Paper, params: Params) -> dict[tuple[str, str], list[TableAccuracy]]:
    """The printed rows that a claim is about, by data set and family."""
    found: dict[tuple[str, str], list[TableAccuracy]] = {}
    for row in table_accuracies(paper, params):
        if claim.speaks_of(row.dataset, row.family):
            found.setdefault((row.dataset, row.family), []).append(row)
    return found


def claim_and_claim(paper: Paper, params: Params) -> Iterator[Finding]:
    """Two places that give one quantity of one thing different values."""
    for one, other in combinations([each for each in paper.claims if each.relation == "equals"], 2):
        if one.quantity == other.quantity and _share_a_subject(one, other) and one.value != other.value:
            yield Finding(
                CLAIM_AND_CLAIM,
                Confidence.CERTAIN,
                (*dict.fromkeys((one.place, other.place)), *_common_tables(one, other, params)),
                f"{one.says} ({one.section})",
                f"{other.says} ({other.section})",
                f"Two values for one thing, {one.quantity}: {one.value} and {other.value}.",
            )


def claim_and_source(paper: Paper, params: Params) -> Iterator[Finding]:
    """A number of a published network against the publication."""
    for each in paper.claims:
        for source in paper.published:
            if each.quantity != source.quantity or source.network not in each.where:
                continue
            said = _said(each)
            if not said.low <= Fraction(source.value) <= said.high:
                yield Finding(
                    CLAIM_AND_SOURCE,
                    Confidence.LIKELY,
                    (each.place,),
                    each.says,
                    f"{source.quantity} of {source.network}: {source.value}; {source.source}",
                    "The publication of the network has another number" + _others(each, source.value, paper) + ".",
                )


def _others(claim: Claim, value: str, paper: Paper) -> str:
    """Where the same paper prints the published value."""
    found = [
        other.section
        for other in paper.claims
        if other.quantity == claim.quantity and _said(other) == significant(value)
    ]
    return f"; sections {', '.join(found)} of this paper print {value}" if found else ""


def _said(claim: Claim) -> RoundingInterval:
    try:
        return significant(claim.value)
    except ValueError:
        raise refusal(claim, "value", claim.value, "a number like 224 or 140M") from None


def _share_a_subject(one: Claim, other: Claim) -> bool:
    """Whether two claims are about one data set, family and place; what a claim leaves open is about all."""
    same_dataset = not one.dataset or not other.dataset or one.dataset == other.dataset
    pairs = ((one.families, other.families), (one.where, other.where))
    return same_dataset and all(not left or not right or set(left) & set(right) for left, right in pairs)


def _common_tables(one: Claim, other: Claim, params: Params) -> list[str]:
    return [f"Table {number}" for number in params.paper_tables if number in one.where and number in other.where]


def claim_without_row(paper: Paper, params: Params) -> Iterator[Finding]:
    """Something that the prose says was tried, and that the rows of some table do not show."""
    for each in paper.claims:
        if each.quantity == "row":
            yield from _row(each, paper, params)


def _row(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """A row of that very label (`is printed`), or one whose label has the words (`is named`), in each table."""
    wanted, in_part = claim.value.lower(), claim.relation == "is named"
    missing = [
        f"Table {rows[0].table}"
        for rows in rows_of(claim, paper, params).values()
        if not any(wanted == row.row.lower() or (in_part and wanted in row.row.lower()) for row in rows)
    ]
    if missing:
        lacks = f'no row {"names" if in_part else "is called"} "{claim.value}"'
        places = (claim.place, *missing)
        sentence = "The text speaks of it, and no row of these tables shows it by its label."
        yield Finding(CLAIM_WITHOUT_ROW, Confidence.NOT_SHOWN, places, claim.says, lacks, sentence)
