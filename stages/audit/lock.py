"""`dvc.lock`, a stage at a time: the file has thousands of lines, and an answer needs a few stages of it."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.core.errors import CorruptFileError, MissingFileError

LOCK_FILE = Path("dvc.lock")
_STAGE = re.compile(r"^  (?=\S)", re.MULTILINE)  # DVC writes a stage's name two spaces in, and all of it further in


class Lock:
    """What DVC recorded of each stage: its command, and the hashes of what it read and wrote."""

    def __init__(self, path: Path = LOCK_FILE) -> None:
        """Raises MissingFileError, or CorruptFileError for a file that holds no stages (DVC was killed writing it)."""
        if not path.is_file():
            raise MissingFileError(path, "git, or dvc repro (run from the top folder of the repository)")
        self.path = path
        head, found, body = path.read_text().partition("\nstages:\n")
        if not found or "schema: '2.0'" not in head:
            raise CorruptFileError(path, "no stages of schema 2.0", "what DVC writes (git checkout dvc.lock)")
        self._blocks = {block.partition(":\n")[0].strip("'\""): block for block in _STAGE.split(body)[1:]}
        self.stage = cache(self._stage)

    @property
    def stages(self) -> list[str]:
        """The names of all stages."""
        return list(self._blocks)

    def _stage(self, name: str) -> dict[str, Any] | None:
        """A stage's entry, or None when DVC has not recorded it. Raises CorruptFileError."""
        if name not in self._blocks:
            return None
        try:
            (entry,) = YAML(typ="safe").load("  " + self._blocks[name]).values()
        except (YAMLError, AttributeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise CorruptFileError(self.path, f"stage {name} is not YAML ({said})", "what DVC writes") from error
        return entry

    def producer(self, path: str) -> str | None:
        """The stage that has a path among its outputs; of several (one was renamed) the last that DVC recorded."""
        line = f"    - path: {path}\n"
        makers = [name for name, block in self._blocks.items() if line in block.partition("\n    outs:\n")[2] + "\n"]
        return makers[-1] if makers else None

    def md5(self, stage: str | None, kind: str, path: str) -> str | None:
        """The md5 of a path among a stage's `deps` or `outs`; None when it is not recorded."""
        entry = self.stage(stage) if stage else None
        return next((line["md5"] for line in (entry or {}).get(kind, ()) if line["path"] == path), None)

    def inputs(self, stage: str | None) -> list[str]:
        """The paths that a stage depends on, its sources aside."""
        entry = self.stage(stage) if stage else None
        return [line["path"] for line in (entry or {}).get("deps", ()) if not line["path"].startswith("stages/")]

    def params(self, stage: str) -> dict[str, Any] | None:
        """The parameters of params.yaml that a stage depends on, by their dotted names."""
        entry = self.stage(stage)
        return entry.get("params", {}).get("params.yaml") if entry else None
