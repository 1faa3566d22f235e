"""The stages of dvc.yaml with the items of their matrix filled in, and their entries in dvc.lock."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.errors import StageError
from stages.core.params import read_yaml
from stages.core.provenance import DVC_FILE

LOCK_FILE = Path("dvc.lock")


class Stage(NamedTuple):
    """One stage, as dvc.yaml has it now."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    def option(self, name: str) -> Path:
        """The path that the command is given after `--name`: dvc.yaml alone says where things are."""
        words = shlex.split(self.cmd)
        if f"--{name}" not in words:
            raise StageError(f"{DVC_FILE}, {self.name}: its command has no --{name}")
        return Path(words[words.index(f"--{name}") + 1])


class Entry(NamedTuple):
    """What dvc.lock has of a stage: md5 by path."""

    cmd: str
    deps: dict[str, str]
    params: dict[str, Any]
    outs: dict[str, str]


class Pipeline:
    """dvc.yaml and dvc.lock of the working directory, as they are now."""

    def __init__(self) -> None:
        self._templates = read_yaml(DVC_FILE)["stages"]
        recorded = read_yaml(LOCK_FILE) if LOCK_FILE.is_file() else None
        self._lock = (recorded or {}).get("stages", {})

    def stage(self, template: str, **item: str) -> Stage:
        """A stage, for the items of its matrix. Raises StageError when dvc.yaml has no such stage."""
        if template not in self._templates:
            raise StageError(f"{DVC_FILE} has no stage {template}; its stages: {', '.join(self._templates)}")
        found = self._templates[template]
        items = {name: item[name] for name in found.get("matrix", ())}

        def fill(text: str) -> str:
            for name, value in items.items():
                text = text.replace(f"${{item.{name}}}", value)
            return text

        outs = [out for kind in ("outs", "metrics", "plots") for out in found.get(kind, [])]
        return Stage(
            f"{template}@{'-'.join(items.values())}" if items else template,
            fill(found["cmd"]),
            tuple(map(fill, found.get("deps", []))),
            tuple(map(fill, found.get("params", []))),
            tuple(fill(out if isinstance(out, str) else next(iter(out))) for out in outs),
        )

    def entry(self, stage: Stage) -> Entry | None:
        """What dvc.lock has of a stage, if anything. Raises StageError when that is not of DVC's form."""
        found = self._lock.get(stage.name)
        if found is None:
            return None
        try:
            params = found.get("params", {}).get("params.yaml", {})
            deps, outs = ({item["path"]: item["md5"] for item in found.get(kind, [])} for kind in ("deps", "outs"))
            return Entry(found["cmd"], deps, params, outs)
        except (AttributeError, KeyError, TypeError) as error:
            raise StageError(f"{LOCK_FILE}, {stage.name}: not as DVC writes it ({error!r})") from None
