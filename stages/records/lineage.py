"""The way back from a number: every artifact behind an evaluation, and every place that has its hash.

`lineage(result, lock)` lists what one step hands to the next, from the raw data to the tables. Each `Artifact` says
where it lies, how its hash is taken, and which places witness the hash: keys in the result's file, in `dvc.lock`, and
the file itself (`found`). So an artifact can be

    shown       hash, path, witnesses
    held        `disagreeing`: the witnesses that say something else; `silent`: those that say nothing
    checked     `found()` is the hash of what lies at `path`, None where that is not here

`Places` says where everything lies and which stages made it: from dvc.yaml (`stages.audit.pipeline`), else from the
record. Without `dvc.lock` the record alone speaks. Nothing here needs
data or weights. An artifact whose `path` is None is a value (settings, a fingerprint), or lies at no known place.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from stages.core.errors import CorruptFileError
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import digest, file_hash, json_hash
from stages.core.regular import is_inside, is_regular
from stages.records.copies import FILES
from stages.records.data import TRAIN_ARRAYS
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, logits_path
from stages.records.fingerprint import Kind
from stages.records.provenance import Dependency, Provenance, folder_md5, hash_dependency
from stages.records.run import TrainingRun

StepName = Literal["raw data", "arrays", "training", "weights", "evaluation", "predictions", "number", "table"]
Algorithm = Literal["md5", "sha256"]
_NAMES = {  # the files of each input
    "training": FILES,
    "description": (DESCRIPTION,),
    "test": ("images.npy", "labels.npy"),
    "run": (WEIGHTS, HISTORY, RECORD),
}


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
    place that has a file's sha256, as far as they are recorded. If `made_elsewhere`, the bytes at `path` may be
    those of another processor (`stages.records.copies`), and are not compared.
    """

    step: StepName
    name: str
    path: str | None
    algorithm: Algorithm
    witnesses: tuple[Witness, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, Witness] = field(default_factory=dict)
    made_elsewhere: bool = False

    @property
    def hash(self) -> str | None:
        """The hash that most of its witnesses have; the first one's where no hash has more than half of them."""
        found = [witness.hash for witness in self.witnesses if witness.hash]
        return majority(found) or next(iter(found), None)

    @property
    def disagreeing(self) -> list[Witness]:
        """The witnesses that have another hash than `hash`."""
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
        if (
            self.path is None
            or self.made_elsewhere
            or not (is_regular(self.path) or Path(self.path).is_dir())
            or not is_inside(self.path)
        ):
            return None
        if self.algorithm == "md5":
            return hash_dependency(Path(self.path)).md5
        return file_hash(self.path, self.algorithm)


def majority(hashes: Iterable[str]) -> str | None:
    """The hash that more than half of them are; None without one."""
    found = Counter(hashes)
    most, times = found.most_common(1)[0] if found else ("", 0)
    return most if 2 * times > found.total() else None


class Places(NamedTuple):
    """Where everything behind a result lies (None: not known), and the stages that made it (None: not known)."""

    raw: str | None
    training: str | None
    description: str | None
    test: str | None
    run: str | None
    logits: str | None
    predictions: str | None
    download: str | None
    preprocess: str | None
    train: str
    evaluate: str


def recorded_places(result: Evaluation) -> Places:
    """The places that the record names: an input by the files that it holds."""
    return Places(
        raw=None,
        training=_input(result.run, "training_arrays"),
        description=_input(result, "description"),
        test=_input(result, "test_arrays"),
        run=_input(result, "run_folder"),
        logits=logits_path(Path(result.file.path)).as_posix() if result.file else None,
        predictions=None,
        download=None,
        preprocess=None,
        train=result.run.stage,
        evaluate=result.stage,
    )


def _input(record: Evaluation | TrainingRun, name: str) -> str | None:
    """The path of an input by the record's own property; None where it names no one such input."""
    try:
        return str(getattr(record, name)[0])
    except KeyError:
        return None


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
    places: Places | None = None,
    lacking: list[str] | None = None,
    has_other_copies: bool = False,
) -> Lineage:
    """The artifacts behind a result, from the record alone, or with what dvc.lock has of them.

    `places` are those of dvc.yaml; by default those that the record names. Raises CorruptFileError for a record
    that lacks an input, or a file in one; where `lacking` is given, that is added to it instead, and the artifact has
    the other witnesses. With `has_other_copies` the arrays that are here, and those that dvc.lock has of `preprocess`,
    are not those of the record (`stages.records.copies`), and are not compared with it.
    """
    source = _Source(result, lock, places or recorded_places(result), has_other_copies)
    if lacking is not None:
        lacking += [*source.absent_inputs(), *source.absent_files()]
    for lacks in source.absent_inputs() if lacking is None else ():
        raise CorruptFileError(source.file, lacks, "every input that dvc.yaml names")
    return Lineage(artifact for artifacts in source.steps() for artifact in artifacts())


@dataclass(frozen=True)
class _Source:
    """The record and dvc.lock; makes the artifacts. Every key is named as it stands in its file."""

    result: Evaluation
    lock: Lock | None
    places: Places
    has_other_copies: bool = False

    @property
    def file(self) -> str:
        return self.result.file.path if self.result.file else "the result"

    def absent_inputs(self) -> Iterator[str]:
        """The inputs that the record does not name, each with the place where it should stand."""
        for role, (where, made) in self.provenances.items():
            path: str | None = getattr(self.places, role)
            if path is None:
                yield f"{where}.inputs has no one input with {' and '.join(_NAMES[role])}"
            elif path not in made.inputs:
                yield f"{where}.inputs has no {path}"

    def absent_files(self) -> Iterator[str]:
        """The files in its folders that the record does not name."""
        for role, (where, made) in self.provenances.items():
            path = getattr(self.places, role)
            if path in made.inputs and path != self.places.description:
                files = made.inputs[path].files or {}
                yield from (f"{where}.inputs.{path}.files has no {name}" for name in _NAMES[role] if name not in files)

    @property
    def provenances(self) -> dict[str, tuple[str, Provenance]]:
        """The provenance that names each input, and its key."""
        run, tested = ("run.provenance", self.result.run.provenance), ("provenance", self.result.provenance)
        return {"training": run, "description": tested, "test": tested, "run": tested}

    def steps(self) -> Iterator[Callable[[], list[Artifact]]]:
        """What makes the artifacts."""
        run, result = self.result.run, self.result
        yield self.raw
        yield self.training_arrays
        yield self.description
        yield self.test_arrays
        yield self.settings
        yield lambda: self.code("training", "train", run.provenance, "run.provenance", self.places.train)
        yield self.run_folder
        yield lambda: self.code("evaluation", "evaluate", result.provenance, "provenance", self.places.evaluate)
        yield self.predictions
        yield self.number
        yield self.tables

    def raw(self) -> list[Artifact]:
        """The canonical files of the data set: what `download` made, and `preprocess` says it read."""
        made_from, path = self.result.run.data.made_from, self.places.raw
        sha256 = {
            name: self.said(f"run.data.made_from.raw_sha256.{name}", sha256)
            for name, sha256 in made_from.raw_sha256.items()
        }
        witnesses = (
            self.said("run.data.made_from.raw_md5", folder_md5(made_from.raw_md5)),
            *(self.locked(self.places.download, "outs", path) if path else ()),
            *(self.locked(self.places.preprocess, "deps", path) if path else ()),
        )
        return [Artifact("raw data", "raw data", path, "md5", witnesses, made_from.raw_md5, sha256)]

    def training_arrays(self) -> list[Artifact]:
        sha256 = {f"{array}.npy": self.array(array) for array in TRAIN_ARRAYS}
        path, made, maker = self.places.training, self.result.run.provenance, self.places.preprocess
        where, reader = "run.provenance", self.places.train
        found = self.folder("arrays", "training arrays", path, made, where, maker, reader, sha256)
        if self.has_other_copies:
            of_maker = self.locked(maker, "outs", path) if path else ()
            kept = tuple(witness for witness in found.witnesses if witness not in of_maker)
            found = replace(found, witnesses=kept, made_elsewhere=True)
        return [found]

    def description(self) -> list[Artifact]:
        run, path, folder = self.result.run, self.places.description, self.places.training
        arrays = run.provenance.inputs.get(folder or "")
        found = self.result.provenance.inputs.get(path or "")
        witnesses = (
            self.said(f"provenance.inputs.{path}", found.md5 if found else None),
            self.said(
                f"run.provenance.inputs.{folder}.files.{DESCRIPTION}",
                (arrays.files or {}).get(DESCRIPTION) if arrays else None,
            ),
            self.said("run.data", run.data.md5()),
            *(self.locked(self.places.evaluate, "deps", path) if path else ()),
        )
        return [Artifact("arrays", "description", path, "md5", witnesses, made_elsewhere=self.has_other_copies)]

    def test_arrays(self) -> list[Artifact]:
        names = {f"{name}.npy": f"test_{name}" for name in ("images", "labels")}
        sha256 = {name: self.array(array) for name, array in names.items()}
        path, made, maker = self.places.test, self.result.provenance, self.places.preprocess
        return [self.folder("arrays", "test arrays", path, made, "provenance", maker, self.places.evaluate, sha256)]

    def array(self, name: str) -> Witness:
        """Where the sha256 of an array is written down."""
        return self.said(f"run.data.sha256.{name}", self.result.run.data.sha256.get(name))

    def settings(self) -> list[Artifact]:
        """The settings of the training: those of its record, and those that DVC took from the spec."""
        run = self.result.run
        settings = run.config.model_dump(mode="json", exclude={"seed"})
        witnesses = (
            self.said("run.config", digest(settings)),
            *self.param(
                self.places.train, run.provenance, "settings", lambda locked: digest(locked) if locked else None
            ),
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
        path, run, made = self.places.run, self.result.run, self.result.provenance
        found = made.inputs.get(path or "")
        files = (found.files if found else None) or {}
        epochs = [epoch.model_dump(mode="json", exclude_unset=True) for epoch in self.result.history]

        def artifact(name: str, file: str, algorithm: Algorithm, *witnesses: Witness) -> Artifact:
            return Artifact("weights", name, f"{path}/{file}" if path else None, algorithm, witnesses)

        def md5(file: str) -> Witness:
            return self.said(f"provenance.inputs.{path}.files.{file}", files.get(file))

        def sha256(file: str, of: str) -> Witness:
            return self.said(f"run.sha256.{file}", of)

        history_sha256 = self.said("history", json_hash(epochs, "sha256"))
        in_run = {HISTORY: sha256(HISTORY, run.sha256.history), WEIGHTS: sha256(WEIGHTS, run.sha256.weights)}
        maker, reader = self.places.train, self.places.evaluate
        return [
            self.folder("weights", "run", path, made, "provenance", maker, reader, in_run),
            artifact("run record", RECORD, "md5", md5(RECORD), self.said("run", run.md5())),
            artifact("history", HISTORY, "md5", md5(HISTORY), self.said("history", json_hash(epochs))),
            artifact("history", HISTORY, "sha256", in_run[HISTORY], history_sha256),
            artifact("weights", WEIGHTS, "md5", md5(WEIGHTS)),
            artifact("weights", WEIGHTS, "sha256", in_run[WEIGHTS]),
        ]

    def predictions(self) -> list[Artifact]:
        """The logits beside the result, the labels, and the folder of the predictions."""
        stage, sha256, logits, folder = (
            self.places.evaluate,
            self.result.sha256,
            self.places.logits,
            self.places.predictions,
        )
        found = [Artifact("predictions", "logits", logits, "sha256", (self.said("sha256.logits.npy", sha256.logits),))]
        if self.lock and logits:
            found.append(Artifact("predictions", "logits", logits, "md5", self.locked(stage, "outs", logits)))
        if self.lock and folder:
            found.append(Artifact("predictions", "predictions", folder, "md5", self.locked(stage, "outs", folder)))
        labels = self.said("sha256.labels.npy", sha256.labels)
        path = f"{folder}/labels.npy" if folder else None
        return [*found, Artifact("predictions", "labels", path, "sha256", (labels,))]

    def number(self) -> list[Artifact]:
        """The result's file, by what DVC recorded of it; without dvc.lock, as it was read."""
        file = self.result.file
        read = (Witness(self.file, "the file", file.md5 if file else None),)
        witnesses = self.locked(self.places.evaluate, "outs", self.file) or read
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
        path: str | None,
        made: Provenance,
        where: str,
        maker: str | None,
        reader: str,
        sha256: Mapping[str, Witness],
    ) -> Artifact:
        """A folder that one stage made and another read, whose record at `where` is `made`."""
        found = made.inputs.get(path or "")
        return Artifact(
            step,
            name,
            path,
            "md5",
            (
                *self.named(f"{where}.inputs.{path}", found),
                *(self.locked(maker, "outs", path) if path else ()),
                *(self.locked(reader, "deps", path) if path else ()),
            ),
            (found.files if found else None) or {},
            sha256,
        )

    def named(self, key: str, found: Dependency | None) -> tuple[Witness, Witness]:
        """What a provenance says of a folder: its md5, and that of the files that it lists."""
        files = found.files if found else None
        return self.said(key, found.md5 if found else None), self.said(
            f"{key}.files", None if files is None else folder_md5(files)
        )

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
