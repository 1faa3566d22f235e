"""All that a report is made from: the parameters, the results that there are, the paper's numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev

from stages.config.cells import CellKey
from stages.config.params import Params, resolve_count
from stages.config.schema import Budget, DatasetSettings, Table
from stages.core.regular import is_there
from stages.paper.reading import read_paper
from stages.paper.schema import Paper
from stages.records.attempts import Attempts
from stages.records.evaluation import Evaluation, ReadResult, ResultReader, result_path, results_folder
from stages.records.planned import params_of_pages
from stages.records.run import FINISHED
from stages.report.results import expected_test_images, read_result
from stages.stats.intervals import Interval, accuracy_interval


@dataclass(frozen=True)
class CellResults:
    """A cell's planned seeds, and the results of those that have one, both in ascending order of the seeds."""

    key: CellKey
    planned: tuple[int, ...]
    results: tuple[Evaluation, ...]

    @property
    def has_run(self) -> bool:
        """Whether there is any result."""
        return bool(self.results)

    @property
    def seeds(self) -> list[int]:
        """The seeds that have a result."""
        return [result.seed for result in self.results]

    @property
    def first(self) -> Evaluation | None:
        """The result of the lowest seed that has one, which the appendix and the confusion matrices show."""
        return self.results[0] if self.results else None

    @property
    def mean(self) -> float | None:
        """Mean test accuracy in percent; None without a result."""
        return fmean(result.percent for result in self.results) if self.results else None

    @property
    def validation(self) -> float | None:
        """Mean validation accuracy in percent after the last epoch; None without a result."""
        if not self.results:
            return None
        return fmean(100 * result.history[-1].validation_accuracy for result in self.results)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds in points; None for fewer than two."""
        return stdev(result.percent for result in self.results) if len(self.results) > 1 else None

    @property
    def has_learned(self) -> bool:
        """Whether any seed's training finished above chance."""
        return any(result.outcome == FINISHED for result in self.results)

    def interval(self, confidence: float) -> Interval | None:
        """The interval of the mean test accuracy in percent; see `accuracy_interval` for which one."""
        if not self.results:
            return None
        return accuracy_interval([result.correct for result in self.results], self.results[0].test_images, confidence)

    def of_seeds(self, seeds: Iterable[int]) -> "CellResults":
        """The results of some of the seeds alone."""
        kept = set(seeds)
        return CellResults(self.key, self.planned, tuple(result for result in self.results if result.seed in kept))

    @property
    def curve(self) -> list[float]:
        """Validation accuracy in percent after each epoch that all seeds have, mean over the seeds."""
        return [fmean(epoch) for epoch in zip(*self.curves, strict=False)]

    @property
    def curves(self) -> list[list[float]]:
        """Validation accuracy in percent after each epoch, of each seed."""
        return [[100 * line.validation_accuracy for line in result.history] for result in self.results]


@dataclass(frozen=True, eq=False)
class Evidence:
    """The results of a budget, by cell, beside the parameters that asked for them and the paper's numbers.

    `cells` are those that were looked at; all others have no results. `attempts` are the trainings that were started.
    """

    params: Params
    budget_name: str
    cells: dict[str, CellResults]
    paper: Paper
    attempts: Attempts | None = None

    @cached_property
    def budget(self) -> Budget:
        """The budget's settings."""
        return self.params.chosen_budget(self.budget_name)

    @property
    def has_results(self) -> bool:
        """Whether any planned training has a result."""
        return any(cell.has_run for cell in self.cells.values())

    def dataset(self, name: str) -> DatasetSettings:
        """A data set's settings."""
        return self.params.datasets.of(name)

    def cell(self, dataset: str, name: str) -> CellResults:
        """The results of a cell."""
        cell = f"{dataset}/{name}"
        if cell in self.cells:
            return self.cells[cell]
        key = self.params.find(cell)[0]
        return CellResults(key, tuple(self.params.seeds_of(key)), ())

    def test_images(self, dataset: str) -> int:
        """How many test images the budget evaluates on."""
        return expected_test_images(self.params, self.budget_name, dataset)

    def validation_images(self, dataset: str, family: str) -> int:
        """How many validation images the budget evaluates on after each epoch."""
        images = self.params.share(self.budget_name, dataset, family).validation_images
        return resolve_count(images, self.dataset(dataset).validation_images)

    def table_cells(self, number: Table) -> list[str]:
        """The names of a table's cells, in the order of its rows."""
        return [row.cell for row in self.params.tables[number].rows]

    def place(self, dataset: str, cell: str) -> tuple[str, str]:
        """The table and the row that a table's cell stands in."""
        return next(
            (number, row.row)
            for number, table in self.params.tables.items()
            for row in table.rows
            if (table.dataset, row.cell) == (dataset, cell)
        )


def gather(
    params: Params,
    budget: str,
    cells: Path,
    paper: Paper,
    attempts: Attempts | None = None,
    read: ReadResult = Evaluation.read,
) -> Evidence:
    """Read the result of every planned training that has one. Raises CorruptFileError for one that is not right."""
    params.chosen_budget(budget)
    planned: dict[str, list[int]] = {str(key): [] for key in params.cell_keys(planned=False)}
    for training in params.trainings():
        planned[str(training.key)].append(training.seed)
    found = {}
    for cell, seeds in planned.items():
        key, seeds = params.find(cell)[0], sorted(seeds)
        there = [seed for seed in seeds if is_there(result_path(cells, key, seed))]
        results = tuple(read_result(cells, params, budget, key, seed, read) for seed in there)
        found[cell] = CellResults(key, tuple(seeds), results)
    return Evidence(params, budget, found, paper, attempts)


def evidence_of(budget: str | None) -> Evidence:
    """The results in a budget's folder of reports; None is the budget that params.yaml chooses. Raises as `gather`."""
    read = ResultReader().read
    params = params_of_pages(budget, read=read)
    name = budget or params.budget
    return gather(params, name, results_folder(name), read_paper(), read=read)
