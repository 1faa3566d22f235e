"""The way back from a number: every artifact behind an evaluation, and every place that has its hash.

`lineage(result, lock)` lists what one step hands to the next, from the raw data to the tables. Each `Artifact` says
where it lies, how its hash is taken, and which places witness the hash: keys in the result's file, in `dvc.lock`, and
the file itself (`found`). So an artifact can be

    shown       hash, path, witnesses
    held        `disagreeing`: the witnesses that say something else; `silent`: those that say nothing
    proved      `found()` is the hash of what lies at `path`, None where that is not here

Without `dvc.lock` the record alone speaks. Nothing here needs data or weights. An artifact whose `path` is None is a
value (settings, a fingerprint), or lies where only `dvc.lock` says.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stages.core.errors import CorruptFileError
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import digest, file_hash, json_hash
from stages.core.regular import is_inside, is_regular
from stages.records.data import TRAIN_ARRAYS
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, logits_path
from stages.records.fingerprint import Kind
from stages.records.provenance import Dependency, Provenance, folder_md5, hash_dependency

StepName = Literal["raw data", "arrays", "training", "weights", "evaluation", "predictions", "number", "table"]
Algorithm = Literal["md5", "sha256"]
INPUTS = "the inputs that dvc.yaml names, in both provenances"


@dataclass(frozen=True)
class Witness:
    """One place where a hash is written down: the key in a file. `hash` is None where the place says nothing."""

    file: str
    key: str
    hash: str | None

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


@dataclass(frozen=True)
class Artifact:
    """One thing that a step hands on, and all places that have its hash.

    A folder's md5 is DVC's; `files` has the md5 of each file in it (of code: the hash of each module), and `sha256` the
    place that has a file's sha256, as far as they are recorded.
    """

    step: StepName
    name: str
    path: str | None
    algorithm: Algorithm
    witnesses: tuple[Witness, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, Witness] = field(default_factory=dict)

    @property
    def hash(self) -> str | None:
        """The hash in the first of its witnesses that has one."""
        return next((witness.hash for witness in self.witnesses if witness.hash), None)

    @property
    def disagreeing(self) -> list[Witness]:
        """The witnesses that have another hash than the first."""
        return [witness for witness in self.witnesses if witness.hash and witness.hash != self.hash]

    @property
    def silent(self) -> list[Witness]:
        """The witnesses that have no hash."""
        return [witness for witness in self.witnesses if not witness.hash]

    def hashes(self, name: str) -> dict[str, str]:
        """What is recorded of a file in a folder: its md5, and its sha256 where that is known."""
        sha256 = self.sha256[name].hash if name in self.sha256 else None
        return {"md5": self.files[name]} | ({"sha256": sha256} if sha256 else {})

    def found(self) -> str | None:
        """The hash of what lies at `path` now, from its bytes; None when nothing does, or when it is a value."""
        if self.path is None or not (is_regular(self.path) or Path(self.path).is_dir()) or not is_inside(self.path):
            return None
        if self.algorithm == "md5":
            return hash_dependency(Path(self.path)).md5
        return file_hash(self.path, self.algorithm)


class Lineage(tuple[Artifact, ...]):
    """The artifacts behind a result, in the order of the steps."""

    __slots__ = ()

    def of(self, step: StepName, name: str, algorithm: Algorithm = "md5") -> Artifact:
        """One artifact. KeyError without."""
        for artifact in self:
            if (artifact.step, artifact.name, artifact.algorithm) == (step, name, algorithm):
                return artifact
        raise KeyError(f"{step}, {name}, {algorithm}")


def lineage(
    result: Evaluation,
    lock: Lock | None = None,
    makers: Mapping[str, str] | None = None,
    lacking: list[str] | None = None,
) -> Lineage:
    """The artifacts behind a result, from the record alone, or with what dvc.lock has of them.

    `makers` are the stages by their outputs, as dvc.yaml has them; by default the record and dvc.lock name them. Raises
    CorruptFileError for a record that lacks an input; where `lacking` is given, that is added to it instead, and what
    hangs on the input is left out.
    """
    found: list[Artifact] = []
    source = _Source(result, lock, makers or {})
    for artifacts in source.steps():
        try:
            found += artifacts()
        except KeyError as error:
            if lacking is None:
                raise CorruptFileError(source.file, f"no one input with {error.args[0]}", INPUTS) from None
            lacking.append(f"no one input with {error.args[0]}")
    return Lineage(found)


@dataclass(frozen=True)
class _Source:
    """The record and dvc.lock; makes the artifacts. Every key is named as it stands in its file."""

    result: Evaluation
    lock: Lock | None
    named: Mapping[str, str]

    @property
    def makers(self) -> Mapping[str, str]:
        """The stages by their outputs."""
        return self.named or (self.lock.makers if self.lock else {})

    @property
    def train(self) -> str:
        """The stage that trained."""
        try:
            return self.named.get(self.result.run_folder[0], self.result.run.stage)
        except KeyError:
            return self.result.run.stage

    @property
    def evaluate(self) -> str:
        """The stage that tested."""
        return self.named.get(self.file, self.result.stage)

    @property
    def file(self) -> str:
        return self.result.file.path if self.result.file else "the result"

    def steps(self) -> Iterator[Callable[[], list[Artifact]]]:
        """What makes the artifacts; each may raise KeyError, for an input that the record does not name."""
        run, result = self.result.run, self.result
        yield self.raw
        yield self.training_arrays
        yield self.description
        yield self.test_arrays
        yield self.settings
        yield lambda: self.code("training", "train", run.provenance, "run.provenance", self.train)
        yield self.run_folder
        yield lambda: self.code("evaluation", "evaluate", result.provenance, "provenance", self.evaluate)
        yield self.predictions
        yield self.number
        yield self.tables

    def raw(self) -> list[Artifact]:
        """The canonical files of the data set: what `download` made, and `preprocess` says it read."""
        made_from = self.result.run.data.made_from
        said = self.said("run.data.made_from.raw_md5", folder_md5(made_from.raw_md5))
        sha256 = {
            name: self.said(f"run.data.made_from.raw_sha256.{name}", sha256)
            for name, sha256 in made_from.raw_sha256.items()
        }
        preprocess = self.makers.get(self.result.run.training_arrays[0])
        paths = self.lock.inputs(preprocess) if self.lock else []
        path = paths[0] if len(paths) == 1 else None
        witnesses = (said, *self.locked(preprocess, "deps", "the raw data"))
        if path:
            witnesses = (
                said,
                *self.locked(self.makers.get(path), "outs", path),
                *self.locked(preprocess, "deps", path),
            )
        return [Artifact("raw data", "raw data", path, "md5", witnesses, made_from.raw_md5, sha256)]

    def training_arrays(self) -> list[Artifact]:
        run = self.result.run
        path, found = run.training_arrays
        sha256 = {f"{array}.npy": self.array(array) for array in TRAIN_ARRAYS}
        return [self.folder("arrays", "training arrays", path, found, "run.provenance", self.train, sha256)]

    def description(self) -> list[Artifact]:
        run = self.result.run
        folder, arrays = run.training_arrays
        path, found = self.result.description
        witnesses = (
            self.said(f"provenance.inputs.{path}", found.md5),
            self.said(f"run.provenance.inputs.{folder}.files.{DESCRIPTION}", (arrays.files or {}).get(DESCRIPTION)),
            self.said("run.data", run.data.md5()),
            *self.locked(self.evaluate, "deps", path),
        )
        return [Artifact("arrays", "description", path, "md5", witnesses)]

    def test_arrays(self) -> list[Artifact]:
        path, found = self.result.test_arrays
        names = {f"{name}.npy": f"test_{name}" for name in ("images", "labels")}
        sha256 = {name: self.array(array) for name, array in names.items()}
        return [self.folder("arrays", "test arrays", path, found, "provenance", self.evaluate, sha256)]

    def array(self, name: str) -> Witness:
        """Where the sha256 of an array is written down."""
        return self.said(f"run.data.sha256.{name}", self.result.run.data.sha256.get(name))

    def settings(self) -> list[Artifact]:
        """The settings of the training: those of its record, and those that DVC took from the spec."""
        run = self.result.run
        settings = run.config.model_dump(mode="json", exclude={"seed"})
        witnesses = (
            self.said("run.config", digest(settings)),
            *self.param(self.train, run.provenance, "settings", lambda locked: digest(locked) if locked else None),
        )
        return [Artifact("training", "settings", None, "sha256", witnesses)]

    def code(self, step: StepName, kind: Kind, made: Provenance, where: str, stage: str) -> list[Artifact]:
        """The code of a training or an evaluation: its spec, and the fingerprint that the spec gives."""
        whole = digest({"scheme": made.code.scheme, "modules": made.code.modules})
        witnesses = (
            self.said(f"{where}.code.sha256", made.code.sha256),
            self.said(f"{where}.code.modules", whole),
            *self.param(stage, made, f"code.{kind}", lambda locked: locked if isinstance(locked, str) else None),
        )
        return [
            Artifact(step, "spec", made.spec.path, "md5", (self.said(f"{where}.spec.md5", made.spec.md5),)),
            Artifact(step, "code", None, "sha256", witnesses, made.code.modules),
        ]

    def run_folder(self) -> list[Artifact]:
        """The run's folder and the files in it, whose md5 the evaluation took and whose sha256 the training did."""
        path, found = self.result.run_folder
        run, files = self.result.run, found.files or {}
        epochs = [epoch.model_dump(mode="json", exclude_unset=True) for epoch in self.result.history]

        def artifact(name: str, file: str, algorithm: Algorithm, *witnesses: Witness) -> Artifact:
            return Artifact("weights", name, f"{path}/{file}", algorithm, witnesses)

        def md5(file: str) -> Witness:
            return self.said(f"provenance.inputs.{path}.files.{file}", files[file])

        def sha256(file: str, of: str) -> Witness:
            return self.said(f"run.sha256.{file}", of)

        history_sha256 = self.said("history", json_hash(epochs, "sha256"))
        in_run = {HISTORY: sha256(HISTORY, run.sha256.history), WEIGHTS: sha256(WEIGHTS, run.sha256.weights)}
        return [
            self.folder("weights", "run", path, found, "provenance", self.evaluate, in_run),
            artifact("run record", RECORD, "md5", md5(RECORD), self.said("run", run.md5())),
            artifact("history", HISTORY, "md5", md5(HISTORY), self.said("history", json_hash(epochs))),
            artifact("history", HISTORY, "sha256", in_run[HISTORY], history_sha256),
            artifact("weights", WEIGHTS, "md5", md5(WEIGHTS)),
            artifact("weights", WEIGHTS, "sha256", in_run[WEIGHTS]),
        ]

    def predictions(self) -> list[Artifact]:
        """The logits beside the result, the labels, and the folder of the predictions, which dvc.lock alone names."""
        stage, sha256 = self.evaluate, self.result.sha256
        logits = logits_path(Path(self.file)).as_posix() if self.result.file else None
        logits_sha256 = self.said("sha256.logits.npy", sha256.logits)
        found = [Artifact("predictions", "logits", logits, "sha256", (logits_sha256,))]
        folder = None
        if self.lock and logits:
            found.append(Artifact("predictions", "logits", logits, "md5", self.locked(stage, "outs", logits)))
            others = [path for path in self.lock.outputs(stage) if path not in (self.file, logits)]
            folder = others[0] if len(others) == 1 else None
        if folder:
            found.append(Artifact("predictions", "predictions", folder, "md5", self.locked(stage, "outs", folder)))
        labels = self.said("sha256.labels.npy", sha256.labels)
        path = f"{folder}/labels.npy" if folder else None
        return [*found, Artifact("predictions", "labels", path, "sha256", (labels,))]

    def number(self) -> list[Artifact]:
        """The result's file, by what DVC recorded of it; without dvc.lock, as it was read."""
        file = self.result.file
        read = (Witness(self.file, "the file", file.md5 if file else None),)
        witnesses = self.locked(self.evaluate, "outs", self.file) or read
        return [Artifact("number", "result", file.path if file else None, "md5", witnesses)]

    def tables(self) -> list[Artifact]:
        """All that `aggregate-tables` read and wrote."""
        if self.lock is None or self.result.file is None:
            return []
        folder = Path(self.file).parents[1].as_posix()
        maker = self.lock.reader(folder)
        if maker is None:
            return [Artifact("table", "tables", None, "md5", self.locked(None, "outs", "aggregate-tables"))]
        made = [
            Artifact("table", Path(path).name, path, "md5", self.locked(maker, "outs", path))
            for path in self.lock.outputs(maker)
        ]
        return [Artifact("table", "results", folder, "md5", self.locked(maker, "deps", folder)), *made]

    def folder(
        self,
        step: StepName,
        name: str,
        path: str,
        found: Dependency,
        where: str,
        reader: str,
        sha256: Mapping[str, Witness] | None = None,
    ) -> Artifact:
        """A folder that one stage made and another read."""
        files = found.files or {}
        witnesses = (
            self.said(f"{where}.inputs.{path}", found.md5),
            self.said(f"{where}.inputs.{path}.files", folder_md5(files)),
            *self.locked(self.makers.get(path), "outs", path),
            *self.locked(reader, "deps", path),
        )
        return Artifact(step, name, path, "md5", witnesses, files, sha256 or {})

    def said(self, key: str, value: str | None) -> Witness:
        """What the result says."""
        return Witness(self.file, key, value)

    def locked(self, stage: str | None, kind: Literal["deps", "outs"], path: str) -> tuple[Witness, ...]:
        """What dvc.lock says of a stage's input or output; nothing where it is not asked."""
        if self.lock is None:
            return ()
        key = f"{stage or 'no stage'}.{kind}.{path}"
        return (Witness(self.lock.path.as_posix(), key, self.lock.md5(stage, kind, path)),)

    def param(
        self, stage: str, made: Provenance, name: str, hash_of: Callable[[object], str | None]
    ) -> tuple[Witness, ...]:
        """What dvc.lock says of a parameter that a stage took from its spec."""
        if self.lock is None:
            return ()
        key = f"{stage}.params.{made.spec.path}.{name}"
        return (Witness(self.lock.path.as_posix(), key, hash_of(self.lock.param(stage, made.spec.path, name))),)
