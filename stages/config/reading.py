"""How `params.yaml` is read, and the one line that says what is wrong in it."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from stages.core.errors import ParamError, StageError, printable
from stages.core.regular import read_regular
from stages.core.validation import refused_keys

PARAMS_FILE = Path("params.yaml")
LARGEST_YAML = 1 << 23  # bytes of a YAML file; dvc.lock of two budgets has 0.4 MB
_DEPTH, _MOST = 64, 1_000_000  # of a tree: how deep, and how many values
_SUSPICIOUS = 2000  # brackets in a text, or characters in a line, below which no text is nested too deeply


def read_yaml(path: Path | str) -> Any:
    """Read a YAML 1.2 file; a key that stands twice is refused. Raises MissingFileError or StageError."""
    path = Path(path)
    content = read_regular(path, "git (run from the top folder of the repository)", LARGEST_YAML)
    try:
        return load_yaml(content.decode())
    except DuplicateKeyError as error:
        where = f"{path}, line {error.problem_mark.line + 1}" if error.problem_mark else path
        raise StageError(f"{where}: {str(error.problem).splitlines()[0]}; allowed: every key once") from error
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no such date, too many digits
        raise StageError(f"{path}: not YAML: {printable(' '.join(str(error).split()))}") from error


def load_yaml(text: str) -> Any:
    """The value of a YAML 1.2 text.

    Raises YAMLError, ValueError or RecursionError. ValueError also for a nesting that libyaml's composer, which is
    recursive and in C, does not survive, and for anchors that make a short text a tree without end.
    """
    if text.count("[") + text.count("{") > _SUSPICIOUS or max(map(len, text.splitlines()), default=0) > _SUSPICIOUS:
        _check_depth(text)
    tree = YAML(typ="safe").load(text)
    _count(tree, {}, set())
    return tree


def _check_depth(text: str) -> None:
    """ValueError for a nesting that is too deep, found without building it."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEPTH:
            raise ValueError(f"nested deeper than {_DEPTH}")


def _count(tree: Any, known: dict[int, int], open_: set[int]) -> int:
    """The values in a tree, those behind an anchor as often as they are named. ValueError for too many, or a cycle."""
    if not isinstance(tree, dict | list | tuple | set):
        return 1
    if id(tree) in open_:
        raise ValueError("an anchor that holds itself")
    if id(tree) not in known:
        open_.add(id(tree))
        inner = [*tree, *tree.values()] if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_count(value, known, open_) for value in inner)
        open_.remove(id(tree))
    if known[id(tree)] > _MOST:
        raise ValueError(f"anchors that make more than {_MOST} values of it")
    return known[id(tree)]


def param_error(error: ValidationError, raw: Any, prefix: str) -> StageError:
    """The first key that pydantic refuses in `raw` and the names of all others, as a line that starts with `prefix`."""
    first, *others = refused_keys(error, raw)
    more = f" (also wrong: {', '.join(other.key for other in others)})" if others else ""
    place = f"{prefix}{first.key}" if first.key else prefix.rstrip(": ")
    if first.missing:
        return StageError(f"{place} is missing" + more)
    return ParamError(place, first.value, (first.conflict or first.allowed) + more)
