"""What is planned of a budget: by the switches of params.yaml where it chooses the budget, else by those of its pages.

`seeds`, `study_cells`, `more_cells` and `more_seeds` say what the chosen budget runs. Another budget's pages were made
with the switches of their time, which dvc.lock has as parameters of stage `aggregate-tables`.
"""

from typing import Any

from stages.config.checks import check_params
from stages.config.params import Params, load_params
from stages.config.reading import PARAMS_FILE
from stages.config.schema import DATASETS
from stages.core.errors import StageError
from stages.records.dvc_lock import Lock

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


def _recorded(budget: str, lock: Lock) -> dict[str, Any]:
    """The switches that a budget's pages were made with; none of those that dvc.lock does not have.

    Pages that are older than `more_cells` have none of these.
    """
    entry = lock.entry(f"aggregate-tables@{budget}") if lock.path.is_file() else None
    params = entry.params.get(PARAMS_FILE.as_posix(), {}) if entry else {}
    if "study_cells" in params:
        params = {"more_cells": {dataset: [] for dataset in DATASETS}} | params
    return {name: params[name] for name in SWITCHES if name in params}
