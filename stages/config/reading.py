"""How `params.yaml` is read, and the one line that says what is wrong in it."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from stages.core.errors import MissingFileError, ParamError, StageError
from stages.core.validation import refusals

PARAMS_FILE = Path("params.yaml")


def read_yaml(path: Path | str) -> Any:
    """Read a YAML 1.2 file; a key that stands twice is refused. Raises MissingFileError or StageError."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except DuplicateKeyError as error:
        where = f"{path}, line {error.problem_mark.line + 1}" if error.problem_mark else path
        raise StageError(f"{where}: {str(error.problem).splitlines()[0]}; allowed: every key once") from error
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no such date, too many digits
        raise StageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def param_error(error: ValidationError, raw: Any, prefix: str) -> StageError:
    """The first key that pydantic refuses in `raw` and the names of all others, as a line that starts with `prefix`."""
    first, *others = refusals(error, raw)
    more = f" (also wrong: {', '.join(other.key for other in others)})" if others else ""
    place = f"{prefix}{first.key}" if first.key else prefix.rstrip(": ")
    if first.missing:
        return StageError(f"{place} is missing" + more)
    return ParamError(place, first.value, (first.conflict or first.allowed) + more)
