"""What is planned of a budget: by the switches of params.yaml where it chooses the budget, else by those of its pages.

`seeds`, `study_cells` and `more_seeds` say what the chosen budget runs. Another budget's pages were made with the
switches of their time, which dvc.lock has as parameters of stage `aggregate-tables`.
"""

from pathlib import Path
from typing import Any

from stages.config.checks import check_params
from stages.config.params import Params, load_params
from stages.config.reading import PARAMS_FILE, read_yaml
from stages.core.errors import StageError

SWITCHES = ("seeds", "study_cells", "more_seeds")
_LOCK_FILE = Path("dvc.lock")


def params_of(budget: str | None) -> Params:
    """params.yaml as it is for a budget; None is the one that it chooses.

    Raises ParamError for a budget that there is not, and StageError where today's params.yaml does not have what the
    pages of another budget were planned with.
    """
    params = load_params()
    params.chosen_budget(budget)
    if budget in (None, params.budget):
        return params
    recorded = _recorded(str(budget))
    try:
        check_params(Params.model_validate(params.model_dump() | recorded | {"budget": budget}))
    except StageError as error:
        raise StageError(f"{_LOCK_FILE} has a plan of {budget} that is none today: {error.message}") from None
    return Params.model_validate(params.model_dump() | recorded)


def _recorded(budget: str) -> dict[str, Any]:
    """The switches that a budget's pages were made with; none of those that dvc.lock does not have."""
    stages = read_yaml(_LOCK_FILE).get("stages", {}) if _LOCK_FILE.is_file() else {}
    params = stages.get(f"aggregate-tables@{budget}", {}).get("params", {}).get(PARAMS_FILE.as_posix(), {})
    return {name: params[name] for name in SWITCHES if name in params}
