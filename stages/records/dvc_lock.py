"""What `dvc.lock` records of each stage."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from stages.config.reading import LARGEST_YAML, load_yaml
from stages.core.errors import CorruptFileError, shown
from stages.core.regular import is_there, read_regular

LOCK_FILE = Path("dvc.lock")
_WRITTEN = "what DVC writes (git checkout dvc.lock)"
_DUPLICATE = re.compile(r'duplicate key "([^"]+)"')
_KEYS = {"schema", "stages"}
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Entry(NamedTuple):
    """What DVC recorded of a stage: its command, parameters by file and dotted name, md5 by path."""

    cmd: str
    deps: dict[str, str]
    params: dict[str, dict[str, Any]]
    outs: dict[str, str]


class Lock:
    """What DVC recorded of each stage: its command, and the hashes of what it read and wrote."""

    def __init__(self, path: Path = LOCK_FILE, required: bool = True) -> None:
        """The file is read when it is first asked for; where it is not `required`, it may be missing or empty."""
        self.path, self.required = path, required
        self.entry = cache(self._entry)

    @cached_property
    def _stages(self) -> dict[str, Any]:
        """Raises MissingFileError, or CorruptFileError for a file that holds no stages (DVC was killed writing it)."""
        if not self.required and not is_there(self.path):
            return {}
        made_by = "git, or dvc repro (run from the top folder of the repository)"
        content = read_regular(self.path, made_by, LARGEST_YAML)
        return _stages(self.path, content) if self.required or content.strip() else {}

    @property
    def stages(self) -> list[str]:
        """The names of all stages."""
        return list(self._stages)

    @property
    def written(self) -> dict[str, Any]:
        """Every stage as DVC wrote it, by its name."""
        return self._stages

    def reader(self, path: str) -> str | None:
        """The first stage that depends on a path; None where none does."""
        return next((name for name, entry in self._readable() if path in entry.deps), None)

    def recorded(self, path: str) -> str | None:
        """The md5 of a path among the outputs of any stage; None where none has it."""
        return next((entry.outs[path] for _, entry in self._readable() if path in entry.outs), None)

    def md5(self, stage: str | None, kind: str, path: str) -> str | None:
        """The md5 of a path among a stage's `deps` or `outs`; None when it is not recorded."""
        entry = self.entry(stage) if stage else None
        return {"deps": entry.deps, "outs": entry.outs}[kind].get(path) if entry else None

    def param(self, stage: str, file: str, name: str) -> Any:
        """A parameter of a stage by its file and dotted name; None when it is not recorded."""
        entry = self.entry(stage)
        return entry.params.get(file, {}).get(name) if entry else None

    def outputs(self, stage: str) -> list[str]:
        """The paths that a stage has written."""
        entry = self.entry(stage)
        return list(entry.outs) if entry else []

    def _readable(self) -> Iterator[tuple[str, Entry]]:
        """Every stage with its entry. One of another form is passed over: it is refused when its stage is asked for."""
        for name in self._stages:
            with suppress(CorruptFileError):
                if entry := self.entry(name):
                    yield name, entry

    def _entry(self, name: str) -> Entry | None:
        """A stage's entry, or None when DVC has not recorded it. Raises CorruptFileError."""
        return entry_of(name, self._stages[name], self.path) if name in self._stages else None


def entry_of(name: str, found: Any, path: Path = LOCK_FILE) -> Entry:
    """A stage's entry from what the dvc.lock at `path` has under its name. Raises CorruptFileError."""
    try:
        params = {_text(file): dict(names) for file, names in found.get("params", {}).items()}
        deps, outs = (_hashes(found.get(kind, [])) for kind in ("deps", "outs"))
        return Entry(_text(found["cmd"]), deps, params, outs)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        found_there = f"stage {name} has another form ({shown(error)})"
        raise CorruptFileError(path, found_there, "what DVC writes") from None


def _stages(path: Path, found: bytes) -> dict[str, Any]:
    """Every stage by its name; one that stands twice is refused, as by DVC."""
    try:
        content = load_yaml(found.decode())
    except DuplicateKeyError as error:
        named = _DUPLICATE.search(str(error.problem))
        raise CorruptFileError(path, f"{named[1] if named else 'a key'} stands twice", "every key once") from error
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no such date, too many digits
        raise CorruptFileError(path, f"not YAML ({' '.join(str(error).split())})", _WRITTEN) from error
    is_lock = isinstance(content, dict) and content.get("schema") == "2.0" and isinstance(content.get("stages"), dict)
    if not is_lock:
        raise CorruptFileError(path, "no stages of schema 2.0", _WRITTEN)
    if not found.startswith((b"schema:", b"{")):  # not the comment of somebody else
        raise CorruptFileError(path, f"{shown(found.splitlines()[0], 60)} at its head", _WRITTEN)
    if others := [name for name in content["stages"] if not isinstance(name, str)]:
        raise CorruptFileError(path, f"a stage named {shown(others[0], 60)}", _WRITTEN)
    if more := sorted(map(str, content.keys() - _KEYS)):
        raise CorruptFileError(path, f"{shown(more[0], 60)} beside its stages", _WRITTEN)
    return content["stages"]


def _hashes(items: list[dict[str, Any]]) -> dict[str, str]:
    """The md5 by path. Raises ValueError for one that is no md5, which YAML may read as a number, or a path twice."""
    found: dict[str, str] = {}
    for item in items:
        if not _MD5.fullmatch(str(item["md5"])) or not isinstance(item["md5"], str):
            raise ValueError(f"{item['path']}: md5 {item['md5']!r}")
        if item["path"] in found:
            raise ValueError(f"{item['path']} twice")
        found[_text(item["path"])] = item["md5"]
    return found


def _text(value: Any) -> str:
    """A text. TypeError for what YAML has read as something else."""
    if not isinstance(value, str):
        raise TypeError(f"{shown(value, 60)} where a text stands")
    return value
