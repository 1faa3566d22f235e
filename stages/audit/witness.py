"""Holds somebody else's run of the same code against ours, number by number.

    python -m stages.audit witness their/ledger.json

In:  reports/<budget>/ledger.json of another clone, trained there by others, and ours of the same budget.
Out: a line for each number and seed: `same` (the same bytes all along, by the binding), `near` or `far` (another
     accuracy; the processors are named), `other` (another code, settings or data: nothing can be said), or `alone`.
     Exit status: 0 all same, 3 some not and none far, 1 some far.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.audit.options import budget_option
from stages.core.errors import CorruptFileError, printable
from stages.core.files import parse_json
from stages.core.regular import LARGEST_PAGE, read_regular
from stages.records.planned import params_of
from stages.records.record import Natural, invalid

_EXIT = {"same": 0, "near": 3, "other": 3, "alone": 3, "far": 1}
_MADE_BY = "dvc repro, as reports/<budget>/ledger.json"


class _Loose(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Data(_Loose):
    md5: str


class _Result(_Loose):
    binding: str


class _Training(_Loose):
    code_sha256: str
    settings_sha256: str
    processor: str
    data: _Data


class _Seed(_Loose):
    seed: Natural
    correct: Natural
    test_images: int = Field(ge=1)
    result: _Result
    training: _Training


class _Number(_Loose):
    cell: str
    seeds: list[_Seed]


class _Ledger(_Loose):
    budget: str
    numbers: list[_Number]


class Line(NamedTuple):
    """What a witness says of a cell and seed."""

    kind: str
    cell: str
    seed: int
    text: str


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@budget_option
@click.option(
    "--points",
    type=click.FloatRange(0, 100),
    default=20.0,
    show_default=True,
    help="points of accuracy that a training may come out apart where bytes differ",
)
def witness(file: Path, budget: str | None, points: float) -> None:
    """Hold FILE, the ledger.json of somebody else's run, against ours."""
    budget = budget or params_of(budget).budget
    theirs, ours = _read(file), _read(Path("reports") / budget / "ledger.json")
    if theirs.budget != budget:
        raise CorruptFileError(
            file, f"the ledger of budget {theirs.budget}", f"that of {budget}, or --budget {theirs.budget}"
        )
    lines = list(compared(ours, theirs, points))
    for line in lines:
        click.echo(printable(f"{line.kind:<6} {line.cell}, seed {line.seed}: {line.text}"))
    counts = Counter(line.kind for line in lines)
    click.echo("witness: " + ", ".join(f"{counts[kind]} {kind}" for kind in _EXIT if counts[kind]))
    raise SystemExit(_EXIT["far"] if counts["far"] else max((_EXIT[kind] for kind in counts), default=3))


def compared(ours: _Ledger, theirs: _Ledger, points: float) -> Iterator[Line]:
    """Each cell and seed that either of two ledgers has."""
    mine, others = _by_training(ours), _by_training(theirs)
    for cell, seed in sorted(mine.keys() | others.keys()):
        one, other = mine.get((cell, seed)), others.get((cell, seed))
        if one is None or other is None:
            yield Line("alone", cell, seed, "only ours" if other is None else "only theirs")
        else:
            yield _line(cell, seed, one, other, points)


def _line(cell: str, seed: int, ours: _Seed, theirs: _Seed, points: float) -> Line:
    if ours.result.binding == theirs.result.binding:
        return Line("same", cell, seed, f"{ours.correct} of {ours.test_images}, the same bytes all along")
    made_of = {
        "code": (ours.training.code_sha256, theirs.training.code_sha256),
        "settings": (ours.training.settings_sha256, theirs.training.settings_sha256),
        "data": (ours.training.data.md5, theirs.training.data.md5),
        "test images": (ours.test_images, theirs.test_images),
    }
    if others := [name for name, (one, other) in made_of.items() if one != other]:
        return Line("other", cell, seed, f"another {', '.join(others)}")
    apart = 100 * abs(ours.correct - theirs.correct) / ours.test_images
    found = f"{ours.correct} and {theirs.correct} of {ours.test_images}, {apart:.2f} points apart"
    machines = f"ours on {ours.training.processor}, theirs on {theirs.training.processor}"
    return Line("near" if apart <= points else "far", cell, seed, f"{found}; {machines}")


def _by_training(ledger: _Ledger) -> dict[tuple[str, int], _Seed]:
    return {(number.cell, seed.seed): seed for number in ledger.numbers for seed in number.seeds}


def _read(path: Path) -> _Ledger:
    content: Any = parse_json(read_regular(path, _MADE_BY, LARGEST_PAGE), path, _MADE_BY)
    try:
        return _Ledger.model_validate(content)
    except ValidationError as error:
        raise invalid(error, content, path, _MADE_BY) from None
