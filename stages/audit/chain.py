"""The chain of hashes behind a number, as data: raw data, arrays, training, weights, evaluation, predictions, table.

`Chain.of(result file, stage, lock)` reads one result and `dvc.lock` and lists a `Link` for everything that one step
hands to the next. A link has the path of the thing, how its hash is taken, and every place where that hash is written
down. So a chain can be

    shown       link.hash, link.path, link.records
    held        link.disagreeing: the places that say something else; `missing`: those that say nothing
    proved      hash the thing at link.path again (`link.found()` where it is here) and compare with link.hash

Nothing here needs data or weights: on a fresh clone `found()` is None for what is not there. A link whose `path` is
None is a value (settings, a fingerprint), found in the records alone. No torch, no pandas: building one takes
milliseconds.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stages.core.errors import CorruptFileError
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import digest, file_hash, json_hash
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, logits_path
from stages.records.fingerprint import Kind
from stages.records.provenance import Dependency, Provenance, folder_md5, hash_dependency

Step = Literal["raw data", "arrays", "training", "weights", "evaluation", "predictions", "number", "table"]
Algorithm = Literal["md5", "sha256"]


@dataclass(frozen=True)
class Witness:
    """One place where a hash is written down: the key in a file. `hash` is None where the place says nothing."""

    file: str
    key: str
    hash: str | None

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


@dataclass(frozen=True)
class Link:
    """One thing that a step of the chain hands on, and all that is recorded of its hash.

    `path` is where it lies, None for a value. A folder's md5 is DVC's; `files` are the md5 of each file in it, as
    far as they were recorded.
    """

    step: Step
    name: str
    path: str | None
    algorithm: Algorithm
    records: tuple[Witness, ...]
    files: dict[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str | None:
        """What is expected: the hash in the first of its records that has one."""
        return next((record.hash for record in self.records if record.hash), None)

    @property
    def disagreeing(self) -> list[Witness]:
        """The records that have another hash than the first."""
        return [record for record in self.records if record.hash and record.hash != self.hash]

    @property
    def missing(self) -> list[Witness]:
        """The records that have no hash."""
        return [record for record in self.records if not record.hash]

    def found(self) -> str | None:
        """The hash of what lies at `path` now, from its bytes; None when nothing does, or when it is a value."""
        if self.path is None or not Path(self.path).exists():
            return None
        if self.algorithm == "md5":
            return hash_dependency(Path(self.path)).md5
        return file_hash(self.path, self.algorithm)


@dataclass(frozen=True)
class Chain:
    """A result, and the links behind it from the raw data to the tables."""

    result: Evaluation
    links: tuple[Link, ...]

    @classmethod
    def of(cls, path: Path, stage: str, lock: Lock) -> "Chain":
        """The chain of the result that the DVC stage `stage` wrote to `path`. Raises a StageError."""
        result = Evaluation.read(path, f"dvc repro {stage}")
        try:
            return cls(result, tuple(_Links(path.as_posix(), result, lock).all()))
        except KeyError as error:
            found = f"no one input with {error.args[0]}"
            raise CorruptFileError(path, found, "the inputs that dvc.yaml names, in both provenances") from None

    def step(self, name: Step) -> list[Link]:
        """The links of one step."""
        return [link for link in self.links if link.step == name]


@dataclass(frozen=True)
class _Links:
    """Makes the links. `file` is the result's path; every key is named as it stands in the file."""

    file: str
    result: Evaluation
    lock: Lock

    def all(self) -> list[Link]:
        settings = self.result.run.config.model_dump(mode="json", exclude={"seed"})
        return [
            *self.raw(),
            *self.arrays(),
            self.settings(settings),
            *self.made_of("training", "train", self.result.run.provenance, "run.provenance", self.result.run.stage),
            *self.weights(),
            *self.made_of("evaluation", "evaluate", self.result.provenance, "provenance", self.result.stage),
            *self.predictions(),
            *self.number(),
            *self.tables(),
        ]

    def raw(self) -> list[Link]:
        """The canonical files of the data set: what `download` made, and `preprocess` says it read."""
        preprocess = self.lock.producer(self.result.run.training_arrays[0])
        files = self.result.run.data.made_from.raw_md5
        said = self.said("run.data.made_from.raw_md5", folder_md5(files))
        paths = self.lock.inputs(preprocess)
        path = paths[0] if len(paths) == 1 else None
        if path is None:
            nameless = (said, self.locked(preprocess, "deps", "the raw data"))
            return [Link("raw data", "raw data", None, "md5", nameless, files)]
        download = self.lock.producer(path)
        records = (said, self.locked(download, "outs", path), self.locked(preprocess, "deps", path))
        return [Link("raw data", "raw data", path, "md5", records, files)]

    def arrays(self) -> list[Link]:
        """Training arrays, test arrays, and the description of both."""
        run, stage = self.result.run, self.result.stage
        path, train = run.training_arrays
        links = [self.folder("arrays", "training arrays", path, train, "run.provenance", run.stage)]
        path, description = self.result.description
        in_folder = (train.files or {}).get(DESCRIPTION)
        records = (
            self.said(f"provenance.inputs.{path}", description.md5),
            self.said(f"run.provenance.inputs.{run.training_arrays[0]}.files.{DESCRIPTION}", in_folder),
            self.said("run.data", run.data.md5()),
            self.locked(stage, "deps", path),
        )
        links.append(Link("arrays", "description", path, "md5", records))
        path, test = self.result.test_arrays
        return [*links, self.folder("arrays", "test arrays", path, test, "provenance", stage)]

    def folder(self, step: Step, name: str, path: str, found: Dependency, where: str, reader: str) -> Link:
        """A folder that one stage made and another read."""
        records = (
            self.said(f"{where}.inputs.{path}", found.md5),
            self.said(f"{where}.inputs.{path}.files", folder_md5(found.files or {})),
            self.locked(self.lock.producer(path), "outs", path),
            self.locked(reader, "deps", path),
        )
        return Link(step, name, path, "md5", records, found.files or {})

    def settings(self, settings: dict[str, Any]) -> Link:
        """The settings of the training: those of its record, and those that DVC took from the spec."""
        run = self.result.run
        locked = self.lock.param(run.stage, run.provenance.spec.path, "settings")
        key = f"{run.stage}.params.{run.provenance.spec.path}.settings"
        in_lock = Witness(self.lock.path.as_posix(), key, digest(locked) if locked else None)
        return Link("training", "settings", None, "sha256", (self.said("run.config", digest(settings)), in_lock))

    def made_of(self, step: Step, kind: Kind, made: Provenance, where: str, stage: str) -> list[Link]:
        """The code of a training or an evaluation: its spec, and the fingerprint that the spec gives."""
        locked = self.lock.param(stage, made.spec.path, f"code.{kind}")
        key = f"{stage}.params.{made.spec.path}.code.{kind}"
        whole = digest({"scheme": made.code.scheme, "modules": made.code.modules})
        records = (
            self.said(f"{where}.code.sha256", made.code.sha256),
            self.said(f"{where}.code.modules", whole),
            Witness(self.lock.path.as_posix(), key, locked if isinstance(locked, str) else None),
        )
        spec = self.said(f"{where}.spec.md5", made.spec.md5)
        return [
            Link(step, "spec", made.spec.path, "md5", (spec,)),
            Link(step, "code", None, "sha256", records, made.code.modules),
        ]

    def weights(self) -> list[Link]:
        """The run's folder and the files in it, whose md5 the evaluation took and whose sha256 the training did."""
        path, run = self.result.run_folder
        folder = self.folder("weights", "run", path, run, "provenance", self.result.stage)
        of_training = self.result.run.sha256
        epochs = [epoch.model_dump(mode="json", exclude_unset=True) for epoch in self.result.history]

        def md5(name: str) -> Witness:
            return self.said(f"provenance.inputs.{path}.files.{name}", (run.files or {})[name])

        record = (md5(RECORD), self.said("run", self.result.run.md5()))
        history = (md5(HISTORY), self.said("history", json_hash(epochs)))
        sha256 = self.said("history", json_hash(epochs, "sha256"))
        history_256 = (self.said(f"run.sha256.{HISTORY}", of_training.history), sha256)
        weights_256 = (self.said(f"run.sha256.{WEIGHTS}", of_training.weights),)
        return [
            folder,
            Link("weights", "run record", f"{path}/{RECORD}", "md5", record),
            Link("weights", "history", f"{path}/{HISTORY}", "md5", history),
            Link("weights", "history", f"{path}/{HISTORY}", "sha256", history_256),
            Link("weights", "weights", f"{path}/{WEIGHTS}", "md5", (md5(WEIGHTS),)),
            Link("weights", "weights", f"{path}/{WEIGHTS}", "sha256", weights_256),
        ]

    def predictions(self) -> list[Link]:
        """The logits beside the result, the labels, and the folder of the predictions, which dvc.lock alone names."""
        stage, sha256 = self.result.stage, self.result.sha256
        logits = logits_path(Path(self.file)).as_posix()
        folder = self.prediction_folder(stage, logits)
        links = [
            Link("predictions", "logits", logits, "sha256", (self.said("sha256.logits.npy", sha256.logits),)),
            Link("predictions", "logits", logits, "md5", (self.locked(stage, "outs", logits),)),
        ]
        if folder:
            links.append(Link("predictions", "predictions", folder, "md5", (self.locked(stage, "outs", folder),)))
        path = f"{folder}/labels.npy" if folder else None
        return [*links, Link("predictions", "labels", path, "sha256", (self.said("sha256.labels.npy", sha256.labels),))]

    def prediction_folder(self, stage: str, logits: str) -> str | None:
        """The output of an evaluation that is neither the result itself nor its logits."""
        others = [path for path in self.lock.outputs(stage) if path not in (self.file, logits)]
        return others[0] if len(others) == 1 else None

    def number(self) -> list[Link]:
        """The result file, by what DVC recorded of it."""
        locked = self.locked(self.result.stage, "outs", self.file)
        return [Link("number", "result", self.file, "md5", (locked,))]

    def tables(self) -> list[Link]:
        """All that `aggregate-tables` read and wrote."""
        folder = str(Path(self.file).parents[1].as_posix())
        maker = next((name for name in self.lock.stages if folder in self.lock.inputs(name)), None)
        if maker is None:
            return [Link("table", "tables", None, "md5", (self.locked(None, "outs", "aggregate-tables"),))]
        links = [Link("table", "results", folder, "md5", (self.locked(maker, "deps", folder),))]
        for path in self.lock.outputs(maker):
            links.append(Link("table", Path(path).name, path, "md5", (self.locked(maker, "outs", path),)))
        return links

    def said(self, key: str, value: str | None) -> Witness:
        """What the result says."""
        return Witness(self.file, key, value)

    def locked(self, stage: str | None, kind: Literal["deps", "outs"], path: str) -> Witness:
        """What dvc.lock says of a stage's input or output."""
        key = f"{stage or 'no stage'}.{kind}.{path}"
        return Witness(self.lock.path.as_posix(), key, self.lock.md5(stage, kind, path))
