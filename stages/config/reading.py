"""How `params.yaml` is read, and the one line that says what is wrong in it."""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from stages.core.errors import MissingFileError, ParamError, StageError
from stages.core.validation import refusals

PARAMS_FILE = Path("params.yaml")
_DEEPEST = 1000  # levels
_SIGNS = re.compile(r"[\[\]{}]|^[ \-?:]+", re.MULTILINE)


def read_yaml(path: Path | str) -> Any:
    """Read a YAML 1.2 file; a key that stands twice is refused. Raises MissingFileError or StageError."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    try:
        text = path.read_text(encoding="utf-8")
        if is_nested_deeply(text):
            raise StageError(f"{path}: not YAML: it is nested more than {_DEEPEST} deep")
        return YAML(typ="safe").load(text)
    except DuplicateKeyError as error:
        where = f"{path}, line {error.problem_mark.line + 1}" if error.problem_mark else path
        raise StageError(f"{where}: {str(error.problem).splitlines()[0]}; allowed: every key once") from error
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no such date, too many digits
        raise StageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def is_nested_deeply(text: str) -> bool:
    """Whether YAML is nested so deeply that its parser, in C, would exceed its stack and end the process."""
    depth = 0
    for sign in _SIGNS.findall(text):
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth = max(0, depth - 1)
        elif len(sign) > 2 * _DEEPEST:
            return True  # a line of indentation or of `- - -`
        if depth > _DEEPEST:
            return True
    return False


def param_error(error: ValidationError, raw: Any, prefix: str) -> StageError:
    """The first key that pydantic refuses in `raw` and the names of all others, as a line that starts with `prefix`."""
    first, *others = refusals(error, raw)
    more = f" (also wrong: {', '.join(other.key for other in others)})" if others else ""
    place = f"{prefix}{first.key}" if first.key else prefix.rstrip(": ")
    if first.missing:
        return StageError(f"{place} is missing" + more)
    return ParamError(place, first.value, (first.conflict or first.allowed) + more)
