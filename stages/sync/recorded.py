"""The recorded trainings of this clone, and what the MLflow run of each holds.

A result under reports/ holds its training's run record and history whole, and its logits lie beside it, so a clone
without weights and data knows all evaluated trainings; a training that is not evaluated yet has its record in its run
folder.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from stages.core.errors import CorruptFileError, MissingFileError, StageError
from stages.core.filenames import HISTORY, RECORD
from stages.core.files import file_hash, json_hash, json_text, read_json
from stages.core.regular import LARGEST_PAGE, is_there, refusal
from stages.evaluate.confusion import confusion_png
from stages.evaluate.report import report_text
from stages.records.evaluation import Evaluation, logits_path, results_folder
from stages.records.record import invalid
from stages.records.run import Epoch, TrainingRun
from stages.track.describe import (
    TrainingStart,
    dataset_input,
    end_tags,
    epoch_metrics,
    finite,
    identity,
    milliseconds,
    run_metrics,
    run_tags,
    tested_metrics,
    tested_tags,
)

REPORTS, RUNS = Path("reports"), Path("data/runs")
_REPORT, _CONFUSION = "report.txt", "confusion.png"
_EPOCHS = TypeAdapter(list[Epoch])


class RecordedTraining(NamedTuple):
    """A recorded training, and its result if it was evaluated."""

    file: Path  # the result, or else the run record
    run: TrainingRun
    history: Sequence[Epoch]
    result: Evaluation | None

    @property
    def identity(self) -> tuple[str, int]:
        """The training's, as `stages.track.describe` has it."""
        return identity(self.run)

    @property
    def ended(self) -> int:
        """When the training ended, in milliseconds since the epoch."""
        return milliseconds(self.run.times.ended)

    def metrics(self) -> list[tuple[dict[str, float], int, int]]:
        """Every value with its time and step, as the stages report them while they run."""
        times = [milliseconds(epoch.ended) for epoch in self.run.times.epochs]
        values = [(epoch_metrics(epoch), time, epoch.epoch) for epoch, time in zip(self.history, times, strict=True)]
        values.append((run_metrics(self.run), self.ended, 0))
        if self.result:
            values.append((tested_metrics(self.result), milliseconds(self.result.times.ended), 0))
        return [(finite(some), time, step) for some, time, step in values]

    def tags(self) -> dict[str, str]:
        """The tags of a run that has ended and, if there is a result, was tested."""
        tested = tested_tags(self.result) if self.result else {}
        return run_tags(TrainingStart.of(self.run)) | end_tags(self.run) | tested

    def names(self) -> set[str]:
        """The names of its artifacts."""
        if self.result is None:
            return {RECORD, HISTORY}
        return {RECORD, HISTORY, self.file.name, logits_path(self.file).name, _REPORT, _CONFUSION}

    def artifacts(self) -> dict[str, bytes]:
        """The artifacts by their names, with the bytes that the stages gave them."""
        files = {RECORD: self.run.text().encode(), HISTORY: history_text(self.history).encode()}
        if self.result:
            classes = self.result.classes
            files |= {
                self.file.name: self.result.text().encode(),
                logits_path(self.file).name: logits_path(self.file).read_bytes(),
                _REPORT: report_text(self.result.report, classes).encode(),
                _CONFUSION: confusion_png(self.result.confusion, classes, self.result.cell),
            }
        return files


def history_text(history: Sequence[Epoch]) -> str:
    """The text of history.json."""
    return json_text(_json(history))


def recorded_budgets() -> list[str]:
    """The budgets that have records here."""
    evaluated = {folder.parent.name for folder in REPORTS.glob("*/cells")}
    return sorted(evaluated | {folder.name for folder in RUNS.glob("*") if folder.is_dir()})


def read_trainings(budget: str) -> tuple[list[RecordedTraining], list[StageError]]:
    """The trainings of a budget, by their start, and why some of the files are left out.

    A training has one entry: that of its result, or else that of its run folder.
    """
    found: dict[str, RecordedTraining] = {}
    refused = []
    for file in _files(budget):
        try:
            one = _from_result(file) if file.name != RECORD else _from_folder(file.parent)
        except StageError as error:
            refused.append(error)
            continue
        found.setdefault(one.run.text(), one)
    return sorted(found.values(), key=lambda one: one.identity[1]), refused


def _files(budget: str) -> Iterator[Path]:
    yield from sorted(results_folder(budget).glob("*/*.json"))
    yield from sorted((RUNS / budget).glob(f"*/*/s*/{RECORD}"))


def _from_result(file: Path) -> RecordedTraining:
    result = Evaluation.read(file, "dvc repro")
    try:
        _, folder = result.run_folder
    except KeyError as error:
        raise CorruptFileError(file, f"no input with {error.args[0]}", "the tested run, in provenance.inputs") from None
    files = folder.files or {}
    _expect(file, f"md5 of its {RECORD}", result.run.md5(), files.get(RECORD))
    _expect(file, f"md5 of its {HISTORY}", json_hash(_json(result.history)), files.get(HISTORY))
    logits = logits_path(file)
    if not is_there(logits):
        raise MissingFileError(logits, f"dvc repro {result.stage}")
    if wrong := refusal(logits, LARGEST_PAGE):
        raise CorruptFileError(logits, wrong, f"the logits of {result.stage}")
    _expect(logits, "sha256", file_hash(logits, "sha256"), result.sha256.logits)
    return _checked(RecordedTraining(file, result.run, result.history, result))


def _from_folder(folder: Path) -> RecordedTraining:
    run = TrainingRun.read(folder / RECORD, "dvc repro")
    content = read_json(folder / HISTORY, run.stage)
    _expect(folder / HISTORY, "sha256", file_hash(folder / HISTORY, "sha256"), run.sha256.history)
    try:
        history = _EPOCHS.validate_python(content)
    except ValidationError as error:
        raise invalid(error, content, folder / HISTORY, run.stage) from None
    return _checked(RecordedTraining(folder / RECORD, run, history, None))


def _json(history: Sequence[Epoch]) -> list[dict[str, float | None]]:
    return [epoch.model_dump(mode="json", exclude_unset=True) for epoch in history]


def _checked(one: RecordedTraining) -> RecordedTraining:
    """The training, if MLflow can be given all of it. Raises CorruptFileError."""
    epochs, timed = len(one.history), len(one.run.times.epochs)
    if epochs != timed:
        raise CorruptFileError(one.file, f"{epochs} epochs in the history", f"{timed}, as the run record times them")
    try:
        _ = dataset_input(TrainingStart.of(one.run)), one.identity, one.metrics(), one.tags()
    except KeyError as error:
        raise CorruptFileError(one.file, f"no {error.args[0]}", "what dvc repro writes there") from None
    except ValueError as error:
        raise CorruptFileError(one.file, str(error), "times as dvc repro writes them") from None
    return one


def _expect(file: Path, what: str, found: str, expected: str | None) -> None:
    if found != expected:
        raise CorruptFileError(file, f"{what} {found}", f"{expected}, as was recorded")
