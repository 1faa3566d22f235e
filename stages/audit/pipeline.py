"""The stages of dvc.yaml, with `vars` and the items of their matrix filled in: what runs, and where everything lies."""

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.config.params import CellKey, Params
from stages.config.reading import PARAMS_FILE, read_yaml
from stages.core.errors import CorruptFileError, StageError, shown
from stages.core.validation import refused_keys
from stages.records.lineage import Places

DVC_FILE = Path("dvc.yaml")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_Path = str | Annotated[dict[str, Any], Field(min_length=1)]  # alone, or with what DVC is to do with it


class _Template(BaseModel):
    """What is read here of a stage of dvc.yaml; DVC reads more."""

    model_config = ConfigDict(strict=True, extra="ignore")

    cmd: str
    vars: list[dict[str, Any]] = []
    matrix: dict[str, Any] = {}
    deps: list[str] = []
    params: list[str | dict[str, list[str]]] = []
    outs: list[_Path] = []
    metrics: list[_Path] = []
    plots: list[_Path] = []

    @property
    def outputs(self) -> list[str]:
        """The paths of its outputs, metrics and plots, with variables not filled in."""
        return [_path(out) for out in (*self.outs, *self.metrics, *self.plots)]


class Stage(NamedTuple):
    """One stage, as dvc.yaml has it now; `params` are the names of its parameters by the file that holds them."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: dict[str, tuple[str, ...]]
    outs: tuple[str, ...]

    def option(self, name: str) -> Path:
        """The path that the command is given after `--name`: dvc.yaml alone says where things are."""
        try:
            words = _words(self.cmd)
        except ValueError as error:
            raise CorruptFileError(f"{DVC_FILE}, {self.name}, cmd", error, "words as a shell reads them") from None
        if f"--{name}" not in words[:-1]:
            raise StageError(f"{DVC_FILE}, {self.name}: its command has no --{name}")
        return Path(words[words.index(f"--{name}") + 1])


@cache
def _words(command: str) -> tuple[str, ...]:
    """The words of a shell command. Raises ValueError."""
    return tuple(shlex.split(command))


class Stages:
    """The stages of a budget, as dvc.yaml of the working directory has them now."""

    def __init__(self, budget: str, params: Params) -> None:
        self.budget, self.params = budget, params
        content = read_yaml(DVC_FILE)
        found = content.get("stages") if isinstance(content, dict) else None
        if not isinstance(found, dict):
            raise CorruptFileError(DVC_FILE, "no stages by their names", f"the pipeline (git checkout {DVC_FILE})")
        self._templates: dict[str, Any] = found
        self.is_named = cache(self._is_named)

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

    def architectures(self) -> Stage:
        """The stage that writes each network as it is built."""
        return self._stage("architectures", budget=self.budget)

    def paper(self) -> Stage:
        """The stage that holds the paper's own numbers against each other."""
        return self._stage("audit-paper")

    def _of_cell(self, kind: str, key: CellKey, seed: int) -> Stage:
        """The stage of a cell and seed, in the block of dvc.yaml that plans it: tables, study or more seeds."""
        block = self.params.stage(kind, key, self.budget, seed).partition("@")[0]
        return self._stage(block, budget=self.budget, cell=key.name, seed=str(seed))

    def _is_named(self, path: str) -> bool:
        """Whether a path, or a folder above it, is an input, output or parameter file of a stage."""
        parts = PurePosixPath(path).parts
        above = ["/".join(parts[: length + 1]) for length in range(len(parts))]
        return ".." not in parts and not path.startswith("/") and any(map(self._named.fullmatch, above))

    @cached_property
    def _named(self) -> re.Pattern[str]:
        """All paths of dvc.yaml; a variable in one stands for any name."""
        found = {DVC_FILE.as_posix(), PARAMS_FILE.as_posix(), "stages"}
        for name in self._templates:
            found |= _paths(self._template(name))
        return re.compile("|".join("[^/]+".join(map(re.escape, _VARIABLE.split(path))) for path in sorted(found)))

    def _template(self, name: str) -> _Template:
        """A stage as dvc.yaml writes it. Raises CorruptFileError for one that DVC would not take."""
        found = self._templates[name]
        try:
            return _Template.model_validate(found)
        except ValidationError as error:
            first = refused_keys(error, found)[0]
            where = f"{DVC_FILE}, {name}" + (f", {first.key}" if first.key else "")
            raise CorruptFileError(where, shown(first.value, 60), first.allowed or "a key") from None

    def _stage(self, template: str, **item: str) -> Stage:
        """A stage, for the items of its matrix. Raises StageError when dvc.yaml has no such stage."""
        if template not in self._templates:
            raise StageError(f"{DVC_FILE} has no stage {template}; its stages: {', '.join(map(str, self._templates))}")
        found = self._template(template)
        unknown = [name for name in found.matrix if name not in item]
        if unknown:
            raise CorruptFileError(f"{DVC_FILE}, {template}, matrix", unknown[0], f"one of {', '.join(item)}")
        items = {name: item[name] for name in found.matrix}
        values = {f"item.{name}": value for name, value in items.items()}
        for some in found.vars:
            values |= {name: str(value) for name, value in some.items()}
        return Stage(
            f"{template}@{'-'.join(items.values())}" if items else template,
            _fill(found.cmd, values),
            tuple(_fill(dep, values) for dep in found.deps),
            _params(found.params, values),
            tuple(_fill(out, values) for out in found.outputs),
        )


def _path(entry: str | Mapping[str, Any]) -> str:
    """The path of an entry: a plain path, or the one key of a mapping."""
    return entry if isinstance(entry, str) else next(iter(entry))


def _paths(found: _Template) -> set[str]:
    """The paths that a stage of dvc.yaml names, variables and all."""
    files = [_path(entry) for entry in found.params if isinstance(entry, dict)]
    return {path.removeprefix("./") for path in (*found.deps, *found.outputs, *files)}


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
