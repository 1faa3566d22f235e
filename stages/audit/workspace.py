"""All that an audit looks at: params.yaml, dvc.yaml, dvc.lock, the files, git, and the specs of today's sources."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from stages.audit.disk import Disk
from stages.audit.findings import Finding, missing
from stages.audit.history import History
from stages.audit.numbers import Number
from stages.audit.pipeline import Stage, Stages
from stages.audit.recompute import Recomputation
from stages.audit.results import LooseResult, read_loosely
from stages.config.params import Params
from stages.config.reading import PARAMS_FILE, read_yaml
from stages.core.errors import CorruptFileError, StageError
from stages.core.files import parse_json
from stages.core.regular import is_there, read_regular
from stages.records.attempts import Attempt, Attempts, Entry
from stages.records.copies import KnownArrays, OtherCopies, other_copies, preprocess_entry
from stages.records.data import DatasetDescription
from stages.records.dvc_lock import Lock
from stages.records.evaluation import result_path
from stages.records.planned import SWITCHES
from stages.records.run import DIVERGED, FINISHED, TrainingRun
from stages.records.spec import Spec, resolve_specs


@dataclass(frozen=True)
class Workspace:
    """The working directory, read once."""

    budget: str
    params: Params
    lock: Lock = field(default_factory=lambda: Lock(required=False))
    history: History = field(default_factory=History)
    data_findings: dict[str, list[Finding]] = field(default_factory=dict)  # of a data set, which its numbers share
    derived: dict[str, DatasetDescription | list[Finding]] = field(default_factory=dict)  # by data set, see derive.py
    _known_arrays: KnownArrays = field(default_factory=KnownArrays)

    @property
    def repro(self) -> str:
        """The command that runs a stage of the budget: DVC knows those of the chosen one alone."""
        chosen = self.budget == self.params.budget
        return "dvc repro" if chosen else f"with budget: {self.budget} in params.yaml, dvc repro"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """params.yaml as DVC reads it, with the switches that hold for the budget."""
        switches = self.params.model_dump(mode="json", include=set(SWITCHES))
        return {**read_yaml(PARAMS_FILE), **switches}

    @cached_property
    def disk(self) -> Disk:
        """The files, by their hashes; those alone that dvc.yaml names."""
        return Disk(self.stages.is_named)

    @cached_property
    def stages(self) -> Stages:
        """The budget's stages, as dvc.yaml has them."""
        return Stages(self.budget, self.params)

    @cached_property
    def attempts(self) -> Attempts:
        """The trainings that were started. Raises CorruptFileError."""
        return Attempts.read(self.stages.tables().option("attempts"))

    @cached_property
    def dropped(self) -> list[Attempt]:
        """The trainings that came to an end and whose result is not here; none where the file cannot be read."""
        try:
            trainings = self.attempts.trainings
        except CorruptFileError:
            return []  # said of the file
        ended = [one for one in trainings if one.outcome in (FINISHED, DIVERGED)]
        return [one for one in ended if not one.is_among([self._binding(one.start)])]

    def _binding(self, start: Entry) -> str | None:
        """The binding of the run in the result of an attempt's cell and seed; None where there is none to read.

        A cell that params.yaml does not have has no result: the attempts name no path.
        """
        if start.seed is None:
            return None
        try:
            key = self.params.find(str(start.cell))[0]
            path = result_path(self.stages.tables().option("cells"), key, start.seed)
            found = parse_json(read_regular(path, "evaluate"), path, "evaluate")
        except StageError:
            return None
        run = found.get("run") if isinstance(found, dict) else None
        return run.get("binding") if isinstance(run, dict) else None

    @cached_property
    def specs(self) -> dict[str, Spec]:
        """What each cell is today, by params.yaml and the sources here. Raises StageError where that is nothing."""
        return {spec.cell: spec for spec in resolve_specs(self.params, self.budget)}

    @cached_property
    def recomputation(self) -> Recomputation:
        """Specs and fingerprints of recorded commits."""
        return Recomputation(self.budget, self.history)

    def edited(self, stage: Stage) -> bool:
        """Whether an input of a stage has changed since it ran: then its outputs are outdated, not false."""
        trees = {path: self.disk.tree(Path(path)) for path in stage.deps}
        return any(tree and tree.md5 != self.lock.md5(stage.name, "deps", path) for path, tree in trees.items())

    def other_copies(self, number: Number, run: TrainingRun) -> OtherCopies | None:
        """How a number's arrays differ from those in dvc.lock, if in the augmented copies alone; else None."""
        places = self.stages.places(number.key, number.seed)
        entry = preprocess_entry(self.lock, places.preprocess)
        return other_copies(run, places.training, entry, self.result(number).parent, self.lock, self._known_arrays)

    def result(self, number: Number) -> Path:
        """The file of a number's result."""
        return self.stages.result(number.key, number.seed)

    @cached_property
    def read(self) -> Callable[[Number], tuple[LooseResult | None, list[Finding]]]:
        """A number's result, or None where there is none to read, and what is wrong with the file."""
        return cache(self._read)

    def _read(self, number: Number) -> tuple[LooseResult | None, list[Finding]]:
        path, stage = self.result(number), self.stages.evaluate(number.key, number.seed).name
        return read_loosely(path, stage) if is_there(path) else (None, [missing(path, f"dvc repro {stage}")])
