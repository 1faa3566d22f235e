"""The trainings that this clone has on record, and all that MLflow is told of them.

A result under reports/ holds its training's run record and history whole, so a clone without weights and data knows
all evaluated trainings; a training that is not evaluated yet has its record in its run folder.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from stages.core.errors import CorruptFileError, StageError
from stages.core.filenames import HISTORY, RECORD
from stages.core.files import json_hash, json_text, read_json
from stages.evaluate.confusion import confusion_png
from stages.evaluate.report import report_text
from stages.track.describe import (
    end_tags,
    epoch_metrics,
    finite,
    milliseconds,
    run_metrics,
    run_tags,
    tested_metrics,
    tested_tags,
)

REPORTS, RUNS = Path("reports"), Path("data/runs")
_REPORT, _CONFUSION = "report.txt", "confusion.png"


class _Section(BaseModel):
    """A part of a file. What MLflow is not told of may be there or not."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class _Git(_Section):
    commit: str
    dirty: bool


class _Images(_Section):
    train_images: str


class _Data(_Section):
    title: str
    sha256: _Images


class _Ended(_Section):
    ended: AwareDatetime


class _Times(_Ended):
    started: AwareDatetime
    seconds: float
    epochs: list[_Ended]


class _Mirrored(_Section):
    run_id: str


class _Record(_Section):
    """What MLflow is told from a run record."""

    cell: Annotated[str, Field(pattern="/")]
    budget: str
    seed: int
    stage: str
    deps: dict[str, Any]
    git: _Git
    config: dict[str, Any]
    run_by: str
    data: _Data
    times: _Times
    outcome: str
    device: str
    precision: str
    threads: int
    images_per_second: float
    sha256: dict[str, str]
    mlflow: _Mirrored | None


class _Evaluated(_Section):
    deps: dict[str, Any]
    times: _Ended


class _Stages(_Section):
    evaluate: str


class _Result(_Section):
    """What MLflow is told from a result."""

    cell: str
    stages: _Stages
    evaluated: _Evaluated
    classes: list[str]
    accuracy: float
    loss: float | None
    at_chance: bool
    report: dict[str, dict[str, float] | float]
    confusion: list[list[int]]
    history: list[dict[str, float | None]]
    run: _Record


class Recorded(NamedTuple):
    """One training on record, and its result if it is evaluated."""

    file: Path  # where that stands
    record: dict[str, Any]
    history: list[dict[str, Any]]
    result: dict[str, Any] | None

    @property
    def identity(self) -> tuple[str, int]:
        """The stage and its start in milliseconds since the epoch: what tells a run from every other in any store."""
        return self.record["stage"], milliseconds(self.record["times"]["started"])

    @property
    def ended(self) -> int:
        """When the training ended, in milliseconds since the epoch."""
        return milliseconds(self.record["times"]["ended"])

    def metrics(self) -> list[tuple[dict[str, float], int, int]]:
        """Every value with its time and step, as the stages tell them while they run."""
        times = [milliseconds(epoch["ended"]) for epoch in self.record["times"]["epochs"]]
        told = [(epoch_metrics(epoch), time, epoch["epoch"]) for epoch, time in zip(self.history, times, strict=True)]
        told.append((run_metrics(self.record), self.ended, 0))
        if self.result:
            told.append((tested_metrics(self.result), milliseconds(self.result["evaluated"]["times"]["ended"]), 0))
        return [(finite(values), time, step) for values, time, step in told]

    def tags(self) -> dict[str, str]:
        """The tags of a run that has ended and, if there is a result, was tested."""
        return run_tags(self.record) | end_tags(self.record) | (tested_tags(self.result) if self.result else {})

    def names(self) -> set[str]:
        """The names of its artifacts."""
        return {RECORD, HISTORY} | ({self.file.name, _REPORT, _CONFUSION} if self.result else set())

    def artifacts(self) -> dict[str, bytes]:
        """The artifacts by their names, made again as the stages made them."""
        files = {RECORD: json_text(self.record).encode(), HISTORY: json_text(self.history).encode()}
        if self.result:
            classes = self.result["classes"]
            files |= {
                self.file.name: json_text(self.result).encode(),
                _REPORT: report_text(self.result["report"], classes).encode(),
                _CONFUSION: confusion_png(self.result["confusion"], classes, self.result["cell"]),
            }
        return files


def budgets() -> list[str]:
    """The budgets that have records here."""
    evaluated = {folder.parent.name for folder in REPORTS.glob("*/cells")}
    return sorted(evaluated | {folder.name for folder in RUNS.glob("*") if folder.is_dir()})


def recorded(budget: str) -> tuple[list[Recorded], list[StageError]]:
    """The trainings of a budget, by their start, and why some of the files are left out.

    A training has one entry: that of its result, or else that of its run folder.
    """
    found: dict[str, Recorded] = {}
    refused = []
    for file in _files(budget):
        try:
            one = _from_result(file) if file.name != RECORD else _from_folder(file.parent)
        except StageError as error:
            refused.append(error)
            continue
        found.setdefault(json_text(one.record), one)
    return sorted(found.values(), key=lambda one: one.identity[1]), refused


def _files(budget: str) -> Iterator[Path]:
    yield from sorted((REPORTS / budget / "cells").glob("*/*.json"))
    yield from sorted((RUNS / budget).glob(f"*/*/s*/{RECORD}"))


def _from_result(file: Path) -> Recorded:
    result = read_json(file, "dvc repro")
    _check(_Result, result, file)
    inputs = [entry["files"] for entry in result["evaluated"]["deps"].values() if RECORD in entry.get("files", {})]
    if len(inputs) != 1:
        raise CorruptFileError(file, f"{len(inputs)} run folders in evaluated.deps", "one")
    for name, content in ((RECORD, result["run"]), (HISTORY, result["history"])):
        _expect_hash(file, f"its {name}", "md5", content, inputs[0].get(name))
    return _counted(Recorded(file, result["run"], result["history"], result))


def _from_folder(folder: Path) -> Recorded:
    record = read_json(folder / RECORD, "dvc repro")
    _check(_Record, record, folder / RECORD)
    history = read_json(folder / HISTORY, record["stage"])
    _expect_hash(folder / HISTORY, "it", "sha256", history, record["sha256"].get(HISTORY))
    return _counted(Recorded(folder / RECORD, record, history, None))


def _check(shape: type[_Section], content: Any, file: Path) -> None:
    """Refuse (CorruptFileError) a file that lacks what MLflow is told, as those of an older version do."""
    try:
        shape.model_validate_json(json_text(content))
    except ValidationError as error:
        findings = error.errors(include_url=False)
        places = [".".join(map(str, finding["loc"])) or "the file" for finding in findings]
        lacking = [place for place, finding in zip(places, findings, strict=True) if finding["type"] == "missing"]
        if lacking:
            raise CorruptFileError(file, f"no {', '.join(lacking)}", "what today's stages write (dvc repro)") from None
        found = f"{places[0]}: {repr(findings[0]['input'])[:60]}"
        raise CorruptFileError(file, found, findings[0]["msg"].removeprefix("Input should be ")) from None


def _counted(one: Recorded) -> Recorded:
    epochs, timed = len(one.history), len(one.record["times"]["epochs"])
    if epochs != timed:
        raise CorruptFileError(one.file, f"{epochs} epochs in the history", f"{timed}, as the run record times them")
    return one


def _expect_hash(file: Path, what: str, algorithm: str, content: Any, expected: str | None) -> None:
    found = json_hash(content, algorithm)
    if found != expected:
        raise CorruptFileError(file, f"{algorithm} of {what} {found}", f"{expected}, as was recorded")
