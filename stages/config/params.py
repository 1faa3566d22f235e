"""The one reader of `params.yaml`.

Every command calls `load_params` before anything else, so a mistake anywhere in the file stops it with one line that
names the key, the value and what is allowed. `Params.settings` gives what a cell is at a budget.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PrivateAttr, ValidationError

from stages.config.cells import CellKey, ResolvedCell, large_enough, resolve_cell
from stages.config.reading import param_error
from stages.config.schema import (
    DATASETS,
    PAPER_TABLES,
    Assumption,
    Budget,
    BudgetShare,
    Claims,
    DatasetSettings,
    Figures,
    MoreSeeds,
    Name,
    PerDataset,
    Study,
    Table,
    TableSettings,
    Verdicts,
)
from stages.config.settings import Cell, Images, Run, Seed, Strict, Testing, TrainingSettings
from stages.core.errors import ParamError
from stages.core.validation import refused_keys

_DEFAULT, _OVERRIDES = "default", "overrides"


class Training(NamedTuple):
    """One planned training: a cell and a seed.

    `group` is the block of dvc.yaml that has it: tables, study, supplement or more.
    """

    key: CellKey
    seed: int
    group: str = "tables"

    def stage(self, kind: str, budget: str) -> str:
        """The DVC stage that trains or evaluates it: `train-cifar10@paper-vgg16-0`; `kind` is `train` or `evaluate`."""
        return stage_name(kind, self.key, budget, self.seed, self.group)


def stage_name(kind: str, key: CellKey, budget: str, seed: int, group: str) -> str:
    """The name of a cell's stage in dvc.yaml's block of a group (`tables`, `study`, `supplement` or `more`)."""
    block = kind if group == "tables" else f"{kind}-{group}"
    return f"{block}-{key.dataset}@{budget}-{key.name}-{seed}"


class Params(Strict):
    """All of `params.yaml`."""

    budget: str
    seeds: Annotated[list[Seed], Field(min_length=1)]
    study_cells: PerDataset[list[Name]]
    more_cells: PerDataset[list[Name]] = PerDataset(mnist=[], cifar10=[])  # older commits do not have it
    more_seeds: PerDataset[MoreSeeds]
    budgets: dict[Name, Budget]
    datasets: PerDataset[DatasetSettings]
    networks: dict[Name, dict[str, Any]]
    optimizers: dict[Name, dict[str, Any]]
    inputs: PerDataset[dict[str, dict[str, Any]]]
    cells: PerDataset[dict[Name, dict[str, Any]]]
    alternatives: PerDataset[dict[Name, dict[str, Any]]]
    tables: dict[Table, TableSettings]
    verdicts: Verdicts
    claims: Claims
    figures: list[Figures]
    studies: dict[Name, Study]
    assumptions: list[Assumption]
    _recorded: Mapping[CellKey, Mapping[int, str]] = PrivateAttr(default_factory=dict)

    def with_recorded(self, groups: Mapping[CellKey, Mapping[int, str]]) -> "Params":
        """The same, with alternatives planned that no switch names: by seed, each in `study` or `supplement`."""
        found = self.model_copy()
        found._recorded = groups
        return found

    @cached_property
    def resolved(self) -> dict[str, ResolvedCell]:
        """Every cell, by its name with its data set: those of the tables, then the alternatives."""
        inputs = {dataset: self.inputs.of(dataset) for dataset in DATASETS}
        raw = {"networks": self.networks, "optimizers": self.optimizers, "inputs": inputs}
        found: dict[str, ResolvedCell] = {}
        for section in ("cells", "alternatives"):
            for dataset in DATASETS:
                cells = {"cells": self.cells.of(dataset), "alternatives": self.alternatives.of(dataset)}
                for name in cells[section]:
                    key = CellKey(section, dataset, name)
                    found.setdefault(str(key), resolve_cell(key, raw, cells))
        return found

    def find(self, cell: str) -> tuple[CellKey, Cell]:
        """The key and settings of a cell like `cifar10/vgg16`. Raises ParamError, naming those there are."""
        if cell not in self.resolved:
            raise ParamError("cell", cell, "one of " + ", ".join(self.resolved))
        return self.resolved[cell].key, self.resolved[cell].cell

    def cell_keys(self, planned: bool = True) -> list[CellKey]:
        """Every cell of `cells`, then the alternatives: those that run (`planned`), or all there are."""
        return [found.key for found in self.resolved.values() if not planned or self._groups(found.key)]

    def _group(self, key: CellKey) -> str | None:
        """The block of dvc.yaml that has a cell with each of `seeds`; None for an alternative that does not run."""
        if key.section == "cells":
            return "tables"
        if key.name in self.study_cells.of(key.dataset):
            return "study"
        return "supplement" if key.name in self.more_cells.of(key.dataset) else None

    def _groups(self, key: CellKey) -> Mapping[int, str]:
        """The group of each seed of a cell but those of `more_seeds`: all of `seeds`, or those that are recorded."""
        group = self._group(key)
        return dict.fromkeys(self.seeds, group) if group else self._recorded.get(key, {})

    @property
    def supplement(self) -> list[CellKey]:
        """The alternatives in rows of tables that the paper does not have, planned or not."""
        cells = {f"{table.dataset}/{row.cell}" for table in self._other_tables.values() for row in table.rows}
        return [key for key in self.cell_keys(planned=False) if key.section == "alternatives" and str(key) in cells]

    @property
    def paper_tables(self) -> dict[Table, TableSettings]:
        """The tables that the paper has too."""
        return {number: table for number, table in self.tables.items() if number in PAPER_TABLES}

    @property
    def shown_tables(self) -> list[Table]:
        """The tables that pages have: the paper's, then the others of which a row is in `cells` or `more_cells`."""
        own = {
            str(key) for key in self.cell_keys() if {"tables", "supplement"}.intersection(self._groups(key).values())
        }
        others = [
            number
            for number, table in self._other_tables.items()
            if any(f"{table.dataset}/{row.cell}" in own for row in table.rows)
        ]
        return [*self.paper_tables, *others]

    @property
    def _other_tables(self) -> dict[Table, TableSettings]:
        return {number: table for number, table in self.tables.items() if number not in PAPER_TABLES}

    def trainings(self) -> list[Training]:
        """Every planned training: each planned cell with each of `seeds`, then those of `more_seeds`."""
        planned = [Training(key, seed, group) for key in self.cell_keys() for seed, group in self._groups(key).items()]
        for dataset in DATASETS:
            more = self.more_seeds.of(dataset)
            planned += [
                Training(self.find(f"{dataset}/{name}")[0], seed, "more") for name in more.cells for seed in more.seeds
            ]
        return planned

    def seeds_of(self, key: CellKey) -> list[int]:
        """The seeds that are planned for a cell, in ascending order."""
        return sorted(training.seed for training in self.trainings() if training.key == key)

    def stage(self, kind: str, key: CellKey, budget: str, seed: int) -> str:
        """The name of the DVC stage of a cell and seed."""
        more = self.more_seeds.of(key.dataset)
        if seed not in self.seeds and key.name in more.cells and seed in more.seeds:
            return stage_name(kind, key, budget, seed, "more")
        return stage_name(kind, key, budget, seed, self._group(key) or self._groups(key).get(seed, "study"))

    def chosen_budget(self, name: str | None = None) -> Budget:
        """A budget by its name, or the one chosen at the top of the file."""
        name = name or self.budget
        if name not in self.budgets:
            raise ParamError("budget", name, "one of " + ", ".join(self.budgets))
        return self.budgets[name]

    def share(self, budget: str | None, dataset: str, family: str) -> BudgetShare:
        """What a budget gives a family's cells on a data set. Raises ParamError or StageError.

        An `input_size` that overrides that of all families is raised to what the family takes at least.
        """
        name = budget or self.budget
        shares = self.chosen_budget(name).train.of(dataset)
        default = shares.get(_DEFAULT, {})
        if isinstance(overrides := default.get(_OVERRIDES), dict):
            default = {**default, _OVERRIDES: large_enough(overrides, family)}
        whole = {**default, **shares.get(family, {})}
        try:
            return BudgetShare.model_validate(whole)
        except ValidationError as error:
            place = self.share_place(name, dataset, family, refused_keys(error, whole)[0].top)
            raise param_error(error, whole, f"params.yaml: {place}.") from None

    def share_place(self, budget: str, dataset: str, family: str, key: str) -> str:
        """Where in the file a budget says `key` of a family's cells: in the family's section, or in `default`."""
        section = family if key in self.budgets[budget].train.of(dataset).get(family, {}) else _DEFAULT
        return f"budgets.{budget}.train.{dataset}.{section}"

    def settings(self, cell: str, budget: str | None = None) -> TrainingSettings:
        """What a cell is at a budget: its own settings, but for those that the budget replaces."""
        key, own = self.find(cell)
        found, chosen = self.resolved[cell], self.chosen_budget(budget)
        share = self.share(budget, key.dataset, own.family)
        return TrainingSettings(
            dataset=key.dataset,
            cell=own.replaced(**share.overrides),
            images=share.images,
            validation_images=share.validation_images,
            sample_images=share.sample_images,
            epochs=min(share.epochs, found.epochs or share.epochs),
            precision=found.precision or chosen.precision,  # type: ignore[arg-type]
            threads=chosen.threads,
        )

    def run(self, cell: str, budget: str | None, seed: int) -> Run:
        """The training of a cell at a budget with a seed."""
        return self.settings(cell, budget).seeded(seed)

    def testing(self, dataset: str, budget: str | None = None) -> Testing:
        """How a budget tests the networks of a data set."""
        return Testing(images=self.chosen_budget(budget).test_images.of(dataset))


def resolve_count(images: Images, total: int) -> int:
    """How many images a budget's number is, where `all` is `total`."""
    return total if images == "all" else images
