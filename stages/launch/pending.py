"""The planned trainings that are left to run, and their units of work."""

from collections.abc import Iterable

from stages.config.params import Params, Training
from stages.launch.pipeline import LockFile, Pipeline
from stages.launch.recorded import Entries, inputs_with_other_copies, why_left
from stages.launch.work import Unit
from stages.records.copies import KnownArrays, PreprocessEntry
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, result_path, results_folder
from stages.records.spec import Spec, resolve_specs

WEIGHTS = "its weights are not here"


def todays_specs(params: Params, budget: str) -> dict[str, Spec]:
    """What every cell is at a budget, by today's params.yaml and sources."""
    return {spec.cell: spec for spec in resolve_specs(params, budget)}


def changed_data(pipeline: Pipeline | LockFile, budget: str, datasets: Iterable[str]) -> dict[str, list[str]]:
    """The data sets whose arrays must be made again before it is known what is left, each with what has changed."""
    found = {
        dataset: pipeline.changed(f"download@{dataset}") + pipeline.changed(preprocess(budget, dataset))
        for dataset in datasets
    }
    for dataset in found:
        if pipeline.parameters_changed(preprocess(budget, dataset)):
            found[dataset].append("its parameters")
    return {dataset: changed for dataset, changed in found.items() if changed}


def trainings_left(
    pipeline: Pipeline | LockFile,
    specs: dict[str, Spec],
    budget: str,
    trainings: Iterable[Training],
    weights: bool = False,
) -> dict[Training, str]:
    """The trainings that are not done, each with the reason.

    One is done when its result is recorded and nothing that is here differs from that. With `weights`, it is done when
    DVC finds nothing to do for it: its weights must be here too.
    """
    found, known, lock = {}, KnownArrays(), Lock(required=False)
    for training in trainings:
        if reason := _why_left(pipeline, specs[str(training.key)], budget, training, weights, known, lock):
            found[training] = reason
    return found


def _why_left(
    pipeline: Pipeline | LockFile,
    spec: Spec,
    budget: str,
    training: Training,
    weights: bool,
    known: KnownArrays,
    lock: Lock,
) -> str | None:
    train, evaluate = (training.stage(kind, budget) for kind in ("train", "evaluate"))
    arrays = pipeline.locked(preprocess(budget, training.key.dataset))
    data = PreprocessEntry(arrays.deps, arrays.outs)
    entries = Entries(pipeline.locked(train), pipeline.locked(evaluate), data, lock)
    path = result_path(results_folder(budget), training.key, training.seed)
    if reason := why_left(training, spec, entries, path, known):
        return reason
    if changed := pipeline.changed(train) + pipeline.changed(evaluate):
        others = inputs_with_other_copies(Evaluation.read(path, evaluate), entries, path, known)
        changed = [what for what in changed if what not in others]
    if changed:
        return f"not as dvc.lock has it: {', '.join(changed)}"
    return WEIGHTS if weights and pipeline.stale([train, evaluate]) else None


def units(pipeline: Pipeline, budget: str, trainings: Iterable[Training]) -> dict[Training, Unit]:
    """The work of trainings that are left, once all that DVC's run-cache has is put back."""
    trainings = list(trainings)
    trains = {training: training.stage("train", budget) for training in trainings}
    evaluates = {training: training.stage("evaluate", budget) for training in trainings}
    stale = pipeline.stale(trains.values())
    stale -= pipeline.restore(sorted(stale))
    tested = pipeline.stale(name for training, name in evaluates.items() if trains[training] not in stale)
    stale |= tested - pipeline.restore(sorted(tested))
    found = {}
    for training in trainings:
        names = [trains[training], evaluates[training]]
        stages = names if names[0] in stale else [name for name in names if name in stale]
        if stages:
            unit = f"{training.key} seed {training.seed}"
            trained = [name for name in names[:1] if name not in stages]
            inputs = [preprocess(budget, training.key.dataset), *trained]
            found[training] = Unit(unit, tuple(pipeline.command(name) for name in stages), tuple(inputs))
    return found


def preprocess(budget: str, dataset: str) -> str:
    """The stage that makes a data set's arrays."""
    return f"preprocess@{budget}-{dataset}"
