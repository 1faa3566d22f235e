"""Reads YAML, and turns a pydantic ValidationError into a one-line message."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from stages.core.errors import MissingFileError, ParamError, StageError, dotted

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


def one_line(error: ValidationError, raw: Any, prefix: str) -> StageError:
    """The first key that pydantic refuses, as a one-line error that also names all other refused keys.

    `raw` is what was validated and `prefix` stands before the key. A union has a finding for each of its members.
    """
    by_key: dict[str, list[Any]] = {}
    for finding in error.errors(include_url=False):
        by_key.setdefault(_dotted(finding, raw), []).append(finding)
    (key, findings), *others = by_key.items()
    first, more = findings[0], f" (also wrong: {', '.join(other for other, _ in others)})" if others else ""
    place = f"{prefix}{key}" if key else prefix.rstrip(": ")
    if first["type"] == "missing":
        return StageError(f"{place} is missing" + more)
    value = first["input"]
    if first["type"] == "unknown_key":
        value = value[first["ctx"]["key"]]
    return ParamError(place, value, " or ".join(dict.fromkeys(map(_allowed, findings))) + more)


def first_key(error: ValidationError) -> str:
    """The top key of the first finding; empty where it is of the whole."""
    first = error.errors(include_url=False)[0]
    return str(first["ctx"]["key"] if first["type"] == "unknown_key" else (*first["loc"], "")[0])


def _dotted(finding: Any, raw: Any) -> str:
    """Where in `raw` a finding is; pydantic's location also names members of unions, which are no keys of the file."""
    parts, here = [], raw
    for part in finding["loc"]:
        known = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if known:
            parts.append(part)
            here = here[part]
    if finding["type"] == "missing":
        parts.append(finding["loc"][-1])
    elif finding["type"] == "unknown_key":
        parts.append(finding["ctx"]["key"])
    return dotted(parts)


def _allowed(finding: Any) -> str:
    if finding["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "a mapping of keys to values"
    return finding["msg"].removeprefix("Input should be ")
