"""How far every number can be followed back, by the bytes that are here, and whether anything contradicts it.

    python -m stages.audit verify                              all numbers of the budget of params.yaml
    python -m stages.audit verify IV "VGG16 with ADAM"         one row; or a cell: verify cifar10/vgg16-adam
    python -m stages.audit verify --weights                    and predicts again from the stored weights
    python -m stages.audit verify --data                       and makes the arrays again from the raw data
    python -m stages.audit verify --retrain mnist/resnet18     and trains that cell again
    python -m stages.audit verify --retrain --sample 3         and trains three numbers again, drawn by lot

Each number has a level (`stages.report.levels`): `consistent`, `recounted`, `predicted`, `derived`, `retrained`. Asked
is `recounted`, which committed files alone give, and what the options add; `--level` names it instead. Where a number
falls short it is `incomplete` (what is named is not here) or `agrees` (made again on another processor or with other
versions it came out as near as it should, which raises no level); where two places differ it is `broken`.

Exit status: 0 when nothing is broken and every number with a result has the level that was asked, 3 when nothing is
broken and one has not, 1 when one is broken or the question cannot be put; a usage error is 2, as everywhere.
docs/verification.md says what no level can know.
"""

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from stages.audit.findings import AGREES, BROKEN, HOLDS, INCOMPLETE, Finding, judged, levels, note, status
from stages.audit.history import Verifier, verifier
from stages.audit.numbers import Number, chance, chosen, drawn, planned
from stages.audit.options import budget_option, echo_json
from stages.core.errors import ParamError, few
from stages.core.imports import without_collection
from stages.core.regular import is_regular, read_regular
from stages.records.dvc_lock import LOCK_FILE, Lock
from stages.records.planned import NOT_RUN, params_of_pages
from stages.report.levels import LEVELS, MEANS, Level, following, highest

if TYPE_CHECKING:
    from stages.audit.workspace import Workspace

_EXIT: dict[str, int] = {HOLDS: 0, AGREES: 3, INCOMPLETE: 3, BROKEN: 1}
_SHOWN = 4  # numbers named beside a finding that they share
_LOT = "--sample"  # the value of --retrain where none is given
_HOW = {"predicted": "--weights", "derived": "--data", "retrained": "--retrain"}


class CheckedNumber(NamedTuple):
    """What was found of a number, its value in percent, whether it has run, and the levels that are asked of it."""

    number: Number
    percent: float | None
    findings: list[Finding]
    has_run: bool = True
    asked: tuple[Level, ...] = LEVELS[:2]

    @property
    def status(self) -> str:
        """How it stands to what is asked of it."""
        return status(self.findings, self.asked) if self.has_run else NOT_RUN

    @property
    def level(self) -> Level | None:
        """The highest level that it has reached."""
        return highest(levels(self.findings)) if self.has_run else None

    @property
    def word(self) -> str:
        """The level if the status is `holds`, with passed checks beyond it; else the status."""
        if self.status != HOLDS or self.level is None:
            return self.status
        beyond = [level for level in levels(self.findings) if LEVELS.index(level) > LEVELS.index(self.level)]
        return ", ".join([self.level, *beyond])


class Extra(NamedTuple):
    """What is recomputed, and the tolerances where bytes may differ."""

    weights: bool
    data: bool
    retrained: Collection[Number]
    changed: float
    points: float

    def asked(self, number: Number, level: Level | None) -> tuple[Level, ...]:
        """The levels that are asked of a number: those up to `level`, or the first two and what is done beside."""
        if level is not None:
            return LEVELS[: LEVELS.index(level) + 1]
        beside = {"predicted": self.weights, "derived": self.data, "retrained": number in self.retrained}
        return tuple(one for one in LEVELS if beside.get(one, True))


@click.command(
    epilog="Exit status: 0 nothing is broken and the level asked is reached, 3 nothing is broken and it is not (what "
    "is named is not here, or bits differ here), 1 something is broken."
)
@click.argument("where", metavar="[TABLE or CELL]", required=False)
@click.argument("row", required=False)
@budget_option
@click.option("--seed", type=int, help="numbers of this seed alone")
@click.option("--level", type=click.Choice(LEVELS), help="do what this level needs, and ask it of every number")
@click.option("--weights", is_flag=True, help="predict again from the stored weights, and compare")
@click.option("--data", is_flag=True, help="make the arrays again from the canonical raw data, and compare")
@click.option(
    "--retrain",
    metavar="[CELL]",
    is_flag=False,
    flag_value=_LOT,
    help="train CELL again, and compare; without CELL those that --sample draws",
)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="train N numbers again, drawn by lot")
@click.option("--draw", type=click.IntRange(0), metavar="S", help="the lot's seed; by default one that nobody knows")
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
    level: Level | None,
    weights: bool,
    data: bool,
    retrain: str | None,
    sample: int | None,
    draw: int | None,
    changed: float,
    points: float,
    as_json: bool,
) -> None:
    """Follow the numbers of the tables back, and say their level, what is missing for the next, and what is broken."""
    started = time.monotonic()
    lock = Lock(required=False)
    params = params_of_pages(budget, lock)
    cell = None if retrain in (None, _LOT) else retrain
    if cell is not None:
        params.find(cell)
        where = where or cell
    with without_collection():
        from stages.audit.workspace import Workspace
    workspace = Workspace(budget or params.budget, params, lock)
    every = planned(params)
    numbers = chosen(every, where, row, seed)
    there = [number for number in numbers if workspace.result(number).is_file()]
    lot, draw = _lot(there, numbers, retrain, sample, draw, level)
    needs = LEVELS[: LEVELS.index(level) + 1] if level else ()
    extra = Extra(weights or "predicted" in needs, data or "derived" in needs, lot, changed, points)
    checked, pages = verify(numbers, every, workspace)
    checked = [one._replace(asked=extra.asked(one.number, level)) for one in checked]
    recompute(checked, workspace, extra)
    if extra.weights:
        pages += rebuilt(numbers if len(numbers) < len(every) else None, workspace)
    by = verifier()
    if not as_json:
        click.echo(headline(checked, pages, workspace))
        click.echo(str(by))
        if sample:
            click.echo(chance(len(there), len(lot), draw or 0))
        print_checked(checked, pages, time.monotonic() - started)
    else:
        echo_json(as_document(workspace.budget, checked, pages, by))
    raise SystemExit(exit_status(checked, pages))


def _lot(
    there: Sequence[Number],
    numbers: Sequence[Number],
    retrain: str | None,
    sample: int | None,
    draw: int | None,
    level: Level | None,
) -> tuple[list[Number], int | None]:
    """The numbers that are trained again, and the seed by which they were drawn."""
    if sample is not None:
        if retrain not in (None, _LOT):
            raise ParamError("--sample", sample, "without a CELL for --retrain: it draws the cells")
        draw = secrets.randbelow(2**32) if draw is None else draw
        return drawn(there, sample, draw), draw
    if draw is not None:
        raise ParamError("--draw", draw, "with --sample alone")
    if retrain == _LOT:
        raise ParamError("--retrain", "nothing", "a cell, or --sample N")
    cells = sorted({str(number.key) for number in numbers})
    if retrain not in (None, *cells):
        raise ParamError("--retrain", retrain, "a cell of the numbers asked for: " + ", ".join(cells))
    return [one for one in numbers if str(one.key) == retrain or level == "retrained"], None


def verify(
    numbers: Sequence[Number], every: Sequence[Number], workspace: "Workspace"
) -> tuple[list[CheckedNumber], list[Finding]]:
    """What was found of each of the `numbers`, and of the pages of `every` number of the budget."""
    from stages.audit.checks import check_number, inputs
    from stages.audit.earlier import check_earlier
    from stages.audit.pages import check_pages

    workspace.disk.prefetch(path for number in numbers for path in inputs(number, workspace))
    printed = check_pages(every, workspace)
    earlier = check_earlier(numbers, workspace)
    ended = {(one.start.cell, one.start.seed) for one in workspace.dropped}
    checked = []
    for number in numbers:
        findings = list(
            dict.fromkeys([*check_number(number, workspace), *earlier[number], *printed.of_numbers[number]])
        )
        recorded = workspace.lock.entry(workspace.stages.evaluate(number.key, number.seed).name) is not None
        recorded = recorded or (str(number.key), number.seed) in ended
        has_run = recorded or workspace.result(number).exists() or status(findings) == BROKEN
        result, _ = workspace.read(number)
        checked.append(CheckedNumber(number, result.percent if result else None, findings, has_run))
    return checked, [*dict.fromkeys(printed.of_pages), *_notes(workspace)]


def recompute(checked: Sequence[CheckedNumber], workspace: "Workspace", extra: Extra) -> None:
    """Make arrays, predictions and weights again where asked; findings are added to their number."""
    if extra.data:
        from stages.audit.derive import derive

        for one in checked:
            one.findings.extend(derive(one.number, workspace))
    if extra.weights or extra.retrained:
        with without_collection():
            from stages.audit.rerun import predict_again, train_again
        for one in checked:
            if extra.weights:
                one.findings.extend(predict_again(one.number, workspace, extra.changed))
            if one.number in extra.retrained:
                one.findings.extend(train_again(one.number, workspace, extra.changed, extra.points))


def rebuilt(numbers: Sequence[Number] | None, workspace: "Workspace") -> list[Finding]:
    """What is found by building the networks of some numbers anew, or (None) all that are recorded."""
    with without_collection():
        from stages.audit.architectures import build_anew
    return [*judged("the networks", build_anew(numbers, workspace))]


def exit_status(checked: Sequence[CheckedNumber], pages: Sequence[Finding]) -> int:
    """1 for anything broken, 3 where a number falls short or none has run, else 0."""
    found = {status(pages, LEVELS[:1]), *(one.status for one in checked)} - {NOT_RUN}
    if all(one.status == NOT_RUN for one in checked):
        found.add(INCOMPLETE)
    return max((_EXIT[one] for one in found if one != BROKEN), default=0) if BROKEN not in found else _EXIT[BROKEN]


def _notes(workspace: "Workspace") -> Iterable[Finding]:
    """What the reader must know to weigh all of it."""
    if workspace.history.is_shallow():
        yield note("shallow clone: earlier results cannot be looked up (git fetch --unshallow)")
    committed = workspace.history.content("HEAD", LOCK_FILE.as_posix())
    there = read_regular(LOCK_FILE, "DVC") if is_regular(LOCK_FILE) else b""
    if committed is None:
        yield note(f"{LOCK_FILE} is in no commit here: nothing tells when its hashes were written")
    elif committed != there:
        yield note(
            f"{LOCK_FILE} differs from the last commit's: until it is committed, nothing tells when it was written"
        )


def headline(checked: Sequence[CheckedNumber], pages: Sequence[Finding], workspace: "Workspace") -> str:
    """One line: how many numbers, and rows of the paper's tables, have which level, and whether anything is broken."""
    results = [one for one in checked if one.has_run]
    counted = Counter(one.level for one in results if one.level)
    parts = [
        f"{number} of {len(results)} numbers {level} ({MEANS[level]})"
        for level, number in sorted(counted.items(), key=lambda item: -LEVELS.index(item[0]))
    ]
    line = f"{workspace.budget}: {'; '.join(parts) or f'none of {len(results)} numbers holds'}"
    of_paper = {(table, row.row) for table, found in workspace.params.paper_tables.items() for row in found.rows}
    if asked := {(one.number.table, one.number.row) for one in checked} & of_paper:
        hold = {(one.number.table, one.number.row) for one in results if one.status == HOLDS} & asked
        line += f"; {len(hold)} of {len(asked)} rows of the paper's tables have the level asked"
    broken = sum(one.status == BROKEN for one in results) + (status(pages) == BROKEN)
    line += f"; {broken or 'nothing'} broken"
    if gone := len(workspace.dropped):
        line += f"; {gone} training{'s' if gone > 1 else ''} came to an end without a result here"
    return line + (f"; {len(checked) - len(results)} planned and not run" if len(results) < len(checked) else "")


def print_checked(checked: Sequence[CheckedNumber], pages: Sequence[Finding], seconds: float) -> None:
    """One line for each number, one for the pages, then what was found, each thing once."""
    width = max(len(f"{one.number.table}, {one.number.row}") for one in checked)
    words = max(10, *(len(one.word) for one in checked))
    for one in checked:
        number = one.number
        place, percent = f"{number.table}, {number.row}", "" if one.percent is None else f"{one.percent:.2f}"
        outdated = " (outdated)" if _outdated(one.findings) else ""
        click.echo(f"{one.word:<{words}}  {place:<{width}}  {percent:>6}  {number.key}, seed {number.seed}{outdated}")
    of_pages = _of_pages(pages)
    pages_of = "tables, appendix, studies, networks, cards, ledger, attempts, the book; figures by their hash"
    click.echo(f"{of_pages:<{words}}  the pages: {pages_of}")
    asked = {level for one in checked if one.has_run for level in one.asked}
    shared: dict[Finding, list[str]] = defaultdict(list)
    for one in checked:
        lacking = {*asked} - {*levels(one.findings)}  # arrays that were made again need not be here
        for finding in one.findings:
            if not one.has_run and finding.kind != "note":
                continue  # a number that has not run lacks its result and all that is made from it
            if finding.kind != INCOMPLETE or finding.level in lacking:
                shared[finding].append(str(one.number))
    for finding in pages:
        shared[finding].append("the pages")
    ran = sum(one.has_run for one in checked)
    for kind in (BROKEN, INCOMPLETE, AGREES, "note"):
        of_kind = {finding: owners for finding, owners in shared.items() if finding.kind == kind}
        if of_kind:
            click.echo(f"\n{kind}:")
        for line, owners in _gathered(of_kind) if kind == INCOMPLETE else of_kind.items():
            click.echo(f"- {line}\n    {_named(owners, ran)}")
    if lines := list(_next_levels(checked)):
        click.echo("\nnext level:")
        for line in lines:
            click.echo(f"- {line}")
    counted = Counter(one.word if one.status == HOLDS else one.status for one in checked)
    counts = [f"{number} {word}" for word, number in counted.items() if word not in (INCOMPLETE, BROKEN, NOT_RUN)]
    counts += [f"{counted[kind]} {kind}" for kind in (INCOMPLETE, BROKEN)]
    counts += [f"{counted[NOT_RUN]} {NOT_RUN}"] if counted[NOT_RUN] else []
    click.echo(f"\nnumbers: {', '.join(counts)}; the pages: {of_pages} ({seconds:.1f} s)")


def _of_pages(pages: Sequence[Finding]) -> str:
    found = status(pages, LEVELS[:1])
    return "consistent" if found == HOLDS else found


def _next_levels(checked: Sequence[CheckedNumber]) -> Iterator[str]:
    """What the numbers need for their next level: one line for each level and kind of need."""
    found: dict[tuple[Level, str], list[CheckedNumber]] = defaultdict(list)
    for one in checked:
        level = following(one.level)
        if one.status == HOLDS and level is not None:
            found[level, _lacks(one, level)[1]].append(one)
    for (level, how), of_level in found.items():
        owners = _named([str(one.number) for one in of_level], sum(one.has_run for one in checked))
        files = list(dict.fromkeys(file for one in of_level for file in _lacks(one, level)[0]))
        lacks = f" {few(files, 1)}, not here ({how});" if files else ""
        yield f"{level} ({MEANS[level]}) needs{lacks} verify {_HOW.get(level, '')}\n    {owners}"


def _lacks(one: CheckedNumber, level: Level) -> tuple[list[str], str]:
    """The files that a number's next level needs and that are not here, and how to get them."""
    lacking = [finding for finding in one.findings if finding.kind == INCOMPLETE and finding.level == level]
    return [finding.where for finding in lacking], lacking[0].how if lacking else ""


def _gathered(shared: dict[Finding, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """What is not here, one line for each folder below `data` or `reports` and each way to get it."""
    folders: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in shared:
        folders["/".join(finding.where.split("/")[:2]), finding.how].append(finding)
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
    return few(owners, _SHOWN, "; ")


def as_document(
    budget: str, checked: Sequence[CheckedNumber], pages: Sequence[Finding], by: Verifier
) -> dict[str, Any]:
    """The same as JSON. A number's `next` is the level after its own and what that needs."""
    return {
        "budget": budget,
        "verifier": {"commit": by.commit, "changed": by.changed},
        "numbers": [
            {
                "table": one.number.table,
                "row": one.number.row,
                "cell": str(one.number.key),
                "seed": one.number.seed,
                "percent": one.percent,
                "status": one.status,
                "level": one.level,
                "passed": levels(one.findings) if one.has_run else [],
                "asked": list(one.asked),
                "next": _next(one),
                "findings": [finding._asdict() for finding in one.findings],
            }
            for one in checked
        ],
        "pages": {"status": status(pages, LEVELS[:1]), "findings": [finding._asdict() for finding in pages]},
    }


def _next(one: CheckedNumber) -> dict[str, Any] | None:
    level = following(one.level)
    if level is None or not one.has_run:
        return None
    files, how = _lacks(one, level)
    return {"level": level, "missing": files, "how": how, "option": _HOW.get(level)}
