"""The MLflow run of a table row with several seeds: their mean and spread. The seeds' runs are its children.

A row has such a run when two seeds or more have a result. A row of one seed has none: MLflow's charts leave out the
children of a run until it is expanded, so the curve of the one seed would be missing from them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages.config.cells import CellKey
from stages.config.params import Params
from stages.core.errors import StageError
from stages.paper.reading import read_paper
from stages.records.evaluation import Evaluation
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import exact
from stages.report.results import read_result, settings_then_and_now
from stages.report.rows import TableRow, all_rows
from stages.track.describe import finite, identity, milliseconds, parameters, placement

FEWEST = 2  # seeds


def rows(params: Params, budget: str, results: Iterable[Evaluation]) -> list[dict[str, Any]]:
    """The row of each cell that has several of these results: those alone that the tables take.

    Raises StageError where the paper's numbers cannot be read.
    """
    by_cell: dict[CellKey, list[Evaluation]] = defaultdict(list)
    for result in results:
        if _is_planned(params, budget, result):
            by_cell[params.find(result.cell)[0]].append(result)
    several = {key: sorted(found, key=lambda one: one.seed) for key, found in by_cell.items() if len(found) >= FEWEST}
    if not several:
        return []
    cells = {str(key): CellResults(key, tuple(params.seeds_of(key)), tuple(found)) for key, found in several.items()}
    placed = all_rows(Evidence(params, budget, cells, read_paper()))
    described = [_described(params, key, found, placed) for key, found in several.items()]
    return [one for one in described if one]


def row_of(params: Params, result: Evaluation, cells: Path) -> dict[str, Any] | None:
    """The row of a result that was just written to the folder `cells`, with those of the other seeds that are there.

    None where there are no others, or they cannot be read: a sync says why.
    """
    budget, key = result.budget, params.find(result.cell)[0]
    others = [seed for seed in params.seeds_of(key) if seed != result.seed]
    found = [result]
    for seed in others:
        with suppress(StageError):
            found.append(read_result(cells, params, budget, key, seed))
    with suppress(StageError):
        return next(iter(rows(params, budget, found)), None)
    return None


def _is_planned(params: Params, budget: str, result: Evaluation) -> bool:
    """Whether the tables have a place for a result: its cell, its seed and its settings are those of params.yaml."""
    try:
        key, today = params.find(result.cell)[0], params.run(result.cell, budget, result.seed)
    except StageError:
        return False
    return result.seed in params.seeds_of(key) and settings_then_and_now(result.run.config, today) is None


def _described(
    params: Params, key: CellKey, results: Sequence[Evaluation], placed: Sequence[TableRow]
) -> dict[str, Any] | None:
    """Everything that a row's run is made of, as JSON data; None for a cell that stands in no table and study."""
    experiment, name, tags = placement(params, key.dataset, key.name)
    of_cell = [row for row in placed if row.key == key]
    found = next((row for row in of_cell if row.row == name), of_cell[0] if of_cell else None)
    if found is None:
        return None
    if found.verdict:
        tags = tags | {"verdict": found.verdict.word}
    config = parameters(results[0].run.config)
    return {
        "experiment": experiment,
        "run_name": f"{name}, mean",
        "start_time": min(milliseconds(one.run.times.started) for one in results),
        "end_time": max(milliseconds(one.times.ended) for one in results),
        "parameters": {setting: value for setting, value in config.items() if setting != "seed"},
        "tags": tags
        | {
            "kind": "row",
            "cell": str(key),
            "budget": results[0].budget,
            "seeds": ", ".join(str(one.seed) for one in results),
            "mlflow.source.name": "stages/track/__main__.py",
            "mlflow.source.type": "LOCAL",
        },
        "metrics": finite(statistics(found)),
        "children": [list(identity(one.run)) for one in results],
    }


def statistics(row: TableRow) -> dict[str, float | None]:
    """A row's numbers as metrics. `test_accuracy_percent` is the mean, so that a list of runs sorts rows by it too."""
    low, high = row.interval or (None, None)
    found = {
        "test_accuracy_percent": row.mean,
        "row.mean_percent": row.mean,
        "row.std_points": row.std,
        "row.seeds": float(row.n),
        "row.interval_low_percent": low,
        "row.interval_high_percent": high,
        "row.paper_percent": None if row.paper is None else float(row.paper),
        "row.difference_points": row.difference,
    }
    return {name: exact(value) for name, value in found.items()}
