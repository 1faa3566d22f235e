"""Whether every number follows from what it says it does, proved from the bytes that are here.

    python -m stages.audit verify                              all numbers of the budget of params.yaml
    python -m stages.audit verify IV "VGG16 with ADAM"         one row; or a cell: verify cifar10/vgg16-adam
    python -m stages.audit verify --weights                    and predicts again from the stored weights
    python -m stages.audit verify --retrain mnist/resnet18     and trains that cell again

Each number is `proved`; or `agrees`: made again on another processor or with other versions, it came out as near as it
should, which proves nothing; or `incomplete`: nothing speaks against it, and what is named is not on this clone; or
`broken`: what is named differs. The exit status is 0 when all are proved, 3 when some are not and none is broken, 1
when one is broken or the question cannot be put (a usage error is 2, as everywhere).

What that proves: that the tables are made of the results, the results of the logits, and that logits, weights, data,
code and settings are those that were recorded, by the run as it started, by DVC as it ended, and by the commit. It
cannot know whether all of these were written anew by somebody who wanted to, dvc.lock included: against that stand the
history of dvc.lock in git, `--weights` (the predictions come from the weights) and `--retrain` (the weights come from
code and data).
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from stages.audit.findings import AGREES, BROKEN, INCOMPLETE, PROVED, Finding, note, status
from stages.audit.numbers import Number, chosen, planned
from stages.core.errors import ParamError
from stages.core.filenames import WEIGHTS
from stages.core.imports import without_collection
from stages.core.regular import is_regular, read_regular
from stages.records.dvc_lock import LOCK_FILE, Lock
from stages.records.planned import params_of

if TYPE_CHECKING:
    from stages.audit.workspace import Workspace

_EXIT = {PROVED: 0, AGREES: 3, INCOMPLETE: 3, BROKEN: 1}
_SHOWN = 4  # numbers named beside a finding that they share


class Verdict(NamedTuple):
    """What was found of a number, and its value in percent."""

    number: Number
    percent: float | None
    findings: list[Finding]


@click.command(
    epilog="Exit status: 0 all proved, 3 some not (not all is on this clone, or bits differ here), 1 some broken."
)
@click.argument("where", metavar="[TABLE or CELL]", required=False)
@click.argument("row", required=False)
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--seed", type=int, help="numbers of this seed alone")
@click.option("--weights", is_flag=True, help="predict again from the stored weights, and compare")
@click.option("--retrain", metavar="CELL", help="train CELL again, and compare")
@click.option(
    "--changed",
    type=click.FloatRange(0, 100),
    default=3.0,
    show_default=True,
    help="percent of the test images that may be taken for another class, where processor or versions are others",
)
@click.option(
    "--points",
    type=click.FloatRange(0, 100),
    default=20.0,
    show_default=True,
    help="points of accuracy that a training may come out apart, where processor or versions are others",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def main(
    where: str | None,
    row: str | None,
    budget: str | None,
    seed: int | None,
    weights: bool,
    retrain: str | None,
    changed: float,
    points: float,
    as_json: bool,
) -> None:
    """Prove the numbers of the tables, or say what is missing or broken."""
    started = time.monotonic()
    lock = Lock(required=False)
    params = params_of(budget, lock)
    if retrain is not None:
        params.find(retrain)
        where = where or retrain
    with without_collection():
        from stages.audit.workspace import Workspace
    workspace = Workspace(budget or params.budget, params, lock)
    every = planned(params)
    numbers = chosen(every, where, row, seed)
    cells = sorted({str(number.key) for number in numbers})
    if retrain not in (None, *cells):
        raise ParamError("--retrain", retrain, "a cell of the numbers asked for: " + ", ".join(cells))
    verdicts, pages = verify(numbers, every, workspace)
    if weights or retrain is not None:
        with without_collection():
            from stages.audit.rerun import predict_again, train_again
        for verdict in verdicts:
            if weights:
                verdict.findings.extend(predict_again(verdict.number, workspace, changed))
            if str(verdict.number.key) == retrain:
                verdict.findings.extend(train_again(verdict.number, workspace, changed, points))
    if not as_json:
        click.echo(headline(verdicts, workspace))
        print_verdicts(verdicts, pages, time.monotonic() - started)
    else:
        click.echo(json.dumps(as_document(workspace.budget, verdicts, pages), indent=1, ensure_ascii=False))
    raise SystemExit(_EXIT[status([*pages, *(finding for one in verdicts for finding in one.findings)])])


def verify(
    numbers: Sequence[Number], every: Sequence[Number], workspace: "Workspace"
) -> tuple[list[Verdict], list[Finding]]:
    """What was found of each of the `numbers`, and of the pages of `every` number of the budget."""
    from stages.audit.checks import check_number, inputs
    from stages.audit.pages import check_pages, value

    workspace.disk.prefetch(path for number in numbers for path in inputs(number, workspace))
    printed = check_pages(every, workspace)
    verdicts = []
    for number in numbers:
        findings = [*check_number(number, workspace), *printed.of_numbers[number]]
        verdicts.append(Verdict(number, value(number, workspace), list(dict.fromkeys(findings))))
    return verdicts, [*dict.fromkeys(printed.of_pages), *_notes(workspace)]


def _notes(workspace: "Workspace") -> Iterable[Finding]:
    """What the reader must know to weigh all of it."""
    if head := workspace.history.head():
        edited = workspace.history.edited()
        state = f"with {len(edited)} changed files under stages/, {edited[0]} among them" if edited else "as committed"
        yield note(f"what judges here is the code of commit {head[:12]}, {state}")
    committed = workspace.history.committed(LOCK_FILE.as_posix())
    there = read_regular(LOCK_FILE, "DVC") if is_regular(LOCK_FILE) else b""
    if committed is None:
        yield note(f"{LOCK_FILE} is in no commit here: nothing tells when its hashes were written")
    elif committed != there:
        yield note(
            f"{LOCK_FILE} differs from the last commit's: until it is committed, nothing tells when it was written"
        )


def headline(verdicts: Sequence[Verdict], workspace: "Workspace") -> str:
    """One line: how many results, and rows of the paper's tables, follow from the predictions that are committed."""
    results = [one for one in verdicts if one.percent is not None]
    recounted = [one.number for one in results if status(one.findings) != BROKEN]
    of_paper = {(table, row.row) for table, found in workspace.params.tables.items() for row in found.rows}
    asked, follow = ({(one.table, one.row) for one in some} & of_paper for some in (_numbers(verdicts), recounted))
    stages = [workspace.stages.train(one.number.key, one.number.seed) for one in results]
    weights = sum(any((Path(out) / WEIGHTS).is_file() for out in stage.outs) for stage in stages)
    line = f"{len(recounted)} of {len(results)} results recounted from committed predictions"
    if asked:
        line += f", {len(follow)} of {len(asked)} rows of the paper's tables"
    if missing := len(verdicts) - len(results):
        line += f"; {missing} planned without a result"
    return f"{line}; weights of {weights or 'none'} are here"


def _numbers(verdicts: Sequence[Verdict]) -> list[Number]:
    return [one.number for one in verdicts]


def print_verdicts(verdicts: Sequence[Verdict], pages: Sequence[Finding], seconds: float) -> None:
    """One line for each number, one for the pages, then what was found, each thing once."""
    width = max(len(f"{one.number.table}, {one.number.row}") for one in verdicts)
    for one in verdicts:
        number = one.number
        place, percent = f"{number.table}, {number.row}", "" if one.percent is None else f"{one.percent:.2f}"
        outdated = " (outdated)" if _outdated(one.findings) else ""
        click.echo(
            f"{status(one.findings):<10}  {place:<{width}}  {percent:>6}  {number.key}, seed {number.seed}{outdated}"
        )
    click.echo(f"{status(pages):<10}  the pages: tables, appendix, studies, ledger, the book; figures by their hash")
    shared: dict[Finding, list[str]] = defaultdict(list)
    for one in verdicts:
        for finding in one.findings:
            shared[finding].append(str(one.number))
    for finding in pages:
        shared[finding].append("the pages")
    for kind in (BROKEN, INCOMPLETE, AGREES, "note"):
        of_kind = {finding: owners for finding, owners in shared.items() if finding.kind == kind}
        if of_kind:
            click.echo(f"\n{kind}:")
        for line, owners in _gathered(of_kind) if kind == INCOMPLETE else of_kind.items():
            click.echo(f"- {line}\n    {_named(owners, len(verdicts))}")
    counted = Counter(status(one.findings) for one in verdicts)
    near = f", {counted[AGREES]} in agreement" if counted[AGREES] else ""
    counts = f"{counted[PROVED]} {PROVED}{near}, {counted[INCOMPLETE]} {INCOMPLETE}, {counted[BROKEN]} {BROKEN}"
    click.echo(f"\nnumbers: {counts}; the pages: {status(pages)} ({seconds:.1f} s)")


def _gathered(shared: dict[Finding, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """What is not here, one line for each folder below `data` or `reports` and each way to get it."""
    folders: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in shared:
        folders["/".join(finding.where.split("/")[:2]), finding.expected].append(finding)
    for (folder, how), findings in folders.items():
        owners = list(dict.fromkeys(owner for finding in findings for owner in shared[finding]))
        first, others = findings[0].where, len(findings) - 1
        more = f" and {others} more in {folder} are" if others else " is"
        yield f"{first}{more} not here: {how}", owners


def _outdated(findings: Sequence[Finding]) -> bool:
    """Whether all that is broken is so because the working tree has changed since."""
    wrong = [finding for finding in findings if finding.kind == BROKEN]
    return bool(wrong) and all(finding.outdated for finding in wrong)


def _named(owners: Sequence[str], every: int) -> str:
    if every > 1 and len(owners) >= every:
        return "all numbers"
    more = f", and {len(owners) - _SHOWN} more" if len(owners) > _SHOWN else ""
    return "; ".join(owners[:_SHOWN]) + more


def as_document(budget: str, verdicts: Sequence[Verdict], pages: Sequence[Finding]) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "budget": budget,
        "numbers": [
            {
                "table": one.number.table,
                "row": one.number.row,
                "cell": str(one.number.key),
                "seed": one.number.seed,
                "percent": one.percent,
                "status": status(one.findings),
                "findings": [finding._asdict() for finding in one.findings],
            }
            for one in verdicts
        ],
        "pages": {"status": status(pages), "findings": [finding._asdict() for finding in pages]},
    }
