"""Whether a budget's numbers come as close to the paper's as is asked for: a test for CI, told by the exit status.

    python -m stages.audit verdict --budget paper                        every row close
    python -m stages.audit verdict V --rows near --as-logged             Table V: near, or so as the logs suggest
    python -m stages.audit verdict --rows any --claims C3,C7             two claims, and every row run

In:  params.yaml, data/paper, reports/<budget>/cells: a fresh clone has them all.
Out: what is not met, one line each, or with --json as JSON. Exit status 0 when all is met, else 1.
The tolerances are `verdicts` in params.yaml. A row that has not run, or cannot be judged under the budget, is not met.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from stages.audit.numbers import selected
from stages.audit.options import budget_option, echo_json
from stages.core.errors import ParamError
from stages.core.imports import without_collection
from stages.report.claims import judge_claims
from stages.report.evidence import Evidence, evidence_of
from stages.report.rows import TableRow, table_rows
from stages.stats.claims import HOLDS
from stages.stats.verdicts import CLOSE, NEAR

_ENOUGH: dict[str, tuple[str, ...] | None] = {"close": (CLOSE,), "near": (CLOSE, NEAR), "any": None}
_ALL = "all"


class Asked(NamedTuple):
    """One thing that is asked for, whether it is met, and what was found."""

    name: str
    met: bool
    found: str


@click.command()
@click.argument("words", nargs=-1, metavar="[TABLE [ROW] | CELL]")
@budget_option
@click.option("--rows", type=click.Choice(list(_ENOUGH)), default="close", show_default=True, help="how close at least")
@click.option("--as-logged", is_flag=True, help="a row is met by its as-logged number too")
@click.option("--claims", metavar="C1,C3|all", help="claims that must hold; by default none is asked for")
@click.option("--json", "as_json", is_flag=True, help="everything that was asked, as JSON")
def main(
    words: tuple[str, ...], budget: str | None, rows: str, as_logged: bool, claims: str | None, as_json: bool
) -> None:
    """Hold a budget's rows and claims to the paper's; exit with 0 when all is met, else with 1."""
    with without_collection():
        evidence = evidence_of(budget)
    name = evidence.budget_name
    every = [row for number in evidence.params.tables for row in table_rows(evidence, number)]
    asked = [_row(row, _ENOUGH[rows], as_logged) for row in _chosen(every, words)]
    asked += _claims(evidence, claims) if claims is not None else []
    missed = [one for one in asked if not one.met]
    if as_json:
        echo_json(_content(name, asked))
    else:
        for one in missed:
            click.echo(f"{one.name}: {one.found}")
        click.echo(f"budget {name}: {len(asked) - len(missed)} of {len(asked)} met")
    if missed:
        raise SystemExit(1)


def _chosen(rows: list[TableRow], words: Sequence[str]) -> list[TableRow]:
    """The paper's rows that the words name; without words all of them. Raises ParamError for none."""
    printed = [row for row in (selected(rows, words) if words else rows) if row.paper]
    if words and not printed:
        raise ParamError("TABLE or CELL", words[0], "a table or row that the paper prints, with a number to be held to")
    return printed


def _row(row: TableRow, enough: tuple[str, ...] | None, as_logged: bool) -> Asked:
    numbers = [row, row.as_logged] if as_logged and row.as_logged else [row]
    met = any(_is(number, enough) for number in numbers)
    return Asked(f"Table {row.table}, {row.row}", met, "; ".join(_found(number) for number in numbers))


def _is(number: TableRow, enough: tuple[str, ...] | None) -> bool:
    if enough is None:
        return number.has_run
    return number.verdict is not None and number.verdict.word in enough


def _found(number: TableRow) -> str:
    logged = "as logged " if number.is_as_logged else ""
    if not number.verdict:
        return f"{logged}{number.mean_text}"
    return f"{logged}{number.verdict.word}, {number.mean_text} (paper {number.paper}): {number.verdict.why}"


def _claims(evidence: Evidence, claims: str) -> list[Asked]:
    """The claims of these names, separated by commas. Raises ParamError for one that there is not."""
    names = [name.strip() for name in claims.split(",")]
    judged = {claim.name: claim for claim in judge_claims(evidence)}
    if names == [_ALL]:
        names = list(judged)
    for name in names:
        if name not in judged:
            raise ParamError("--claims", name, "all, or some of " + ", ".join(judged))
    return [Asked(f"claim {name}", judged[name].outcome == HOLDS, judged[name].outcome) for name in names]


def _content(budget: str, asked: list[Asked]) -> dict[str, Any]:
    return {"budget": budget, "met": all(one.met for one in asked), "asked": [one._asdict() for one in asked]}


if __name__ == "__main__":
    main()
