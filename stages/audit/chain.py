"""The chain of hashes behind a number, as data: raw data, arrays, training, weights, evaluation, predictions, table.

`Chain.of(result file, stage, lock)` reads one result and `dvc.lock` and lists a `Link` for everything that one step
hands to the next. A link has the path of the thing, how its hash is taken, and every place where that hash is written
down. So a chain can be

    shown       link.hash, link.path, link.records
    held        link.disagreeing: the places that say something else; `missing`: those that say nothing
    proved      hash the thing at link.path again (`link.found()` where it is here) and compare with link.hash

Nothing here needs data or weights: on a fresh clone `found()` is None for what is not there. A link whose `path` is
None is a value (parameters), found in the records alone. No torch, no pandas: building one takes milliseconds.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stages.audit.lock import Lock
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import digest, file_hash, json_hash, read_json
from stages.records.provenance import folder_md5, hash_dependency
from stages.report.origins import Dependency, Made
from stages.report.results import Result, parse_result

Step = Literal["raw data", "arrays", "training", "weights", "evaluation", "predictions", "number", "table"]
Algorithm = Literal["md5", "sha256"]


@dataclass(frozen=True)
class Recorded:
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
    records: tuple[Recorded, ...]
    files: dict[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str | None:
        """What is expected: the hash in the first of its records that has one."""
        return next((record.hash for record in self.records if record.hash), None)

    @property
    def disagreeing(self) -> list[Recorded]:
        """The records that have another hash than the first."""
        return [record for record in self.records if record.hash and record.hash != self.hash]

    @property
    def missing(self) -> list[Recorded]:
        """The records that have no hash."""
        return [record for record in self.records if not record.hash]

    def found(self) -> str | None:
        """The hash of what lies at `path` now, from its bytes; None when nothing does, or when it is a value."""
        if self.path is None or not Path(self.path).exists():
            return None
        if self.algorithm == "md5":
            return hash_dependency(Path(self.path))["md5"]
        return file_hash(self.path, self.algorithm)


@dataclass(frozen=True)
class Chain:
    """A result, as checked and as raw JSON, and the links behind it from the raw data to the tables."""

    result: Result
    document: dict[str, Any]
    links: tuple[Link, ...]

    @classmethod
    def of(cls, path: Path, stage: str, lock: Lock) -> "Chain":
        """The chain of the result that the DVC stage `stage` wrote to `path`. Raises a StageError."""
        result = parse_result(path, stage)
        document = read_json(path, f"dvc repro {stage}")
        return cls(result, document, tuple(_Links(path.as_posix(), result, document, lock).all()))

    def step(self, name: Step) -> list[Link]:
        """The links of one step."""
        return [link for link in self.links if link.step == name]


@dataclass(frozen=True)
class _Links:
    """Makes the links. `file` is the result's path; every key is named as it stands in the file."""

    file: str
    result: Result
    document: dict[str, Any]
    lock: Lock

    def all(self) -> list[Link]:
        return [
            *self.raw(),
            *self.arrays(),
            *self.made_of("training", self.result.run, "run", self.result.stages.train),
            *self.weights(),
            *self.made_of("evaluation", self.result.evaluated, "evaluated", self.result.stages.evaluate),
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
        run, evaluated, stages = self.result.run, self.result.evaluated, self.result.stages
        path, train = run.training_arrays
        yielded = [self.folder("arrays", "training arrays", path, train, "run", stages.train)]
        path, description = evaluated.description
        records = (
            self.said(f"evaluated.deps.{path}", description.md5),
            self.said(f"run.deps.{run.training_arrays[0]}.files.{DESCRIPTION}", (train.files or {}).get(DESCRIPTION)),
            self.said("run.data", json_hash(self.document["run"]["data"], "md5")),
            self.locked(stages.evaluate, "deps", path),
        )
        yielded.append(Link("arrays", "description", path, "md5", records))
        path, test = evaluated.test_arrays
        return [*yielded, self.folder("arrays", "test arrays", path, test, "evaluated", stages.evaluate)]

    def folder(self, step: Step, name: str, path: str, found: Dependency, where: str, reader: str) -> Link:
        """A folder that one stage made and another read."""
        records = (
            self.said(f"{where}.deps.{path}", found.md5),
            self.said(f"{where}.deps.{path}.files", folder_md5(found.files or {})),
            self.locked(self.lock.producer(path), "outs", path),
            self.locked(reader, "deps", path),
        )
        return Link(step, name, path, "md5", records, found.files or {})

    def made_of(self, step: Step, made: Made, where: str, stage: str) -> list[Link]:
        """The code and the parameters of a training or an evaluation."""
        links = []
        for path, found in made.code.items():
            records = [self.said(f"{where}.deps.{path}", found.md5)]
            if found.files is not None:
                records.append(self.said(f"{where}.deps.{path}.files", folder_md5(found.files)))
            records.append(self.locked(stage, "deps", path))
            links.append(Link(step, "code", path, "md5", tuple(records), found.files or {}))
        entry = self.lock.entry(stage)
        locked = entry.params if entry else None
        in_lock = Recorded(self.lock.path.as_posix(), f"{stage}.params", digest(locked) if locked else None)
        records = [self.said(f"{where}.params", made.params_sha256), in_lock]
        return [*links, Link(step, "parameters", None, "sha256", tuple(records))]

    def weights(self) -> list[Link]:
        """The run's folder and the files in it, whose md5 the evaluation took and whose sha256 the training did."""
        path, run = self.result.evaluated.run_folder
        folder = self.folder("weights", "run", path, run, "evaluated", self.result.stages.evaluate)
        of_training = self.result.run.sha256

        def md5(name: str) -> Recorded:
            return self.said(f"evaluated.deps.{path}.files.{name}", (run.files or {})[name])

        def content(key: str, algorithm: Algorithm) -> Recorded:
            return self.said(key, json_hash(self.document[key], algorithm))

        record = (md5(RECORD), content("run", "md5"))
        history = (md5(HISTORY), content("history", "md5"))
        history_256 = (self.said(f"run.sha256.{HISTORY}", of_training.history), content("history", "sha256"))
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
        """The folder of the predictions, which dvc.lock alone names, and the arrays in it."""
        stage, sha256 = self.result.stages.evaluate, self.result.sha256
        folder = self.prediction_folder(stage)
        links = []
        if folder:
            links.append(Link("predictions", "predictions", folder, "md5", (self.locked(stage, "outs", folder),)))
        for name, value in (("logits", sha256.logits), ("labels", sha256.labels)):
            path = f"{folder}/{name}.npy" if folder else None
            links.append(Link("predictions", name, path, "sha256", (self.said(f"sha256.{name}.npy", value),)))
        return links

    def prediction_folder(self, stage: str) -> str | None:
        """The output of an evaluation that is not the result itself."""
        others = [path for path in self.lock.outputs(stage) if path != self.file]
        return others[0] if len(others) == 1 else None

    def number(self) -> list[Link]:
        """The result file, by what DVC recorded of it."""
        locked = self.locked(self.result.stages.evaluate, "outs", self.file)
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

    def said(self, key: str, value: str | None) -> Recorded:
        """What the result says."""
        return Recorded(self.file, key, value)

    def locked(self, stage: str | None, kind: Literal["deps", "outs"], path: str) -> Recorded:
        """What dvc.lock says of a stage's input or output."""
        key = f"{stage or 'no stage'}.{kind}.{path}"
        return Recorded(self.lock.path.as_posix(), key, self.lock.md5(stage, kind, path))
