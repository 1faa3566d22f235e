"""Rebuilds MLflow's runs from the run records.

    python -m stages.track sync [--budget quick]

In:  the results of evaluated trainings, reports/<budget>/cells/, and the run records of trainings that are not
     evaluated, data/runs/<budget>/. Where the runs belong is said by params.yaml.
Out: in the MLflow store (MLFLOW_TRACKING_URI, or mlflow.db) the runs that the stages would have made there: the same
     names, parameters, series with their true times, tags, data sets and artifacts; of each row with several seeds a
     run with its statistics, whose children those of the seeds are. A row that no longer has several seeds loses that
     run. A second sync adds nothing.

A training's run is the one of its stage that started in the same millisecond, whoever made it. One that is whole is
left alone. One that a dying tracking server left half done is completed, and one that was deleted comes back. A run
that still says RUNNING, of a stage that has since started again and ended, is the rest of a training that was killed
while the server was down: it is marked KILLED, without an end, which nobody knows.
"""

import os
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.config.loading import load_params
from stages.config.params import Params
from stages.core.errors import ParamError, StageError
from stages.core.locks import exclusive
from stages.core.progress import say, track
from stages.records.evaluation import Evaluation
from stages.records.planned import params_of_pages
from stages.records.run import TrainingRun
from stages.sync.recorded import RecordedTraining, read_trainings, recorded_budgets
from stages.track.describe import ADDED, COMPLETED, THERE, TrainingStart, description, identity
from stages.track.mirror import QUIET
from stages.track.uri import log_line, tracking_uri

if TYPE_CHECKING:
    from stages.track.store.runs import Store, StoredRun

_ENVIRONMENT = {
    **QUIET,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # by default a dead server takes minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}
ABANDONED = "that never ended marked KILLED"


@click.command()
@click.option("--budget", help="one of those that have run records here; by default all")
def sync(budget: str | None) -> None:
    """Rebuild MLflow's runs from the run records; twice adds nothing."""
    params = load_params()
    names = recorded_budgets()
    if names and budget not in (None, *names):
        raise ParamError("--budget", budget, "those with run records here: " + ", ".join(names))
    trainings: list[RecordedTraining] = []
    refused: list[StageError] = []
    for name in names if budget is None else [budget]:
        some, left_out = read_trainings(name)
        trainings += some
        refused += left_out
    if not trainings and not refused:
        raise StageError("no run records under reports/ or data/runs/; they are made by: dvc repro")
    if trainings:
        with exclusive(Path("mlflow.db"), "MLflow is being synced by another process"):
            store = connected(len(trainings))
            done, differing = sync_all(store, trainings, params)
            print_counts(done)
            refused += differing
            sync_rows(store, trainings, refused)
    if refused:
        raise StageError("left out: " + "\n  ".join(error.message for error in refused))


def print_counts(done: Counter[str]) -> None:
    """Say in one line what was done, and in another how to find what has a new id."""
    counts = ", ".join(f"{done[how]} {how}" for how in (ADDED, COMPLETED, THERE))
    abandoned = f"; {done[ABANDONED]} {ABANDONED}" if done[ABANDONED] else ""
    say(f"{done.total() - done[ABANDONED]} runs: {counts}{abandoned}")
    if done[ADDED]:
        say("added runs have new ids; find a table's run in MLflow by the filter tags.recorded_run_id = '<its id>'")


def connected(trainings: int) -> "Store":
    """The store, opened for a sync of so many trainings. Raises StageError where it cannot be."""
    quiet()
    from stages.track.store.runs import FAILURES, Store  # MLflow takes seconds to import

    try:
        return Store()
    except FAILURES as error:
        raise failed(error, 0, trainings, "runs") from error


def sync_all(
    store: "Store", trainings: list[RecordedTraining], params: Params
) -> tuple[Counter[str], list[StageError]]:
    """Bring the store to hold every training.

    Returns how many were added, completed, and there already, and why some were not. Raises StageError when the store
    fails; a later sync goes on from there.
    """
    from stages.track.store.runs import FAILURES, refuses

    done: Counter[str] = Counter()
    refused = []
    try:
        found = [run for budget in {one.run.budget for one in trainings} for run in store.trainings(budget)]
        there = StoredRuns(found)
        for one in track(trainings, len(trainings), "sync"):
            run = there.run_of(one.run)
            try:
                done[sync_run(store, one, run, params)] += 1
            except FAILURES as error:
                if not run or not refuses(error):
                    raise
                refused.append(StageError(f"{one.file}: MLflow's run {run.run_id} is another: {log_line(error)}"))
        for run in there.abandoned(trainings):
            store.abandon(run.run_id)
            done[ABANDONED] += 1
    except FAILURES as error:
        raise failed(error, done.total(), len(trainings), "runs") from error
    return done, refused


def quiet() -> None:
    """Set how MLflow behaves here, where the user has not."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def sync_rows(store: "Store", trainings: list[RecordedTraining], refused: list[StageError]) -> None:
    """Bring the store to hold the row of every cell with several seeds, and say how many; adds to `refused`.

    A row whose cell has results here, but no longer several that count, is removed. No row is removed when something
    was left out: that may be one of its seeds. Raises StageError when the store fails.
    """
    results: dict[str, list[Evaluation]] = defaultdict(list)
    for one in trainings:
        if one.result:
            results[one.result.budget].append(one.result)
    described = []
    for budget, some in results.items():
        if len({one.cell for one in some}) < len(some):  # else the tables' modules are not waited for
            from stages.sync.rows import rows

            try:
                described += rows(params_of_pages(budget), budget, some)
            except StageError as error:
                refused.append(error)
    from stages.track.store.rows import RowRuns
    from stages.track.store.runs import FAILURES

    done: Counter[str] = Counter()
    removed, runs = 0, RowRuns(store)
    try:
        for row in described:
            done[runs.sync(row, whole=True)] += 1
        for budget, some in results.items() if not refused else ():
            several = {row["tags"]["cell"] for row in described if row["tags"]["budget"] == budget}
            removed += runs.remove(budget, {one.cell for one in some} - several)
    except FAILURES as error:
        raise failed(error, done.total(), len(described), "rows") from error
    if done or removed:
        counts = ", ".join(f"{done[how]} {how}" for how in (ADDED, COMPLETED, THERE))
        say(f"{done.total()} rows with several seeds: {counts}" + (f"; {removed} removed" if removed else ""))


def failed(error: Exception, done: int, total: int, what: str, then: str = "sync again") -> StageError:
    """What is said when the store fails, and what to do `then`, once that is mended."""
    so_far = f" after {done} of {total} {what}" if done else ""
    where = f"MLflow at {log_line(tracking_uri())} failed{so_far}"
    return StageError(f"{where}: {type(error).__name__}: {log_line(error)}; mend that, and {then}")


class StoredRuns:
    """The runs that a store has, by the trainings they are of."""

    def __init__(self, found: "list[StoredRun]") -> None:
        self.runs: dict[tuple[str, int], list[StoredRun]] = defaultdict(list)
        for run in found:
            self.runs[run.tags["dvc_stage"], run.start_time].append(run)

    def run_of(self, training: TrainingRun) -> "StoredRun | None":
        """The run of a training: of several that which its record names, else one that is not deleted."""
        recorded_id = training.mlflow.run_id if training.mlflow else None
        runs = sorted(self.runs[identity(training)], key=lambda run: (run.run_id != recorded_id, run.deleted))
        return runs[0] if runs else None

    def abandoned(self, trainings: list[RecordedTraining]) -> "list[StoredRun]":
        """Those that never ended and whose stage has started again since, which it cannot while it runs."""
        latest: dict[str, int] = {}
        for one in trainings:
            stage, start = one.identity
            latest[stage] = max(start, latest.get(stage, start))
        known = {one.identity for one in trainings}
        return [
            run
            for (stage, start), runs in self.runs.items()
            if (stage, start) not in known and start < latest.get(stage, start)
            for run in runs
            if run.status == "RUNNING" and not run.deleted
        ]


def sync_run(store: "Store", one: RecordedTraining, run: "StoredRun | None", params: Params) -> str:
    """Add a training's run, or to its run what is missing; what was done."""
    if run and one.result and run.tags.get("evaluated", "") > one.result.times.ended:
        one = one._replace(result=None)  # MLflow has a later test: that of another clone, which is to stay
    if run and is_complete(store, one, run):
        return THERE
    opened = description(TrainingStart.of(one.run), params)
    if run is None:
        run_id = store.open(opened)
    else:
        run_id = run.run_id
        if run.deleted:
            store.restore(run)
        store.describe(run_id, opened)
    store.metrics(run_id, one.metrics())
    with tempfile.TemporaryDirectory() as folder:
        for name, content in one.artifacts().items():
            (Path(folder) / name).write_bytes(content)
        store.artifacts(run_id, [str(Path(folder) / name) for name in sorted(one.names())])
    store.tags(run_id, one.tags())  # last, since they are what a whole run is known by
    store.close(run_id, "FINISHED", one.ended)
    return COMPLETED if run else ADDED


def is_complete(store: "Store", one: RecordedTraining, run: "StoredRun") -> bool:
    """Whether a run has all that is on record: the tags that are written last, its end, metrics and artifacts.

    Metrics count by their names: what an earlier version logged under another name, or in another unit, is completed.
    """
    ended = not run.deleted and run.status == "FINISHED" and one.tags().items() <= run.tags.items()
    metrics = {name for some, _, _ in one.metrics() for name in some}
    return ended and metrics <= run.metrics.keys() and one.names() <= store.files(run.run_id)
