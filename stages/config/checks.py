"""Checks that need all of `params.yaml`: names exist, sizes fit, a study changes one thing."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from stages.config.cells import EPOCHS, PRECISION, CellKey, changed_settings, is_one_change
from stages.config.params import Params, resolve_count
from stages.config.reading import param_error
from stages.config.schema import DATASETS, PAPER_TABLES, BudgetShare, Row, TableSettings
from stages.config.settings import OPTIMIZERS, Cell, family_settings
from stages.core.errors import ParamError, StageError
from stages.engine.networks import families


def check_params(params: Params) -> None:
    """Raise ParamError or StageError for the first mistake."""
    _check_entries(params)
    _check_names(params)
    _check_tables(params)
    _check_verdicts(params)
    _check_studies(params)
    _check_assumptions(params)
    _check_budgets(params)


def _check_entries(params: Params) -> None:
    """Networks, optimizers and the sections that are written by family."""
    for section, entries, key, types in (
        ("networks", params.networks, "family", {family: family_settings(family) for family in families()}),
        ("optimizers", params.optimizers, "optimizer", OPTIMIZERS),
    ):
        for name, entry in entries.items():
            where = f"{section}.{name}"
            if key not in entry:
                raise StageError(f"params.yaml: {where}.{key} is missing; allowed: one of {', '.join(types)}")
            if entry[key] not in list(types):
                raise _refusal(f"{where}.{key}", entry[key], "one of " + ", ".join(types))
            try:
                types[entry[key]].model_validate(entry)
            except ValidationError as error:
                raise param_error(error, entry, f"params.yaml: {where}.") from None
    for dataset in DATASETS:
        for name in params.inputs.of(dataset):
            _check_family(f"inputs.{dataset}.{name}", name, ("default", *families()))
        for budget, settings in params.budgets.items():
            for name in settings.train.of(dataset):
                _check_family(f"budgets.{budget}.train.{dataset}.{name}", name, ("default", *families()))
    _ = params.resolved  # raises for a cell that is none


def _refusal(key: str, value: object, allowed: str) -> ParamError:
    return ParamError(f"params.yaml: {key}", value, allowed)


def _check_family(where: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise _refusal(where, name, "one of " + ", ".join(known))


def _check_names(params: Params) -> None:
    if params.budget not in params.budgets:
        raise _refusal("budget", params.budget, "one of " + ", ".join(params.budgets))
    if len(set(params.seeds)) < len(params.seeds):
        raise _refusal("seeds", params.seeds, "every seed once")
    for dataset in DATASETS:
        cells, alternatives = params.cells.of(dataset), params.alternatives.of(dataset)
        for name in [name for name in alternatives if name in cells]:
            raise _refusal(f"alternatives.{dataset}.{name}", name, f"a name that cells.{dataset} does not have")
        planned = params.study_cells.of(dataset)
        rows = [row.as_logged for table in params.tables.values() if table.dataset == dataset for row in table.rows]
        studied = [cell for study in params.studies.values() if study.dataset == dataset for cell in study.alternatives]
        known = [name for name in alternatives if name in studied or name in rows]
        for name in planned:
            if name not in known or planned.count(name) > 1:
                allowed = f"once each, the alternatives of a study or a row: {', '.join(known) or 'none'}"
                raise _refusal(f"study_cells.{dataset}", name, allowed)
        supplement = params.more_cells.of(dataset)
        known = _optional_rows(params, dataset)
        for name in supplement:
            if name not in known or [*planned, *supplement].count(name) > 1:
                allowed = (
                    "once each and not in study_cells, the alternatives in rows of tables that the paper does not have"
                )
                raise _refusal(f"more_cells.{dataset}", name, f"{allowed}: {', '.join(known) or 'none'}")
        planned = [*cells, *planned, *supplement]
        more = params.more_seeds.of(dataset)
        for name in more.cells:
            if name not in planned or more.cells.count(name) > 1:
                allowed = f"once each, the planned cells of {dataset}: {', '.join(planned)}"
                raise _refusal(f"more_seeds.{dataset}.cells", name, allowed)
        for seed in more.seeds:
            if seed in params.seeds or more.seeds.count(seed) > 1:
                raise _refusal(f"more_seeds.{dataset}.seeds", seed, "once each, seeds that `seeds` does not have")


def _optional_rows(params: Params, dataset: str) -> list[str]:
    """The alternatives that rows of the tables beyond the paper's name."""
    tables = [table for number, table in params.tables.items() if number not in PAPER_TABLES]
    rows = [row.cell for table in tables if table.dataset == dataset for row in table.rows]
    return list(dict.fromkeys(cell for cell in rows if cell in params.alternatives.of(dataset)))


def _check_tables(params: Params) -> None:
    seen: dict[tuple[str, str], str] = {}
    for number, table in params.tables.items():
        if number not in PAPER_TABLES:
            continue
        if not table.family:
            raise StageError(f"params.yaml: tables.{number}.family is missing; allowed: one of {', '.join(families())}")
        _check_family(f"tables.{number}.family", table.family, families())
        cells = {name: params.find(f"{table.dataset}/{name}")[1] for name in params.cells.of(table.dataset)}
        labels = [row.row for row in table.rows]
        for row in table.rows:
            key = f"tables.{number}, row {row.row!r}"
            if labels.count(row.row) > 1:
                raise _refusal(key, row.row, "every row label once in a table")
            if row.cell not in cells or cells[row.cell].family != table.family:
                known = ", ".join(name for name, cell in cells.items() if cell.family == table.family)
                raise _refusal(key, row.cell, f"a {table.family} cell of cells.{table.dataset}: {known}")
            if (table.dataset, row.cell) in seen:
                raise _refusal(key, row.cell, f"a cell for one row; {seen[table.dataset, row.cell]} has it already")
            seen[table.dataset, row.cell] = key
            _check_as_logged(params, key, table.dataset, row)
    for number, table in params.tables.items():
        if number not in PAPER_TABLES:
            _check_other_table(params, number, table)
            seen |= {(table.dataset, row.cell): number for row in table.rows}
    for dataset in DATASETS:
        for name in params.cells.of(dataset):
            if (dataset, name) not in seen:
                raise _refusal(f"cells.{dataset}.{name}", name, "a cell that a row of tables names")
    for place, figure in enumerate(params.figures):
        if figure.cell not in params.cells.of(figure.dataset):
            allowed = f"one of cells.{figure.dataset}: {', '.join(params.cells.of(figure.dataset))}"
            raise _refusal(f"figures.{place}.cell", figure.cell, allowed)


def _check_other_table(params: Params, number: str, table: TableSettings) -> None:
    """A table that the paper does not have: rows of any families, of `cells` and of `alternatives`."""
    where = f"tables.{number}"
    if table.family:
        raise _refusal(f"{where}.family", table.family, "no family: the rows of such a table may be of several")
    known = [*params.cells.of(table.dataset), *params.alternatives.of(table.dataset)]
    for row in table.rows:
        key = f"{where}, row {row.row!r}"
        if [other.row for other in table.rows].count(row.row) > 1:
            raise _refusal(key, row.row, "every row label once in a table")
        if row.cell not in known or [other.cell for other in table.rows].count(row.cell) > 1:
            raise _refusal(key, row.cell, f"once each, cells or alternatives of {table.dataset}: {', '.join(known)}")
        if row.as_logged is not None:
            raise _refusal(f"{key}, as_logged", row.as_logged, "no such key: the paper has no log of this row")


def _check_as_logged(params: Params, key: str, dataset: str, row: Row) -> None:
    """A row's second cell is an alternative of the same family."""
    if row.as_logged is None:
        return
    family = params.find(f"{dataset}/{row.cell}")[1].family
    known = [name for name in params.alternatives.of(dataset) if params.find(f"{dataset}/{name}")[1].family == family]
    if row.as_logged not in known:
        allowed = f"one of the {family} cells of alternatives.{dataset}: {', '.join(known) or 'none'}"
        raise _refusal(f"{key}, as_logged", row.as_logged, allowed)


def _check_verdicts(params: Params) -> None:
    for dataset in DATASETS:
        close, near = params.verdicts.close.of(dataset), params.verdicts.near.of(dataset)
        if near <= close:
            raise _refusal(f"verdicts.near.{dataset}", near, f"more than the {close:g} of verdicts.close.{dataset}")
        classes, excepted = params.datasets.of(dataset).classes, params.claims.classes.excepted.of(dataset)
        if len(set(classes)) < len(classes):
            raise _refusal(f"datasets.{dataset}.classes", classes, "every class once")
        for name in excepted:
            if name not in classes or excepted.count(name) > 1 or len(excepted) == len(classes):
                allowed = f"once each, some of {', '.join(classes)}"
                raise _refusal(f"claims.classes.excepted.{dataset}", name, allowed)
    claimed = params.claims.overfitting.families
    for name in claimed:
        _check_family("claims.overfitting.families", name, families())
    if len(set(claimed)) < len(claimed):
        raise _refusal("claims.overfitting.families", claimed, "every family once")
    _check_family("claims.cost.cheapest", params.claims.cost.cheapest, families())


def _check_studies(params: Params) -> None:
    known = [assumption.id for assumption in params.assumptions]
    for name, study in params.studies.items():
        cells, alternatives = params.cells.of(study.dataset), params.alternatives.of(study.dataset)
        if study.assumption not in known:
            raise _refusal(f"studies.{name}.assumption", study.assumption, "one of " + ", ".join(known))
        if study.base not in cells:
            raise _refusal(f"studies.{name}.base", study.base, "one of " + ", ".join(cells))
        if study.printed.table not in params.tables:
            raise _refusal(f"studies.{name}.printed.table", study.printed.table, "one of " + ", ".join(params.tables))
        table = params.tables[study.printed.table]
        rows = [row.row for row in table.rows if (table.dataset, row.cell) == (study.dataset, study.base)]
        if study.printed.row not in rows:
            allowed = f"the row of {study.dataset}/{study.base}: {', '.join(rows) or 'none in this table'}"
            raise _refusal(f"studies.{name}.printed.row", study.printed.row, allowed)
        for alternative in study.alternatives:
            others = [other for other in (*cells, *alternatives) if other != study.base]
            if alternative not in others or study.alternatives.count(alternative) > 1:
                allowed = "once each, some of " + ", ".join(others)
                raise _refusal(f"studies.{name}.alternatives", alternative, allowed)
            changed = study_difference(params, study.dataset, study.base, alternative)
            if not is_one_change(changed):
                found = ", ".join(changed) or "nothing"
                section = "cells" if alternative in cells else "alternatives"
                allowed = f"one changed setting beside {study.base} (study {name})"
                raise _refusal(f"{section}.{study.dataset}.{alternative}", found, allowed)


def study_difference(params: Params, dataset: str, base: str, other: str) -> list[str]:
    """The settings in which a study's cell differs from its base, whatever a budget replaces; epochs do not count."""
    one, two = (params.resolved[f"{dataset}/{name}"] for name in (base, other))
    changed = changed_settings(one.cell.model_dump(), two.cell.model_dump())
    return changed + ([PRECISION] if one.precision != two.precision else [])


def _check_assumptions(params: Params) -> None:
    ids = [assumption.id for assumption in params.assumptions]
    cells = [params.find(str(key))[1] for key in params.cell_keys(planned=False)]
    for place, assumption in enumerate(params.assumptions):
        where, named = f"assumptions.{place}", assumption.applies.families
        for family in named:
            _check_family(f"{where}.applies.families", family, families())
        if ids.count(assumption.id) > 1:
            raise _refusal(f"{where}.id", assumption.id, "every id once")
        common = set.intersection(*(_setting_names(cells, family) for family in named)) - {"family"}
        allowed = f"one of the settings that {', '.join(named)} have: {', '.join(sorted(common))}"
        for name in assumption.decides:
            if name not in common:
                raise _refusal(f"{where}.decides", name, allowed)
        for name, value in assumption.applies.settings.items():
            if name not in common:
                raise _refusal(f"{where}.applies.settings.{name}", value, allowed)
            if name == "optimizer":
                _check_optimizer(f"{where}.applies.settings.optimizer", value)
            _check_setting(f"{where}.applies.settings", [cell for cell in cells if cell.family in named], name, value)


def _setting_names(cells: list[Cell], family: str) -> set[str]:
    """The settings that any cell of a family has."""
    return {name for cell in cells if cell.family == family for name in type(cell).model_fields}


def _check_optimizer(where: str, value: Any) -> None:
    if value not in list(OPTIMIZERS):
        raise _refusal(where, value, "one of " + ", ".join(OPTIMIZERS))


def _check_setting(where: str, cells: list[Cell], name: str, value: Any) -> None:
    """Refuse a value that no cell can have, since it would choose nothing."""
    for cell in cells:
        if name not in type(cell).model_fields or name == "optimizer":
            continue
        try:
            cell.replaced(**{name: value})
        except ValidationError as error:
            raise param_error(error, {**cell.model_dump(), name: value}, f"params.yaml: {where}.") from None


def _check_budgets(params: Params) -> None:
    for name, budget in params.budgets.items():
        for key in params.cell_keys(planned=False):
            _check_cell(params, name, key)
        for dataset in DATASETS:
            sizes = params.datasets.of(dataset)
            copies, tested = budget.augmented_images.of(dataset), budget.test_images.of(dataset)
            _check_at_most(f"budgets.{name}.augmented_images.{dataset}", copies, sizes.train_images)
            _check_at_most(f"budgets.{name}.test_images.{dataset}", tested, sizes.test_images)
    _check_alternatives_differ(params)


def _check_cell(params: Params, budget: str, key: CellKey) -> None:
    """A cell with its share of a budget: the sizes fit, and the overrides are settings that it has."""
    cell, dataset = params.find(str(key))[1], params.datasets.of(key.dataset)
    share = params.share(budget, key.dataset, cell.family)
    images = resolve_count(share.images, dataset.train_images)

    def where(name: str) -> str:
        return f"{params.share_place(budget, key.dataset, cell.family, name)}.{name}"

    _check_at_most(where("images"), share.images, dataset.train_images)
    _check_at_most(where("sample_images"), share.sample_images, images)
    _check_at_most(where("validation_images"), share.validation_images, dataset.validation_images)
    replaced = _overridden(where("overrides"), cell, share)
    copies = params.budgets[budget].augmented_images.of(key.dataset)
    if replaced.augment == "append" and images > resolve_count(copies, dataset.train_images):
        raise _refusal(where("images"), share.images, f"at most the {copies} of augmented_images, for {key}")
    images *= 2 if replaced.augment == "append" else 1
    if images % replaced.batch_size == 1:
        batches = f"{key} takes {images} images in batches of {replaced.batch_size}"
        raise _refusal(where("images"), share.images, f"a number that leaves no last batch of one image: {batches}")


def _overridden(where: str, cell: Cell, share: BudgetShare) -> Cell:
    """The cell with the budget's overrides. Raises ParamError for one that its family does not have."""
    known = set(type(cell).model_fields) - {"family", "optimizer"}
    for name in sorted(share.overrides.keys() - known):
        allowed = f"one of the keys {', '.join(sorted(known))}"
        raise _refusal(f"{where}.{name}", share.overrides[name], allowed)
    try:
        return cell.replaced(**share.overrides)
    except ValidationError as error:
        raise param_error(error, {**cell.model_dump(), **share.overrides}, f"params.yaml: {where}.") from None


def _check_at_most(key: str, value: int | str, limit: int) -> None:
    if isinstance(value, int) and value > limit:
        raise _refusal(key, value, f"at most the {limit} there are")


def _check_alternatives_differ(params: Params) -> None:
    """A planned alternative differs from its base under the chosen budget's overrides too."""
    asked = [
        (study.dataset, study.base, alternative, f"the base of study {name}")
        for name, study in params.studies.items()
        for alternative in study.alternatives
    ] + [
        (table.dataset, row.cell, row.as_logged, f"the row's own cell {row.cell}")
        for table in params.tables.values()
        for row in table.rows
        if row.as_logged
    ]
    for dataset, base, alternative, what in asked:
        if alternative not in params.study_cells.of(dataset):
            continue
        one, two = (params.settings(f"{dataset}/{name}").model_dump(exclude={EPOCHS}) for name in (base, alternative))
        if one == two:
            allowed = f"a cell that budget {params.budget} leaves different from {what}"
            raise _refusal(f"study_cells.{dataset}", alternative, allowed)
