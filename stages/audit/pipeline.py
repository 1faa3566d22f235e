"""The stages of dvc.yaml, with `vars` and the items of their matrix filled in: what runs, and where everything lies."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.config.params import CellKey, Params
from stages.config.reading import PARAMS_FILE, read_yaml
from stages.core.errors import StageError
from stages.records.lineage import Places

DVC_FILE = Path("dvc.yaml")


class Stage(NamedTuple):
    """One stage, as dvc.yaml has it now; `params` are the names of its parameters by the file that holds them."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: dict[str, tuple[str, ...]]
    outs: tuple[str, ...]

    def option(self, name: str) -> Path:
        """The path that the command is given after `--name`: dvc.yaml alone says where things are."""
        words = shlex.split(self.cmd)
        if f"--{name}" not in words:
            raise StageError(f"{DVC_FILE}, {self.name}: its command has no --{name}")
        return Path(words[words.index(f"--{name}") + 1])


class Stages:
    """The stages of a budget, as dvc.yaml of the working directory has them now."""

    def __init__(self, budget: str, params: Params) -> None:
        self.budget, self.params = budget, params
        self._templates = read_yaml(DVC_FILE)["stages"]

    def download(self, dataset: str) -> Stage:
        """The stage that gets a data set."""
        return self._stage("download", dataset=dataset)

    def preprocess(self, dataset: str) -> Stage:
        """The stage that makes a data set's arrays."""
        return self._stage("preprocess", budget=self.budget, dataset=dataset)

    def resolve(self) -> Stage:
        """The stage that writes the specs."""
        return self._stage("resolve", budget=self.budget)

    def train(self, key: CellKey, seed: int) -> Stage:
        """The stage that trains a cell."""
        return self._of_cell("train", key, seed)

    def evaluate(self, key: CellKey, seed: int) -> Stage:
        """The stage that tests a cell."""
        return self._of_cell("evaluate", key, seed)

    def result(self, key: CellKey, seed: int) -> Path:
        """The file of a cell's result."""
        return self.evaluate(key, seed).option("metrics-out")

    def places(self, key: CellKey, seed: int) -> Places:
        """Where dvc.yaml has everything behind a result, and the stages that make it."""
        download, preprocess = self.download(key.dataset), self.preprocess(key.dataset)
        train, evaluate = self.train(key, seed), self.evaluate(key, seed)
        options = {
            "raw": download.option("out"),
            "training": preprocess.option("train-out"),
            "description": evaluate.option("description"),
            "test": preprocess.option("test-out"),
            "run": train.option("out"),
            "logits": evaluate.option("logits-out"),
            "predictions": evaluate.option("predictions-out"),
        }
        names = (stage.name for stage in (download, preprocess, train, evaluate))
        return Places(*(path.as_posix() for path in options.values()), *names)

    def tables(self) -> Stage:
        """The stage that makes the tables."""
        return self._stage("aggregate-tables", budget=self.budget)

    def paper(self) -> Stage:
        """The stage that holds the paper's own numbers against each other."""
        return self._stage("audit-paper")

    def _of_cell(self, kind: str, key: CellKey, seed: int) -> Stage:
        """The stage of a cell and seed, in the block of dvc.yaml that plans it: tables, study or more seeds."""
        block = self.params.stage(kind, key, self.budget, seed).partition("@")[0]
        return self._stage(block, budget=self.budget, cell=key.name, seed=str(seed))

    def _stage(self, template: str, **item: str) -> Stage:
        """A stage, for the items of its matrix. Raises StageError when dvc.yaml has no such stage."""
        if template not in self._templates:
            raise StageError(f"{DVC_FILE} has no stage {template}; its stages: {', '.join(self._templates)}")
        found = self._templates[template]
        items = {name: item[name] for name in found.get("matrix", ())}
        values = {f"item.{name}": value for name, value in items.items()}
        for some in found.get("vars", ()):
            values |= {name: str(value) for name, value in some.items()}
        outs = [out for kind in ("outs", "metrics", "plots") for out in found.get(kind, [])]
        return Stage(
            f"{template}@{'-'.join(items.values())}" if items else template,
            _fill(found["cmd"], values),
            tuple(_fill(dep, values) for dep in found.get("deps", [])),
            _params(found.get("params", []), values),
            tuple(_fill(out if isinstance(out, str) else next(iter(out)), values) for out in outs),
        )


def _params(entries: Iterable[str | Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Names of parameters by file: an entry is the name of one of params.yaml's, or a mapping from files to names."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        by_file = {PARAMS_FILE.as_posix(): [entry]} if isinstance(entry, str) else entry
        for file, names in by_file.items():
            path = _fill(file, values)
            found[path] = (*found.get(path, ()), *(_fill(name, values) for name in names))
    return found


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text
