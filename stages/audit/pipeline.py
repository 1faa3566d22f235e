"""The stages of dvc.yaml with the items of their matrix filled in: what runs, and where everything lies."""

import shlex
from pathlib import Path
from typing import NamedTuple

from stages.config.params import CellKey, read_yaml
from stages.core.errors import StageError
from stages.records.provenance import DVC_FILE


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


class Stages:
    """The stages of a budget, as dvc.yaml of the working directory has them now."""

    def __init__(self, budget: str) -> None:
        self.budget = budget
        self._templates = read_yaml(DVC_FILE)["stages"]

    def download(self, dataset: str) -> Stage:
        """The stage that gets a data set."""
        return self._stage("download", dataset=dataset)

    def preprocess(self, dataset: str) -> Stage:
        """The stage that makes a data set's arrays."""
        return self._stage("preprocess", budget=self.budget, dataset=dataset)

    def train(self, key: CellKey, seed: int) -> Stage:
        """The stage that trains a cell."""
        return self._of_cell("train", key, seed)

    def evaluate(self, key: CellKey, seed: int) -> Stage:
        """The stage that tests a cell."""
        return self._of_cell("evaluate", key, seed)

    def result(self, key: CellKey, seed: int) -> Path:
        """The file of a cell's result."""
        return self.evaluate(key, seed).option("metrics-out")

    def tables(self) -> Stage:
        """The stage that makes the tables."""
        return self._stage("aggregate-tables", budget=self.budget)

    def paper(self) -> Stage:
        """The stage that holds the paper's own numbers against each other."""
        return self._stage("audit-paper")

    def _of_cell(self, kind: str, key: CellKey, seed: int) -> Stage:
        return self._stage(f"{kind}-{key.stage_suffix}", budget=self.budget, cell=key.name, seed=str(seed))

    def _stage(self, template: str, **item: str) -> Stage:
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
