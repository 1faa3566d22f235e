"""Which trainings are done by what is recorded: a result in git that dvc.lock has, whether its weights are here or not.

A clone has `reports/<budget>/` and `dvc.lock`, and neither data nor weights. That is enough to know what is done: the
result says what it was made from (settings, code, data), `dvc.lock` says the same of both stages, and both are held
against today's spec.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.config.params import Training, resolve_count
from stages.core.errors import MissingFileError, StageError
from stages.records.copies import KnownArrays, PreprocessEntry, other_copies
from stages.records.dvc_lock import Entry, Lock
from stages.records.evaluation import Evaluation
from stages.records.provenance import Provenance
from stages.records.run import TrainingRun
from stages.records.spec import Spec


class Locked(NamedTuple):
    """A stage's parameters by name, and the md5 of its inputs and outputs by path.

    They are those in dvc.lock, all empty where it has no entry, or those that a record has.
    """

    params: Mapping[str, Any]
    deps: Mapping[str, str]
    outs: Mapping[str, str]


class Entries(NamedTuple):
    """What dvc.lock has of a training, of its evaluation, and of its data set's preprocess stage."""

    train: Locked
    evaluate: Locked
    data: PreprocessEntry
    lock: Lock  # the whole file, for who may speak for other results


def locked_of(entry: Entry | None) -> Locked:
    """An entry of dvc.lock; an empty one of a stage that it does not have."""
    if entry is None:
        return Locked({}, {}, {})
    return Locked({key: value for of in entry.params.values() for key, value in of.items()}, entry.deps, entry.outs)


def why_left(
    training: Training, spec: Spec, entries: Entries, path: Path, known: KnownArrays | None = None
) -> str | None:
    """Why the result at `path` is not that of today's spec, as dvc.lock has it; None where the training is done.

    `known` keeps what arrays are, between the trainings of a data set (`stages.records.copies`).
    """
    try:
        result = Evaluation.read(path, training.stage("evaluate", spec.budget))
    except MissingFileError:
        return "no result"
    except StageError:
        return "a result that cannot be read"
    run = result.run
    if (run.cell, run.budget, run.seed) != (str(training.key), spec.budget, training.seed):
        return "a result of another training"
    if not run.config.are_of(spec.settings.seeded(training.seed)):
        return "a result of other settings"
    if run.provenance.code.sha256 != spec.code.train or result.provenance.code.sha256 != spec.code.evaluate:
        return "a result of other code"
    if result.test_images != tested_images(spec, run):
        return "a result of other test images"
    if set(_data_differences(result, entries)) - inputs_with_other_copies(result, entries, path, known):
        return "a result of other data"
    return None if _is_locked(result, spec, entries, path) else "a result that dvc.lock does not have"


def trained_with(run: TrainingRun) -> dict[str, Any]:
    """The parameters of the train stage that a run was made with, as DVC has them."""
    return {
        "settings": run.config.model_dump(mode="json", exclude={"seed"}),
        "code.train": run.provenance.code.sha256,
    }


def evaluated_with(result: Evaluation, spec: Spec | None = None) -> dict[str, Any]:
    """The parameters of the evaluate stage that a result was made with, as DVC has them.

    `spec` is read from its file if not given.
    """
    spec = spec or Spec.read(result.provenance.spec.path, "dvc repro resolve")
    images = spec.testing.images if result.test_images == tested_images(spec, result.run) else result.test_images
    return {"testing": {"images": images}, "code.evaluate": result.provenance.code.sha256}


def tested_images(spec: Spec, run: TrainingRun) -> int:
    """How many images a spec tests on."""
    return resolve_count(spec.testing.images, run.data.images.test)


def dependencies(provenance: Provenance) -> dict[str, str]:
    """md5 of a stage's inputs by path, as DVC has them."""
    return {path: found.md5 for path, found in provenance.inputs.items()}


def inputs_with_other_copies(
    result: Evaluation, entries: Entries, path: Path, known: KnownArrays | None = None
) -> set[str]:
    """The inputs of the result at `path` that differ in augmented copies of another processor alone."""
    try:
        folder, description = result.run.training_arrays[0], result.description[0]
    except KeyError:
        return set()
    differ = other_copies(result.run, folder, entries.data, path.parent, entries.lock, known)
    return {folder, description} if differ else set()


def _data_differences(result: Evaluation, entries: Entries) -> list[str]:
    """The inputs of training and testing that are not what dvc.lock has of the stages that made them."""
    known = dict(entries.data.outs) | dict(entries.train.outs)
    for folder, found in result.run.provenance.inputs.items():
        known |= {f"{folder}/{name}": md5 for name, md5 in (found.files or {}).items()}
    used = dependencies(result.run.provenance) | dependencies(result.provenance)
    return [path for path, md5 in used.items() if known.get(path) != md5]


def _is_locked(result: Evaluation, spec: Spec, entries: Entries, path: Path) -> bool:
    """Whether dvc.lock has both stages with what the result says of them."""
    train, evaluate = entries.train, entries.evaluate
    return (
        train.params == trained_with(result.run)
        and train.deps == dependencies(result.run.provenance)
        and evaluate.params == evaluated_with(result, spec)
        and evaluate.deps == dependencies(result.provenance)
        and result.file is not None
        and evaluate.outs.get(path.as_posix()) == result.file.md5
    )
