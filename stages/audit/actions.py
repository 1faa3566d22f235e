"""One training or one evaluation as the entities of a Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process/0.5).

Everything is read off the result that `evaluate` wrote, which holds the run record of its training. What is not in the
crate (data, weights, predictions, the sources as they were) is a contextual entity, whose `@id` starts with `#` so that
nobody looks for a file, and which its md5 or sha256 identifies. An entity is a dictionary of JSON-LD.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.audit.history import by_file
from stages.config.params import flatten
from stages.core.errors import CorruptFileError
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS

Entity = dict[str, Any]
COMPLETED = "http://schema.org/CompletedActionStatus"
_SOURCES = "stages/"
_MACHINE = ("processor", "cores", "memory_gib", "platform")
_ARITHMETIC = ("device", "precision", "threads")


class Actions(NamedTuple):
    """The two actions behind a result, and all entities that they need, themselves included."""

    train: Entity
    evaluate: Entity
    entities: list[Entity]


def actions(result: Mapping[str, Any], file: str) -> Actions:
    """The training and the evaluation behind a result, which is `file` in the crate.

    Raises CorruptFileError for a result that does not say when, by which code or from which data it was made.
    """
    try:
        return _Story(result, file).told()
    except (KeyError, TypeError, StopIteration) as error:
        found = f"no {error.args[0]}" if isinstance(error, KeyError) else f"its hashes are not whole ({error!r})"
        raise CorruptFileError(file, found, "a result as evaluate writes it now (dvc repro)") from None


class _Story:
    """Gathers the entities of one result."""

    def __init__(self, result: Mapping[str, Any], file: str) -> None:
        self.result, self.record, self.tested, self.file = result, result["run"], result["evaluated"], file
        self.entities: dict[str, Entity] = {}

    def told(self) -> Actions:
        weights = self._run_files()
        train = self._train([*weights, self._history_value()])
        evaluate = self._evaluate(weights)
        return Actions(train, evaluate, list(self.entities.values()))

    def _add(self, entity: Entity) -> Entity:
        self.entities[entity["@id"]] = entity
        return reference(entity)

    def _train(self, results: list[Entity]) -> Entity:
        record, times = self.record, self.record["times"]
        epochs = len(self.result["history"])
        inputs = [self._data(path, found) for path, found in record["deps"].items() if not path.startswith(_SOURCES)]
        inputs += self._values("setting", flatten(record["config"]))
        action = {
            "@id": f"#{record['stage']}",
            "@type": "CreateAction",
            "name": f"Train {record['cell']}, seed {record['seed']}, budget {record['budget']}",
            "description": f"The training {record['outcome']} after {epochs} epochs. It was run by {_who(record)}.",
            "instrument": self._instrument("stages.train", record),
            "startTime": times["started"],
            "endTime": times["ended"],
            "actionStatus": COMPLETED,
            "object": inputs,
            "result": results,
            "environment": self._environment(record["environment"], record),
        }
        if record["mlflow"]:
            action["identifier"] = self._value("MLflow run", record["mlflow"]["run_id"])
        self._add(action)
        return action

    def _evaluate(self, weights: list[Entity]) -> Entity:
        result, tested = self.result, self.tested
        run = self._run_folder()
        data = [
            (path, found) for path, found in tested["deps"].items() if not path.startswith(_SOURCES) and path != run
        ]
        accuracy = self._value("test accuracy in percent", round(100 * result["accuracy"], 6))
        action = {
            "@id": f"#{result['stages']['evaluate']}",
            "@type": "CreateAction",
            "name": f"Evaluate {result['cell']}, seed {result['seed']}, budget {result['budget']}",
            "description": f"{result['correct']} of {result['test_images']} test images were named rightly.",
            "instrument": self._instrument("stages.evaluate", tested),
            "startTime": tested["times"]["started"],
            "endTime": tested["times"]["ended"],
            "actionStatus": COMPLETED,
            "object": [
                *weights,
                *(self._data(path, found) for path, found in data),
                *self._values("setting", tested["params"]),
            ],
            "result": [{"@id": self.file}, accuracy, *self._predictions()],
            "environment": self._environment(tested["environment"], tested),
        }
        self._add(action)
        return action

    def _run_folder(self) -> str:
        """The folder of the trained run, as the evaluation names it: the one that has weights in it."""
        return next(path for path, found in self.tested["deps"].items() if _has(found, WEIGHTS))

    def _run_files(self) -> list[Entity]:
        """Weights, history and run record: what the training made and the evaluation read."""
        folder = self._run_folder()
        found, sha256 = self.tested["deps"][folder]["files"], self.record["sha256"]
        about = {WEIGHTS: "the weights after the last epoch", HISTORY: "metrics by epoch", RECORD: "the run record"}
        return [
            self._absent(f"{folder}/{name}", text, md5=found[name], **_if("sha256", sha256.get(name)))
            for name, text in about.items()
        ]

    def _history_value(self) -> Entity:
        last = self.result["history"][-1]
        return self._value("last validation accuracy in percent", round(100 * last["validation_accuracy"], 6))

    def _predictions(self) -> list[Entity]:
        stage = self.result["stages"]["evaluate"]
        return [
            self._absent(f"{stage}/{name}", f"an output of {stage}", sha256=value)
            for name, value in sorted(self.result["sha256"].items())
        ]

    def _data(self, path: str, found: Mapping[str, Any]) -> Entity:
        """A file or folder of data: DVC's md5, each file of it with its own, and the data set that it comes from."""
        data = self.record["data"]
        about = f"{data['title']}, as preprocess wrote it"
        if "files" not in found:
            return self._absent(path, about, md5=found["md5"], isBasedOn=self._data_set(data))
        parts = [
            self._absent(f"{path}/{name}", about, md5=md5, **_if("sha256", self._described(path, name)))
            for name, md5 in found["files"].items()
        ]
        whole = {"identifier": f"md5:{found['md5']}", "hasPart": parts, "isBasedOn": self._data_set(data)}
        return self._absent(path, f"{about}; the identifier is DVC's md5 of the folder", **whole)

    def _described(self, path: str, name: str) -> str | None:
        """The sha256 that dataset.json gives an array; None for an evaluation on other data than the training's."""
        sha256 = self.record["data"]["sha256"]
        if path in self.record["deps"]:
            return sha256.get(Path(name).stem)
        trained = next(
            found["files"][DESCRIPTION] for found in self.record["deps"].values() if _has(found, DESCRIPTION)
        )
        tested = [found["md5"] for path, found in self.tested["deps"].items() if Path(path).name == DESCRIPTION]
        return sha256.get(f"{Path(path).name}_{Path(name).stem}") if tested == [trained] else None

    def _data_set(self, data: Mapping[str, Any]) -> Entity:
        raw = data["made_from"]["raw_md5"]
        parts = [self._absent(f"data/raw/{data['dataset']}/{name}", "raw", md5=md5) for name, md5 in raw.items()]
        name, about = f"{data['dataset']}, raw", f"{data['title']}: the canonical files, before any split"
        return self._absent(f"data/raw/{data['dataset']}", about, name=name, hasPart=parts)

    def _instrument(self, module: str, made: Mapping[str, Any]) -> Entity:
        """The stage's module at its commit, with the sources that it depends on and the packages that it ran with."""
        git, environment = made["git"], made["environment"]
        sources = {path: found for path, found in made["deps"].items() if path.startswith(_SOURCES)}
        packages = {name: version for name, version in environment["packages"].items() if version is not None}
        state = f"with uncommitted changes in {', '.join(git['changed'])}" if git["dirty"] else "without changes"
        entity = {
            "@type": ["SoftwareApplication", "SoftwareSourceCode"],
            "name": module,
            "description": f"python -m {module}, commit {git['commit']} {state}",
            "version": git["commit"] + ("-dirty" if git["dirty"] else ""),
            "identifier": f"swh:1:rev:{git['commit']}",
            "programmingLanguage": "Python",
            "runtimePlatform": f"Python {environment['python']}",
            "hasPart": [
                self._source(name, md5) for path, found in sources.items() for name, md5 in by_file(path, found).items()
            ],
            "softwareRequirements": [self._package(name, version) for name, version in packages.items()],
        }
        if git["dirty"]:
            del entity["identifier"]  # the commit does not hold what ran
        return self._add({"@id": f"#{module}-{_short(entity)}", **entity})

    def _source(self, path: str, md5: str) -> Entity:
        about = {"name": path, "encodingFormat": "text/x-python", "md5": md5}
        return self._add({"@id": f"#{path}-{md5[:12]}", "@type": "CreativeWork", **about})

    def _package(self, name: str, version: str) -> Entity:
        page = f"https://pypi.org/project/{name}/{version}/"
        about = {"name": name, "softwareVersion": version, "url": page}
        return self._add({"@id": page, "@type": "SoftwareApplication", **about})

    def _environment(self, environment: Mapping[str, Any], numerics: Mapping[str, Any]) -> list[Entity]:
        values = {name: numerics[name] for name in _ARITHMETIC} | {name: environment[name] for name in _MACHINE}
        return self._values("environment", values | environment["variables"] | environment["speed_variables"])

    def _values(self, kind: str, values: Mapping[str, Any]) -> list[Entity]:
        return [self._value(name, value, kind) for name, value in values.items()]

    def _value(self, name: str, value: Any, kind: str = "value") -> Entity:
        """A PropertyValue. Equal ones are one entity; a list, which JSON-LD would take apart, is written as JSON."""
        plain = json.dumps(value) if isinstance(value, list | dict) or value is None else value
        entity = {"@type": "PropertyValue", "name": name, "value": plain}
        return self._add({"@id": f"#{kind}-{name.replace(' ', '-')}-{_short(entity)}", **entity})

    def _absent(self, path: str, about: str, **properties: Any) -> Entity:
        """Something that is not in the crate: told apart from one of the same place and other bytes by its hashes."""
        entity = {"@type": "CreativeWork", "name": path, "description": f"{about} (not in this crate)"} | properties
        return self._add({"@id": f"#{path}-{_short(entity)}", **entity})


def reference(entity: Mapping[str, Any]) -> Entity:
    """The JSON-LD that points to an entity."""
    return {"@id": entity["@id"]}


def _has(found: Mapping[str, Any], name: str) -> bool:
    return name in found.get("files", {})


def _who(record: Mapping[str, Any]) -> str:
    return "DVC" if record["run_by"] == "dvc" else "hand"


def _if(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}


def _short(entity: Mapping[str, Any]) -> str:
    """Enough of a hash of an entity's content to tell it from others."""
    return hashlib.sha256(json.dumps(entity, sort_keys=True).encode()).hexdigest()[:12]
