"""All that a report is made from: the parameters, the results of every planned cell and seed, the paper's numbers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev

from stages.config.params import Budget, CellKey, DatasetSettings, Params, Table, counted
from stages.report.paper import Paper
from stages.report.results import FINISHED, Result, expected_test_images, read_result
from stages.stats.intervals import Interval, accuracy_interval


@dataclass(frozen=True)
class CellResults:
    """The results of one cell, one for each seed, in the order of the seeds in params.yaml."""

    key: CellKey
    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        """The result of the first seed, which the appendix and the confusion matrices show."""
        return self.results[0]

    @property
    def mean(self) -> float:
        """Mean test accuracy in percent."""
        return fmean(result.percent for result in self.results)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds in points; None for one seed."""
        return stdev(result.percent for result in self.results) if len(self.results) > 1 else None

    @property
    def has_learned(self) -> bool:
        """Whether any seed's training finished above chance."""
        return any(result.outcome == FINISHED for result in self.results)

    def interval(self, confidence: float) -> Interval | None:
        """The interval of the mean test accuracy in percent; see `accuracy_interval` for which one."""
        return accuracy_interval([result.correct for result in self.results], self.first.test_images, confidence)

    @property
    def curve(self) -> list[float]:
        """Validation accuracy in percent after each epoch that all seeds have, mean over the seeds."""
        return [fmean(epoch) for epoch in zip(*self.curves, strict=False)]

    @property
    def curves(self) -> list[list[float]]:
        """Validation accuracy in percent after each epoch, of each seed."""
        return [[100 * line.validation_accuracy for line in result.history] for result in self.results]


@dataclass(frozen=True)
class Evidence:
    """The results of a budget, by cell, beside the parameters that asked for them and the paper's numbers."""

    params: Params
    budget_name: str
    cells: dict[str, CellResults]
    paper: Paper

    @cached_property
    def budget(self) -> Budget:
        """The budget's settings."""
        return self.params.chosen_budget(self.budget_name)

    def dataset(self, name: str) -> DatasetSettings:
        """A data set's settings."""
        return self.params.datasets.of(name)

    def cell(self, dataset: str, name: str) -> CellResults:
        """The results of a planned cell."""
        return self.cells[f"{dataset}/{name}"]

    def test_images(self, dataset: str) -> int:
        """How many test images the budget evaluates on."""
        return expected_test_images(self.params, self.budget_name, dataset)

    def validation_images(self, dataset: str, family: str) -> int:
        """How many validation images the budget evaluates on after each epoch."""
        images = self.budget.train.of(dataset).of(family).validation_images
        return counted(images, self.dataset(dataset).validation_images)

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


def gather(params: Params, budget: str, cells: Path, paper: Paper) -> Evidence:
    """Read the results of every planned cell and seed. Raises MissingFileError or CorruptFileError."""
    results = {
        str(key): CellResults(key, tuple(read_result(cells, params, budget, key, seed) for seed in params.seeds))
        for key in params.cell_keys()
    }
    return Evidence(params, budget, results, paper)
