"""`dvc.lock`, a stage at a time: the file has thousands of lines, and an answer needs a few stages of it."""

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.config.params import PARAMS_FILE
from stages.core.errors import CorruptFileError, MissingFileError

LOCK_FILE = Path("dvc.lock")
_STAGE = re.compile(r"^  (?=\S)", re.MULTILINE)  # DVC writes a stage's name two spaces in, and all of it further in


_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Entry(NamedTuple):
    """What DVC recorded of a stage: its command, parameters by their dotted names, md5 by path."""

    cmd: str
    deps: dict[str, str]
    params: dict[str, Any]
    outs: dict[str, str]


class Lock:
    """What DVC recorded of each stage: its command, and the hashes of what it read and wrote."""

    def __init__(self, path: Path = LOCK_FILE, required: bool = True) -> None:
        """Raises MissingFileError, or CorruptFileError for a file that holds no stages (DVC was killed writing it).

        Where it is not `required`, nothing is recorded in a file that is missing or empty.
        """
        if required and not path.is_file():
            raise MissingFileError(path, "git, or dvc repro (run from the top folder of the repository)")
        self.path = path
        text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        self._blocks = self._split(text) if required or text.strip() else {}
        self.entry = cache(self._entry)

    @property
    def stages(self) -> list[str]:
        """The names of all stages."""
        return list(self._blocks)

    def producer(self, path: str) -> str | None:
        """The stage that has a path among its outputs; of several (one was renamed) the last that DVC recorded."""
        line = f"    - path: {path}\n"
        makers = [name for name, block in self._blocks.items() if line in block.partition("\n    outs:\n")[2] + "\n"]
        return makers[-1] if makers else None

    def md5(self, stage: str | None, kind: str, path: str) -> str | None:
        """The md5 of a path among a stage's `deps` or `outs`; None when it is not recorded."""
        entry = self.entry(stage) if stage else None
        return {"deps": entry.deps, "outs": entry.outs}[kind].get(path) if entry else None

    def inputs(self, stage: str | None) -> list[str]:
        """The paths that a stage depends on, its sources aside."""
        entry = self.entry(stage) if stage else None
        return [path for path in entry.deps if not path.startswith("stages/")] if entry else []

    def outputs(self, stage: str) -> list[str]:
        """The paths that a stage has written."""
        entry = self.entry(stage)
        return list(entry.outs) if entry else []

    def _split(self, text: str) -> dict[str, str]:
        """The text of each stage by its name. A name that stands twice is refused, as by DVC."""
        head, found, body = text.partition("\nstages:\n")
        if not found or "schema: '2.0'" not in head:
            raise CorruptFileError(self.path, "no stages of schema 2.0", "what DVC writes (git checkout dvc.lock)")
        blocks: dict[str, str] = {}
        for block in _STAGE.split(body)[1:]:
            name = block.partition(":\n")[0].strip("'\"")
            if name in blocks:
                raise CorruptFileError(self.path, f"stage {name} stands twice", "every stage once")
            blocks[name] = block
        return blocks

    def _entry(self, name: str) -> Entry | None:
        """A stage's entry, or None when DVC has not recorded it. Raises CorruptFileError."""
        if name not in self._blocks:
            return None
        try:
            (found,) = YAML(typ="safe").load("  " + self._blocks[name]).values()
        except (YAMLError, AttributeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise CorruptFileError(self.path, f"stage {name} is not YAML ({said})", "what DVC writes") from error
        try:
            params = found.get("params", {}).get(str(PARAMS_FILE), {})
            deps, outs = (_hashes(found.get(kind, [])) for kind in ("deps", "outs"))
            return Entry(found["cmd"], deps, params, outs)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(self.path, f"stage {name} has another form ({error!r})", "what DVC writes") from None


def _hashes(items: list[dict[str, Any]]) -> dict[str, str]:
    """The md5 by path. Raises ValueError for one that is no md5, which YAML may read as a number, or a path twice."""
    found: dict[str, str] = {}
    for item in items:
        if not _MD5.fullmatch(str(item["md5"])) or not isinstance(item["md5"], str):
            raise ValueError(f"{item['path']}: md5 {item['md5']!r}")
        if item["path"] in found:
            raise ValueError(f"{item['path']} twice")
        found[item["path"]] = item["md5"]
    return found
