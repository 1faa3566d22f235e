"""Loads `params.yaml`: reads it, types it, checks it."""

from pathlib import Path

from pydantic import ValidationError

from stages.config.checks import check_params
from stages.config.params import Params
from stages.config.reading import PARAMS_FILE, param_error, read_yaml


def load_params(path: Path | str = PARAMS_FILE) -> Params:
    """Read and check `params.yaml`. Raises ParamError or StageError with one line that says what is wrong."""
    raw = read_yaml(path)
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise param_error(error, raw, "params.yaml: ") from None
    check_params(params)
    return params
