"""One training or one evaluation as the entities of a Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process/0.5).

Everything is read off the result that `evaluate` wrote, which holds the run record of its training. What is not in the
crate (data, weights, the sources as they were) is a contextual entity, whose `@id` starts with `#` so that nobody looks
for a file, and which its md5 or sha256 identifies. An entity is a dictionary of JSON-LD.
"""

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.filenames import HISTORY, RECORD, WEIGHTS
from stages.core.files import flatten
from stages.records.evaluation import Evaluation, logits_path
from stages.records.lineage import StepName, lineage
from stages.records.provenance import Environment, Provenance
from stages.records.run import NumericsRecord

Entity = dict[str, Any]
COMPLETED = "http://schema.org/CompletedActionStatus"
_MACHINE = ("processor", "cores", "memory_gib", "platform")
_NUMERICS = ("device", "precision", "threads")


class Actions(NamedTuple):
    """The two actions behind a result, and all entities that they need, themselves included."""

    train: Entity
    evaluate: Entity
    entities: list[Entity]


def actions(result: Evaluation, file: Path, agents: Sequence[Entity] = (), enclosed: Container[str] = ()) -> Actions:
    """The training and the evaluation behind a result, which is `file` in the crate, its logits beside it.

    `agents` are who ran them; `enclosed` are paths of run folders' files that are in the crate.

    Raises CorruptFileError for a result that does not say from which data it was made.
    """
    return _Story(result, file, agents, enclosed).actions()


class _Story:
    """Gathers the entities of one result."""

    def __init__(
        self, result: Evaluation, file: Path, agents: Sequence[Entity] = (), enclosed: Container[str] = ()
    ) -> None:
        self.result, self.run, self.file = result, result.run, file
        self.agents, self.enclosed = list(agents), enclosed
        self.artifacts = lineage(result)
        self.entities: dict[str, Entity] = {}

    def actions(self) -> Actions:
        weights = self._run_files()
        train = self._train([*weights, self._history_value()])
        evaluate = self._evaluate(weights)
        return Actions(train, evaluate, list(self.entities.values()))

    def _add(self, entity: Entity) -> Entity:
        self.entities[entity["@id"]] = entity
        return reference(entity)

    def _train(self, results: list[Entity]) -> Entity:
        run, taken = self.run, self.run.provenance
        epochs = len(self.result.history)
        inputs = [self._data("training arrays"), *self._others(taken)]
        inputs += self._values("setting", flatten(run.config.model_dump(mode="json")))
        action = {
            "@id": f"#{run.stage}",
            "@type": "CreateAction",
            "name": f"Train {run.cell}, seed {run.seed}, budget {run.budget}",
            "description": f"The training {run.outcome} after {epochs} epochs. It was run by {_who(taken)}.",
            "agent": single(self.agents),
            "instrument": self._instrument("stages.train", taken),
            "startTime": run.times.started,
            "endTime": run.times.ended,
            "actionStatus": COMPLETED,
            "object": [self._spec("training"), *inputs],
            "result": results,
            "environment": self._environment(taken.environment, run.numerics),
        }
        if run.mlflow:
            action["identifier"] = self._value("MLflow run", run.mlflow.run_id)
        self._add(action)
        return action

    def _evaluate(self, weights: list[Entity]) -> Entity:
        result, run, taken = self.result, self.run, self.result.provenance
        data = [*(self._data(name) for name in ("description", "test arrays")), *self._others(taken)]
        labels = self.artifacts.of("predictions", "labels", "sha256").hash
        accuracy = self._value("test accuracy in percent", round(100 * result.accuracy, 6))
        action = {
            "@id": f"#{result.stage}",
            "@type": "CreateAction",
            "name": f"Evaluate {run.cell}, seed {run.seed}, budget {run.budget}",
            "description": f"{result.correct} of {result.test_images} test images were named rightly.",
            "agent": single(self.agents),
            "instrument": self._instrument("stages.evaluate", taken),
            "startTime": result.times.started,
            "endTime": result.times.ended,
            "actionStatus": COMPLETED,
            "object": [
                self._spec("evaluation"),
                *weights,
                *data,
                self._value("test images", result.test_images, "setting"),
            ],
            "result": [
                {"@id": self.file.as_posix()},
                {"@id": logits_path(self.file).as_posix()},
                accuracy,
                self._absent(f"{result.stage}/labels.npy", f"an output of {result.stage}", sha256=labels),
            ],
            "environment": self._environment(taken.environment, result.numerics),
        }
        self._add(action)
        return action

    def _spec(self, step: StepName) -> Entity:
        """What the stage was asked for: settings, and the fingerprint of the code."""
        spec, code = self.artifacts.of(step, "spec"), self.artifacts.of(step, "code", "sha256")
        if spec.found() == spec.hash:
            return {"@id": spec.path}  # in the crate, with all reports
        about = "the cell's settings and code, as resolved"
        return self._absent(str(spec.path), about, md5=spec.hash, version=f"code {code.hash}")

    def _run_files(self) -> list[Entity]:
        """Weights, history and run record: what the training made and the evaluation read."""
        run = self.artifacts.of("weights", "run")
        about = {WEIGHTS: "the weights after the last epoch", HISTORY: "metrics by epoch", RECORD: "the run record"}
        return [
            {"@id": path}
            if (path := f"{run.path}/{name}") in self.enclosed
            else self._absent(path, text, **run.hashes(name))
            for name, text in about.items()
        ]

    def _history_value(self) -> Entity:
        last = self.result.history[-1]
        return self._value("last validation accuracy in percent", round(100 * last.validation_accuracy, 6))

    def _data(self, name: str) -> Entity:
        """A file or folder of data: DVC's md5, each file of it with its own, and the data set that it comes from."""
        found, dataset = self.artifacts.of("arrays", name), self.run.dataset
        about, path = f"{dataset.upper()}, as preprocess wrote it", str(found.path)
        if not found.files:
            return self._absent(path, about, md5=found.hash, isBasedOn=self._data_set(dataset))
        described = name == "training arrays" or not self.artifacts.of("arrays", "description").disagreeing
        hashes = {file: found.hashes(file) if described else {"md5": md5} for file, md5 in found.files.items()}
        parts = [self._absent(f"{path}/{file}", about, **of_file) for file, of_file in hashes.items()]
        whole = {"identifier": f"md5:{found.hash}", "hasPart": parts, "isBasedOn": self._data_set(dataset)}
        return self._absent(path, f"{about}; the identifier is DVC's md5 of the folder", **whole)

    def _others(self, taken: Provenance) -> list[Entity]:
        """Inputs beside those that dvc.yaml has as it is shipped."""
        known = {artifact.path for artifact in self.artifacts}
        return [
            self._absent(path, "an input", md5=found.md5) for path, found in taken.inputs.items() if path not in known
        ]

    def _data_set(self, dataset: str) -> Entity:
        raw, path = self.artifacts.of("raw data", "raw data"), f"data/raw/{dataset}"
        parts = [self._absent(f"{path}/{file}", "raw", **raw.hashes(file)) for file in raw.files]
        name, about = f"{dataset}, raw", f"{dataset.upper()}: the canonical files, before any split"
        return self._absent(path, about, name=name, hasPart=parts)

    def _instrument(self, module: str, made: Provenance) -> Entity:
        """The stage's module at its commit, with the sources that were there and the packages that it ran with."""
        git, environment = made.git, made.environment
        packages = {name: version for name, version in environment.packages.items() if version is not None}
        state = f"with uncommitted changes in {', '.join(git.changed)}" if git.dirty else "without changes"
        entity = {
            "@type": ["SoftwareApplication", "SoftwareSourceCode"],
            "name": module,
            "description": f"python -m {module}, commit {git.commit} {state}",
            "version": git.commit + ("-dirty" if git.dirty else ""),
            "identifier": f"swh:1:rev:{git.commit}",
            "programmingLanguage": "Python",
            "runtimePlatform": f"Python {environment.python}",
            "hasPart": [self._source(path, md5) for path, md5 in made.sources.items()],
            "softwareRequirements": [self._package(name, version) for name, version in packages.items()],
        }
        if git.dirty:
            del entity["identifier"]  # the commit does not hold what ran
        return self._add({"@id": f"urn:{module}:{_short(entity)}", **entity})

    def _source(self, path: str, md5: str) -> Entity:
        about = {"name": path, "encodingFormat": "text/x-python", "md5": md5}
        return self._add({"@id": f"#{path}-{md5[:12]}", "@type": "CreativeWork", **about})

    def _package(self, name: str, version: str) -> Entity:
        page = f"https://pypi.org/project/{name}/{version}/"
        about = {"name": name, "softwareVersion": version, "url": page}
        return self._add({"@id": page, "@type": "SoftwareApplication", **about})

    def _environment(self, environment: Environment, numerics: NumericsRecord) -> list[Entity]:
        values = {name: getattr(numerics, name) for name in _NUMERICS}
        values |= {name: getattr(environment, name) for name in _MACHINE}
        return self._values("environment", values | environment.variables | environment.speed_variables)

    def _values(self, kind: str, values: Mapping[str, Any]) -> list[Entity]:
        return [self._value(name, value, kind) for name, value in values.items()]

    def _value(self, name: str, value: Any, kind: str = "value") -> Entity:
        """A PropertyValue. Equal ones are one entity; a list, which JSON-LD would take apart, is written as JSON."""
        plain = json.dumps(value) if isinstance(value, list | dict) or value is None else value
        entity = {"@type": "PropertyValue", "name": name, "value": plain}
        return self._add({"@id": f"#{kind}-{name.replace(' ', '-')}-{_short(entity)}", **entity})

    def _absent(self, path: str, about: str, **properties: Any) -> Entity:
        """Something that is not in the crate; its hashes distinguish it from one of the same place and other bytes."""
        entity = {"@type": "CreativeWork", "name": path, "description": f"{about} (not in this crate)"} | properties
        return self._add({"@id": f"#{path}-{_short(entity)}", **entity})


def single(values: list[Entity]) -> Entity | list[Entity]:
    """One value as itself, as RO-Crate recommends; more as a list."""
    return values[0] if len(values) == 1 else values


def reference(entity: Mapping[str, Any]) -> Entity:
    """The JSON-LD that points to an entity."""
    return {"@id": entity["@id"]}


def _who(made: Provenance) -> str:
    return "DVC" if made.run_by == "dvc" else "hand"


def _short(entity: Mapping[str, Any]) -> str:
    """Enough of a hash of an entity's content to distinguish it from others."""
    return hashlib.sha256(json.dumps(entity, sort_keys=True).encode()).hexdigest()[:12]
