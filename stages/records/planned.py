"""What is planned of a budget: by the switches of params.yaml where it chooses the budget, else by those of its pages.

`seeds`, `study_cells`, `more_cells` and `more_seeds` say what the chosen budget runs. Another budget's pages were made
with the switches of their time, which dvc.lock has as parameters of stage `aggregate-tables`. Pages also show rows of
tables beyond the paper's that have a result, though no switch names them.
"""

from pathlib import Path
from typing import Any

from stages.config.cells import CellKey
from stages.config.checks import check_params
from stages.config.loading import load_params
from stages.config.params import Params, stage_name
from stages.config.reading import PARAMS_FILE
from stages.config.schema import DATASETS
from stages.core.errors import StageError
from stages.core.regular import is_there
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, ReadResult, result_path, results_folder

NOT_RUN, NOT_PLANNED = "not run", "not planned"  # of what has no result: planned, or not
SWITCHES = ("seeds", "study_cells", "more_cells", "more_seeds")


def params_of(budget: str | None, lock: Lock | None = None) -> Params:
    """params.yaml as it is for a budget; None is the one that it chooses. `lock` is dvc.lock, where it is read already.

    Raises ParamError for a budget that there is not, and StageError where today's params.yaml does not have what the
    pages of another budget were planned with.
    """
    params = load_params()
    params.chosen_budget(budget)
    if budget in (None, params.budget):
        return params
    lock = lock or Lock(required=False)
    recorded = _recorded(str(budget), lock)
    try:
        check_params(Params.model_validate(params.model_dump() | recorded | {"budget": budget}))
    except StageError as error:
        raise StageError(f"{lock.path} has a plan of {budget} that is none today: {error.message}") from None
    return Params.model_validate(params.model_dump() | recorded)


def params_of_pages(
    budget: str | None, lock: Lock | None = None, cells: Path | None = None, read: ReadResult = Evaluation.read
) -> Params:
    """`params_of`, with the cells beyond it that have a result; `cells` is the folder of the results.

    These are alternatives of tables that the paper does not have, of one of `seeds`, with the settings of today: a
    result of other settings needs its switch to be made again. What cannot be read counts as a result: whoever reads
    it says what is wrong. Raises as `params_of`.
    """
    params = params_of(budget, lock)
    name = budget or params.budget
    folder = cells or results_folder(name)
    found = {}
    for key in params.supplement:
        if not params.seeds_of(key):
            groups = {seed: _group(params, name, folder, key, seed, read) for seed in params.seeds}
            found[key] = {seed: group for seed, group in groups.items() if group}
    return params.with_recorded(found)


def switch_of(result: Evaluation) -> str | None:
    """The entry of params.yaml without which DVC does not have the stages of a result; None for a table's own cell."""
    dataset, _, name = result.cell.partition("/")
    switches = {
        "study": f"study_cells.{dataset}: [{name}]",
        "supplement": f"more_cells.{dataset}: [{name}]",
        "more": f"more_seeds.{dataset}: {{cells: [{name}], seeds: [{result.seed}]}}",
    }
    return next((switch for group, switch in switches.items() if _is_of(result, group)), None)


def _is_of(result: Evaluation, group: str) -> bool:
    """Whether the stage of a group of dvc.yaml wrote a result."""
    dataset, _, name = result.cell.partition("/")
    key = CellKey("alternatives", dataset, name)
    return result.stage == stage_name("evaluate", key, result.budget, result.seed, group)


def _group(params: Params, budget: str, cells: Path, key: CellKey, seed: int, read: ReadResult) -> str | None:
    """The group of dvc.yaml whose stage wrote the result of a cell and seed; None without one of today's settings."""
    path = result_path(cells, key, seed)
    if not is_there(path):
        return None
    try:
        result = read(path, "evaluate")
        if not result.run.config.are_of(params.run(str(key), budget, seed)):
            return None
    except StageError:
        return "supplement"
    return "study" if _is_of(result, "study") else "supplement"


def _recorded(budget: str, lock: Lock) -> dict[str, Any]:
    """The switches that a budget's pages were made with; none of those that dvc.lock does not have.

    Pages that are older than `more_cells` have none of these.
    """
    entry = lock.entry(f"aggregate-tables@{budget}") if lock.path.is_file() else None
    params = entry.params.get(PARAMS_FILE.as_posix(), {}) if entry else {}
    if "study_cells" in params:
        params = {"more_cells": {dataset: [] for dataset in DATASETS}} | params
    return {name: params[name] for name in SWITCHES if name in params}
